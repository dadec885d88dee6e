//! What each kind is listed by.

use std::sync::Arc;

use tollgate_core::config::Indexed;

use super::{Listing, Name, State, Within};
use crate::domain::{
    Customer, Id, KeyOwner, Labels, McpClient, ModelConfig, ModelPrice, NamePath, PricingOverride, PricingScopeKind,
    Provider, ProviderGovernance, RoutingRule, ScopeKind, Stored, Team, Token, VirtualKey, Webhook,
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
    /// Is for the model with this name, without the prefix of its provider.
    Model(Box<str>),
    /// Names the provider key with this id.
    ProviderKey(Box<str>),
    /// Is managed by this source.
    ManagedBy(Box<str>),
}

/// What a kind is named and listed by.
pub trait Listed: Indexed {
    /// Where its names and lists are.
    fn listing(state: &State) -> &Listing<Self>;

    /// Where its names and lists are, to change them.
    fn listing_mut(state: &mut State) -> &mut Listing<Self>;

    /// Whether no two have the same name in the same place.
    const NAMES_ARE_UNIQUE: bool = true;
    /// Whether paths of names name resources of this kind.
    const HAS_PATHS: bool = false;

    /// The name in its place, if it has one that is not the id.
    fn name(_stored: &Stored<Self>) -> Option<Name<'_>> {
        None
    }

    /// The one at a path of names.
    fn at_path<'a>(_state: &'a State, _path: &NamePath) -> Option<&'a Id<Self>> {
        None
    }

    /// What `search` looks in.
    fn searched(stored: &Stored<Self>) -> &str {
        stored.id.as_str()
    }

    /// What it can be filtered by.
    fn facets(_resource: &Self) -> Vec<Facet> {
        Vec::new()
    }
}

fn managed_facet(managed_by: &str) -> Option<Facet> {
    (!managed_by.is_empty()).then(|| Facet::ManagedBy(managed_by.into()))
}

fn label_facets(labels: &Labels) -> impl Iterator<Item = Facet> {
    labels.iter().map(|(key, value)| Facet::Label(key.clone(), value.clone()))
}

impl Listed for Customer {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.customers
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.customers
    }

    const HAS_PATHS: bool = true;

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::new(Within::Nothing, &stored.resource.name))
    }

    fn at_path<'a>(state: &'a State, path: &NamePath) -> Option<&'a Id<Self>> {
        state.customer_at(path.name())
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.name
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        label_facets(&resource.labels).chain(managed_facet(&resource.managed_by)).collect()
    }
}

impl Listed for Team {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.teams
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.teams
    }

    const HAS_PATHS: bool = true;

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::of_team(&stored.resource))
    }

    fn at_path<'a>(state: &'a State, path: &NamePath) -> Option<&'a Id<Self>> {
        state.team_at(path.customer(), path.name())
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.name
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let customer = resource.customer_id.iter().map(|id| Facet::Customer(id.shared()));
        customer.chain(label_facets(&resource.labels)).chain(managed_facet(&resource.managed_by)).collect()
    }
}

impl Listed for VirtualKey {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.virtual_keys
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.virtual_keys
    }

    const HAS_PATHS: bool = true;

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::of_key(&stored.resource))
    }

    fn at_path<'a>(state: &'a State, path: &NamePath) -> Option<&'a Id<Self>> {
        state.key_at(path)
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.name
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
        facets.extend(label_facets(&resource.labels).chain(managed_facet(&resource.managed_by)));
        facets
    }
}

impl Listed for Provider {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.providers
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.providers
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        managed_facet(&resource.managed_by).into_iter().collect()
    }
}

impl Listed for McpClient {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.mcp_clients
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.mcp_clients
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        managed_facet(&resource.managed_by).into_iter().collect()
    }
}

impl Listed for RoutingRule {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.routing_rules
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.routing_rules
    }

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::new(Within::Scope(&stored.resource.scope), &stored.resource.name))
    }
}

impl Listed for ModelConfig {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.model_configs
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.model_configs
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
        facets.extend(managed_facet(&resource.managed_by));
        facets
    }
}

impl Listed for ProviderGovernance {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.provider_governance
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.provider_governance
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        managed_facet(&resource.managed_by).into_iter().collect()
    }
}

impl Listed for PricingOverride {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.pricing_overrides
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.pricing_overrides
    }

    const NAMES_ARE_UNIQUE: bool = false;

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::new(Within::Pricing(&stored.resource.scope), &stored.resource.name))
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
        facets.extend(managed_facet(&resource.managed_by));
        facets
    }
}

impl Listed for Webhook {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.webhooks
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.webhooks
    }

    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        Some(Name::new(Within::Nothing, &stored.resource.name))
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        managed_facet(&resource.managed_by).into_iter().collect()
    }
}

impl Listed for Token {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.tokens
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.tokens
    }

    /// The name of one that was revoked is free.
    fn name(stored: &Stored<Self>) -> Option<Name<'_>> {
        stored.resource.revoked.is_none().then(|| Name::new(Within::Nothing, &stored.resource.name))
    }
}

impl Listed for ModelPrice {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.model_prices
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.model_prices
    }

    fn searched(stored: &Stored<Self>) -> &str {
        &stored.resource.model
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let priced = [Facet::Provider(resource.provider.shared()), Facet::Model(resource.bare_model().into())];
        priced.into_iter().chain(managed_facet(&resource.managed_by)).collect()
    }
}
