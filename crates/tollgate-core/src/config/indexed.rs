//! Where each kind lies in the configuration, and what finds it there.

use std::sync::Arc;

use super::alike::{put, take};
use super::{Config, ModelScope, PricePlace, Table};
use crate::domain::{
    Customer, Limits, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ProviderGovernance, Resource,
    ResourceKey, RoutingRule, Stored, Team, Token, VirtualKey, Webhook,
};

/// Where a kind lies in the configuration, and which indexes it is in.
pub trait Indexed: Resource {
    /// Its table.
    fn table(config: &Config) -> &Table<Self>;

    /// Its table, to change it.
    fn table_mut(config: &mut Config) -> &mut Table<Self>;

    /// Puts it into the indexes that span kinds. What another resource has there under the same key is replaced.
    fn index(_config: &mut Config, _stored: &Arc<Stored<Self>>) {}

    /// Takes it out of them. What another resource has there by now stays.
    fn unindex(_config: &mut Config, _stored: &Arc<Stored<Self>>) {}

    /// Whether these indexes have the same of both versions of it, so that they need not be touched.
    fn indexed_alike(_before: &Stored<Self>, _after: &Stored<Self>) -> bool {
        false
    }
}

fn index_limits(config: &mut Config, limits: &Limits, key: &ResourceKey) {
    limits.ids().for_each(|id| config.limit_places.insert(id, key.clone()));
}

fn unindex_limits(config: &mut Config, limits: &Limits, key: &ResourceKey) {
    limits.ids().for_each(|id| config.limit_places.remove(id, key.clone()));
}

impl Indexed for Customer {
    fn table(config: &Config) -> &Table<Self> {
        &config.customers
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.customers
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        index_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        unindex_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn indexed_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for Team {
    fn table(config: &Config) -> &Table<Self> {
        &config.teams
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.teams
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        index_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        unindex_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn indexed_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for VirtualKey {
    fn table(config: &Config) -> &Table<Self> {
        &config.virtual_keys
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.virtual_keys
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        let key = &stored.resource;
        for secret in key.secrets() {
            config.secrets.insert(secret, stored.id.clone());
        }
        let place = ResourceKey::of(&stored.id);
        key.all_limits().for_each(|limits| index_limits(config, limits, &place));
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        let key = &stored.resource;
        for secret in key.secrets() {
            config.secrets.remove(secret, stored.id.clone());
        }
        let place = ResourceKey::of(&stored.id);
        key.all_limits().for_each(|limits| unindex_limits(config, limits, &place));
    }

    fn indexed_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        let [before, after] = [before, after].map(|stored| &stored.resource);
        before.secrets().eq(after.secrets()) && before.all_limits().eq(after.all_limits())
    }
}

impl Indexed for Provider {
    fn table(config: &Config) -> &Table<Self> {
        &config.providers
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.providers
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        let place = ResourceKey::of(&stored.id);
        for key in &stored.resource.keys {
            config.provider_keys.insert(key.id.clone(), stored.id.clone());
            index_limits(config, &key.limits, &place);
        }
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        let place = ResourceKey::of(&stored.id);
        for key in &stored.resource.keys {
            unindex_limits(config, &key.limits, &place);
            if config.provider_keys.get(&key.id).is_some_and(|holder| *holder == stored.id) {
                config.provider_keys.remove(&key.id);
            }
        }
    }
}

impl Indexed for McpClient {
    fn table(config: &Config) -> &Table<Self> {
        &config.mcp_clients
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.mcp_clients
    }
}

impl Indexed for RoutingRule {
    fn table(config: &Config) -> &Table<Self> {
        &config.routing_rules
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.routing_rules
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.routing.index(stored);
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.routing.unindex(stored);
    }
}

impl Indexed for ModelConfig {
    fn table(config: &Config) -> &Table<Self> {
        &config.model_configs
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.model_configs
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.models.index(&stored.resource.scope(), stored.resource.models(), stored);
        index_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.models.unindex(&stored.resource.scope(), stored.resource.models(), stored);
        unindex_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }
}

impl ModelConfig {
    pub(super) fn scope(&self) -> ModelScope {
        (self.scope.clone(), self.provider.clone())
    }
}

impl Indexed for ProviderGovernance {
    fn table(config: &Config) -> &Table<Self> {
        &config.provider_governance
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.provider_governance
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        index_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        unindex_limits(config, &stored.resource.limits, &ResourceKey::of(&stored.id));
    }

    fn indexed_alike(before: &Stored<Self>, after: &Stored<Self>) -> bool {
        before.resource.limits == after.resource.limits
    }
}

impl Indexed for PricingOverride {
    fn table(config: &Config) -> &Table<Self> {
        &config.pricing_overrides
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.pricing_overrides
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.pricing.index(&stored.resource.scope, stored.resource.models(), stored);
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        config.pricing.unindex(&stored.resource.scope, stored.resource.models(), stored);
    }
}

impl Indexed for Webhook {
    fn table(config: &Config) -> &Table<Self> {
        &config.webhooks
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.webhooks
    }
}

impl Indexed for Token {
    fn table(config: &Config) -> &Table<Self> {
        &config.tokens
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.tokens
    }
}

impl Indexed for ModelPrice {
    fn table(config: &Config) -> &Table<Self> {
        &config.model_prices
    }

    fn table_mut(config: &mut Config) -> &mut Table<Self> {
        &mut config.model_prices
    }

    fn index(config: &mut Config, stored: &Arc<Stored<Self>>) {
        put(&mut config.prices, stored.resource.place(), stored);
    }

    fn unindex(config: &mut Config, stored: &Arc<Stored<Self>>) {
        take(&mut config.prices, stored.resource.place(), stored);
    }
}

impl ModelPrice {
    /// The place of this price, on which it is unique.
    pub fn place(&self) -> PricePlace {
        (self.provider.clone(), self.bare_model().into(), self.valid_from)
    }
}
