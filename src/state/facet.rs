//! What lists filter by, and where each kind lies in the state.

use std::sync::Arc;

use super::{State, Table};
use crate::domain::{
    Customer, KeyOwner, Labels, Limits, McpClient, ModelConfig, PricingOverride, PricingScopeKind, Provider,
    ProviderGovernance, Resource, ResourceKey, RoutingRule, ScopeKind, Stored, Team, VirtualKey,
};

/// A property of a resource that lists filter by; the ones with each are indexed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Facet {
    /// Belongs to the customer with this id.
    Customer(Arc<str>),
    /// Belongs to the team with this id.
    Team(Arc<str>),
    /// Is active, or not.
    Active(bool),
    /// Both at once, so that this common pair needs no scan.
    CustomerActive(Arc<str>, bool),
    /// Both at once.
    TeamActive(Arc<str>, bool),
    /// Has this label.
    Label(Box<str>, Box<str>),
    /// Is for such a scope.
    ScopeKind(ScopeKind),
    /// Is for the key, team or customer with this id.
    ScopeId(Arc<str>),
    /// Names the provider with this name.
    Provider(Arc<str>),
    /// Prices such traffic.
    PricingScopeKind(PricingScopeKind),
    /// Names the virtual key with this id.
    VirtualKey(Arc<str>),
    /// Names the provider key with this id.
    ProviderKey(Box<str>),
}

/// Where a kind lies in the state, and how it is indexed.
pub trait Indexed: Resource {
    /// Its table.
    fn table(state: &State) -> &Table<Self>;

    /// Its table, to change it.
    fn table_mut(state: &mut State) -> &mut Table<Self>;

    /// The name that is unique within the kind, if that is not the id.
    fn unique_name(_stored: &Stored<Self>) -> Option<&str> {
        None
    }

    /// What `search` looks in.
    fn searched(stored: &Stored<Self>) -> &str {
        Self::unique_name(stored).unwrap_or(stored.id.as_str())
    }

    /// What it can be filtered by.
    fn facets(_resource: &Self) -> Vec<Facet> {
        Vec::new()
    }

    /// Puts it into the indexes that span kinds.
    fn enter(_state: &mut State, _stored: &Arc<Stored<Self>>) {}

    /// Takes it out of them.
    fn leave(_state: &mut State, _stored: &Arc<Stored<Self>>) {}

    /// Whether these indexes have the same of both versions of it, so that they need not be touched.
    fn enters_alike(_before: &Stored<Self>, _after: &Stored<Self>) -> bool {
        false
    }
}

fn label_facets(labels: &Labels) -> impl Iterator<Item = Facet> {
    labels.iter().map(|(key, value)| Facet::Label(key.clone(), value.clone()))
}

fn enter_limits(state: &mut State, limits: &Limits, key: &ResourceKey) {
    for budget in &limits.budgets {
        state.budgets.insert((budget.created_at, budget.id.clone()));
        state.limit_places.insert(&budget.id, key.clone());
    }
    if let Some(rate_limit) = &limits.rate_limit {
        state.rate_limits.insert((rate_limit.created_at, rate_limit.id.clone()));
        state.limit_places.insert(&rate_limit.id, key.clone());
    }
}

fn leave_limits(state: &mut State, limits: &Limits, key: &ResourceKey) {
    for budget in &limits.budgets {
        state.budgets.remove(&(budget.created_at, budget.id.clone()));
        state.limit_places.remove(&budget.id, key.clone());
    }
    if let Some(rate_limit) = &limits.rate_limit {
        state.rate_limits.remove(&(rate_limit.created_at, rate_limit.id.clone()));
        state.limit_places.remove(&rate_limit.id, key.clone());
    }
}

impl Indexed for Customer {
    fn table(state: &State) -> &Table<Self> {
        &state.customers
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.customers
    }

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        label_facets(&resource.labels).collect()
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        enter_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        leave_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn enters_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for Team {
    fn table(state: &State) -> &Table<Self> {
        &state.teams
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.teams
    }

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let customer = resource.customer_id.iter().map(|id| Facet::Customer(id.shared()));
        customer.chain(label_facets(&resource.labels)).collect()
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        enter_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        leave_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn enters_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for VirtualKey {
    fn table(state: &State) -> &Table<Self> {
        &state.virtual_keys
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.virtual_keys
    }

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let active = resource.is_active;
        let mut facets = vec![Facet::Active(active)];
        match &resource.owner {
            Some(KeyOwner::Team(id)) => {
                facets.extend([Facet::Team(id.shared()), Facet::TeamActive(id.shared(), active)]);
            }
            Some(KeyOwner::Customer(id)) => {
                facets.extend([Facet::Customer(id.shared()), Facet::CustomerActive(id.shared(), active)]);
            }
            None => {}
        }
        facets.extend(label_facets(&resource.labels));
        facets
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        let key = &stored.resource;
        for secret in key.secrets() {
            state.secrets.insert(secret, stored.id.clone());
        }
        let place = ResourceKey::of(&stored.id);
        key.all_limits().for_each(|limits| enter_limits(state, limits, &place));
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        let key = &stored.resource;
        for secret in key.secrets() {
            state.secrets.remove(secret, stored.id.clone());
        }
        let place = ResourceKey::of(&stored.id);
        key.all_limits().for_each(|limits| leave_limits(state, limits, &place));
    }

    fn enters_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        let [before, after] = [before, after].map(|stored| &stored.resource);
        before.secrets().eq(after.secrets()) && before.all_limits().eq(after.all_limits())
    }
}

impl Indexed for Provider {
    fn table(state: &State) -> &Table<Self> {
        &state.providers
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.providers
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        for key in &stored.resource.keys {
            state.provider_keys.insert(key.id.clone(), stored.id.clone());
        }
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        for key in &stored.resource.keys {
            state.provider_keys.remove(&key.id);
        }
    }
}

impl Indexed for McpClient {
    fn table(state: &State) -> &Table<Self> {
        &state.mcp_clients
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.mcp_clients
    }
}

impl Indexed for RoutingRule {
    fn table(state: &State) -> &Table<Self> {
        &state.routing_rules
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.routing_rules
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        state.routing.enter(stored);
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        state.routing.leave(stored);
    }
}

impl Indexed for ModelConfig {
    fn table(state: &State) -> &Table<Self> {
        &state.model_configs
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.model_configs
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.model_name
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let mut facets = vec![Facet::ScopeKind(resource.scope.kind())];
        if resource.scope.kind() != ScopeKind::Global {
            facets.push(Facet::ScopeId(resource.scope.id().into()));
        }
        facets.extend(resource.provider.iter().map(|provider| Facet::Provider(provider.shared())));
        facets
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        state.models.insert(stored.resource.place(), Arc::clone(stored));
        state.model_scopes.enter(&stored.resource.scope);
        enter_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        let place = stored.resource.place();
        if state.models.get(&place).is_some_and(|holder| holder.id == stored.id) {
            state.models.remove(&place);
        }
        state.model_scopes.leave(&stored.resource.scope);
        leave_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }
}

impl ModelConfig {
    pub(super) fn place(&self) -> super::ModelPlace {
        (self.scope.clone(), self.model_name.clone(), self.provider.clone())
    }
}

impl Indexed for ProviderGovernance {
    fn table(state: &State) -> &Table<Self> {
        &state.provider_governance
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.provider_governance
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        enter_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        leave_limits(state, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn enters_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for PricingOverride {
    fn table(state: &State) -> &Table<Self> {
        &state.pricing_overrides
    }

    fn table_mut(state: &mut State) -> &mut Table<Self> {
        &mut state.pricing_overrides
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.name
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let scope = &resource.scope;
        let mut facets = vec![Facet::PricingScopeKind(scope.kind())];
        facets.extend(scope.virtual_key().map(|id| Facet::VirtualKey(id.shared())));
        facets.extend(scope.provider().map(|id| Facet::Provider(id.shared())));
        facets.extend(scope.provider_key().map(|id| Facet::ProviderKey(id.into())));
        facets
    }

    fn enter(state: &mut State, stored: &Arc<Stored<Self>>) {
        state.pricing.enter(stored);
    }

    fn leave(state: &mut State, stored: &Arc<Stored<Self>>) {
        state.pricing.leave(stored);
    }
}
