//! What each kind is listed by.

use std::sync::Arc;

use tollgate_core::config::Indexed;

use super::{Listing, State};
use crate::domain::{
    Customer, KeyOwner, Labels, McpClient, ModelConfig, ModelPrice, PricingOverride, PricingScopeKind, Provider,
    ProviderGovernance, RoutingRule, ScopeKind, Stored, Team, VirtualKey, Webhook,
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
}

/// What a kind is named and listed by.
pub trait Listed: Indexed {
    /// Where its names and lists are.
    fn listing(state: &State) -> &Listing<Self>;

    /// Where its names and lists are, to change them.
    fn listing_mut(state: &mut State) -> &mut Listing<Self>;

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

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        label_facets(&resource.labels).collect()
    }
}

impl Listed for Team {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.teams
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.teams
    }

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
    }

    fn facets(resource: &Self) -> Vec<Facet> {
        let customer = resource.customer_id.iter().map(|id| Facet::Customer(id.shared()));
        customer.chain(label_facets(&resource.labels)).collect()
    }
}

impl Listed for VirtualKey {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.virtual_keys
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.virtual_keys
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
}

impl Listed for Provider {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.providers
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.providers
    }
}

impl Listed for McpClient {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.mcp_clients
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.mcp_clients
    }
}

impl Listed for RoutingRule {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.routing_rules
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.routing_rules
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
}

impl Listed for PricingOverride {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.pricing_overrides
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.pricing_overrides
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
}

impl Listed for Webhook {
    fn listing(state: &State) -> &Listing<Self> {
        &state.listings.webhooks
    }

    fn listing_mut(state: &mut State) -> &mut Listing<Self> {
        &mut state.listings.webhooks
    }

    fn unique_name(stored: &Stored<Self>) -> Option<&str> {
        Some(&stored.resource.name)
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
        vec![Facet::Provider(resource.provider.shared()), Facet::Model(resource.bare_model().into())]
    }
}
