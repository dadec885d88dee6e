//! The configuration at one revision: all that a decision reads, typed and indexed.
//!
//! The server's ledger and the client's fold of the stream feed it with the same two calls, [`Config::put`] and
//! [`Config::remove`], so that both decide with the same data. Its maps are persistent: a clone costs nothing, and readers
//! never meet a writer.

mod alike;
mod by_hash;
mod by_model;
mod calendars;
mod indexed;
mod limits;
mod prices;
mod routing;
mod table;

use std::sync::Arc;

use imbl::OrdMap;

pub use by_hash::ByHash;
pub use calendars::Aligned;
pub use indexed::Indexed;
pub use limits::LimitPlace;
pub use prices::PricePlace;
pub use routing::RuleOrder;
pub use table::Table;

use crate::domain::{
    AnyResource, Customer, Id, Kind, McpClient, ModelConfig, ModelPrice, PricingOverride, PricingScope, Provider,
    ProviderGovernance, ProviderKey, ResourceKey, RoutingRule, Scope, Sha256Hash, Stored, Team, Timestamp, Token,
    VirtualKey, Webhook,
};

/// All resources at one revision, and what finds them.
#[derive(Clone, Default)]
pub struct Config {
    customers: Table<Customer>,
    teams: Table<Team>,
    virtual_keys: Table<VirtualKey>,
    routing_rules: Table<RoutingRule>,
    model_configs: Table<ModelConfig>,
    provider_governance: Table<ProviderGovernance>,
    pricing_overrides: Table<PricingOverride>,
    providers: Table<Provider>,
    mcp_clients: Table<McpClient>,
    model_prices: Table<ModelPrice>,
    /// For the server alone: no decision reads them.
    webhooks: Table<Webhook>,
    tokens: Table<Token>,
    /// Both secrets of every key: the current and the one before.
    secrets: ByHash<Id<VirtualKey>>,
    /// Which provider has the provider key of an id.
    provider_keys: OrdMap<Box<str>, Id<Provider>>,
    /// Which resource each budget and rate limit is a part of.
    limit_places: ByHash<ResourceKey>,
    /// The routing rules in the order in which they are looked at.
    routing: routing::Order,
    /// The model configs by the models that they limit, at one provider or at all.
    models: by_model::ByModel<ModelScope, ModelConfig>,
    /// The model prices by what they are unique on.
    prices: prices::Prices,
    /// The pricing overrides by what they match.
    pricing: by_model::ByModel<PricingScope, PricingOverride>,
}

/// A map that is only looked into: cloning is cheap, and it has no order.
type Lookup<K, V> = imbl::GenericHashMap<K, V, foldhash::fast::RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// Which traffic a model config is for: whose, and at which provider.
type ModelScope = (Scope, Option<Id<Provider>>);

impl Config {
    /// The configuration of these resources.
    pub fn of(resources: impl IntoIterator<Item = AnyResource>) -> Self {
        let mut config = Self::default();
        for resource in resources {
            config.put(&resource);
        }
        config
    }

    /// Puts a resource in the place of the one with its key. Returns what was there. The order of several calls does not
    /// matter, as long as each key is named once.
    pub fn put(&mut self, resource: &AnyResource) -> Option<AnyResource> {
        fn of<R: Indexed>(config: &mut Config, after: &Arc<Stored<R>>) -> Option<AnyResource> {
            config.replace(after.id.as_str(), Some(after)).map(R::wrap)
        }
        match resource {
            AnyResource::Customer(stored) => of(self, stored),
            AnyResource::Team(stored) => of(self, stored),
            AnyResource::VirtualKey(stored) => of(self, stored),
            AnyResource::RoutingRule(stored) => of(self, stored),
            AnyResource::ModelConfig(stored) => of(self, stored),
            AnyResource::ProviderGovernance(stored) => of(self, stored),
            AnyResource::PricingOverride(stored) => of(self, stored),
            AnyResource::Provider(stored) => of(self, stored),
            AnyResource::McpClient(stored) => of(self, stored),
            AnyResource::ModelPrice(stored) => of(self, stored),
            AnyResource::Webhook(stored) => of(self, stored),
            AnyResource::Token(stored) => of(self, stored),
        }
    }

    /// Removes the resource with this key. Returns what was there.
    pub fn remove(&mut self, key: &ResourceKey) -> Option<AnyResource> {
        fn of<R: Indexed>(config: &mut Config, id: &str) -> Option<AnyResource> {
            config.replace::<R>(id, None).map(R::wrap)
        }
        match key.kind {
            Kind::Customer => of::<Customer>(self, &key.id),
            Kind::Team => of::<Team>(self, &key.id),
            Kind::VirtualKey => of::<VirtualKey>(self, &key.id),
            Kind::RoutingRule => of::<RoutingRule>(self, &key.id),
            Kind::ModelConfig => of::<ModelConfig>(self, &key.id),
            Kind::ProviderGovernance => of::<ProviderGovernance>(self, &key.id),
            Kind::PricingOverride => of::<PricingOverride>(self, &key.id),
            Kind::Provider => of::<Provider>(self, &key.id),
            Kind::McpClient => of::<McpClient>(self, &key.id),
            Kind::ModelPrice => of::<ModelPrice>(self, &key.id),
            Kind::Webhook => of::<Webhook>(self, &key.id),
            Kind::Token => of::<Token>(self, &key.id),
        }
    }

    fn replace<R: Indexed>(&mut self, id: &str, after: Option<&Arc<Stored<R>>>) -> Option<Arc<Stored<R>>> {
        let before = R::table(self).get(id).cloned();
        let alike = before.as_ref().zip(after).is_some_and(|(before, after)| R::indexed_alike(before, after));
        if let Some(before) = before.as_ref().filter(|_| !alike) {
            R::unindex(self, before);
        }
        R::table_mut(self).replace(before.as_ref(), after);
        if let Some(after) = after.filter(|_| !alike) {
            R::index(self, after);
        }
        before
    }

    /// The resource with this id.
    pub fn get<R: Indexed>(&self, id: &str) -> Option<&Arc<Stored<R>>> {
        R::table(self).get(id)
    }

    /// The resource with this key.
    pub fn any(&self, key: &ResourceKey) -> Option<AnyResource> {
        fn of<R: Indexed>(config: &Config, id: &str) -> Option<AnyResource> {
            config.get::<R>(id).map(|stored| R::wrap(Arc::clone(stored)))
        }
        match key.kind {
            Kind::Customer => of::<Customer>(self, &key.id),
            Kind::Team => of::<Team>(self, &key.id),
            Kind::VirtualKey => of::<VirtualKey>(self, &key.id),
            Kind::RoutingRule => of::<RoutingRule>(self, &key.id),
            Kind::ModelConfig => of::<ModelConfig>(self, &key.id),
            Kind::ProviderGovernance => of::<ProviderGovernance>(self, &key.id),
            Kind::PricingOverride => of::<PricingOverride>(self, &key.id),
            Kind::Provider => of::<Provider>(self, &key.id),
            Kind::McpClient => of::<McpClient>(self, &key.id),
            Kind::ModelPrice => of::<ModelPrice>(self, &key.id),
            Kind::Webhook => of::<Webhook>(self, &key.id),
            Kind::Token => of::<Token>(self, &key.id),
        }
    }

    /// How many resources of kind `R` there are.
    pub fn count<R: Indexed>(&self) -> usize {
        R::table(self).len()
    }

    /// All resources of kind `R`, in no order that means anything.
    pub fn all<R: Indexed>(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        R::table(self).iter()
    }

    /// All resources, in no order that means anything.
    pub fn resources(&self) -> impl Iterator<Item = AnyResource> {
        Kind::ALL.into_iter().flat_map(|kind| self.of_kind(kind))
    }

    fn of_kind(&self, kind: Kind) -> Box<dyn Iterator<Item = AnyResource> + '_> {
        fn of<R: Indexed>(config: &Config) -> Box<dyn Iterator<Item = AnyResource> + '_> {
            Box::new(config.all::<R>().map(|stored| R::wrap(Arc::clone(stored))))
        }
        match kind {
            Kind::Customer => of::<Customer>(self),
            Kind::Team => of::<Team>(self),
            Kind::VirtualKey => of::<VirtualKey>(self),
            Kind::RoutingRule => of::<RoutingRule>(self),
            Kind::ModelConfig => of::<ModelConfig>(self),
            Kind::ProviderGovernance => of::<ProviderGovernance>(self),
            Kind::PricingOverride => of::<PricingOverride>(self),
            Kind::Provider => of::<Provider>(self),
            Kind::McpClient => of::<McpClient>(self),
            Kind::ModelPrice => of::<ModelPrice>(self),
            Kind::Webhook => of::<Webhook>(self),
            Kind::Token => of::<Token>(self),
        }
    }

    /// The digest of all resources of a kind, by which a copy is proved (`docs/design/watch.md §2`).
    pub fn digest(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Customer => self.customers.digest(),
            Kind::Team => self.teams.digest(),
            Kind::VirtualKey => self.virtual_keys.digest(),
            Kind::RoutingRule => self.routing_rules.digest(),
            Kind::ModelConfig => self.model_configs.digest(),
            Kind::ProviderGovernance => self.provider_governance.digest(),
            Kind::PricingOverride => self.pricing_overrides.digest(),
            Kind::Provider => self.providers.digest(),
            Kind::McpClient => self.mcp_clients.digest(),
            Kind::ModelPrice => self.model_prices.digest(),
            Kind::Webhook => self.webhooks.digest(),
            Kind::Token => self.tokens.digest(),
        }
    }

    /// The key that `secret` belongs to, and whether it is the secret before the last rotation. The end of a grace
    /// period takes no revision: it is found out here.
    pub fn key_by_secret(&self, secret: &Sha256Hash, now: Timestamp) -> Option<(&Arc<Stored<VirtualKey>>, bool)> {
        let stored = self.secret_holder(secret)?;
        if stored.resource.secret.sha256 == *secret {
            return Some((stored, false));
        }
        let in_grace = stored.resource.previous_secret.as_ref().is_some_and(|previous| now < previous.expires_at);
        in_grace.then_some((stored, true))
    }

    /// The key that has `secret`, or had it before the last rotation.
    pub fn secret_holder(&self, secret: &Sha256Hash) -> Option<&Arc<Stored<VirtualKey>>> {
        self.secrets.find(secret, |id| {
            let stored = self.get::<VirtualKey>(id.as_str())?;
            stored.resource.secrets().any(|has| has == secret).then_some(stored)
        })
    }

    /// The provider key with this id and its provider.
    pub fn provider_key(&self, id: &str) -> Option<(&Id<Provider>, &ProviderKey)> {
        let provider_id = self.provider_keys.get(id)?;
        let provider = self.get::<Provider>(provider_id.as_str())?;
        provider.resource.keys.iter().find(|key| key.id.as_ref() == id).map(|key| (provider_id, key))
    }

    /// The model configs that limit the same as `model_config`: those of its scope, provider and models.
    pub fn model_configs_like(&self, model_config: &ModelConfig) -> &[Arc<Stored<ModelConfig>>] {
        self.models.of(&model_config.scope(), model_config.models())
    }

    /// The model configs of a scope for a model of a provider, `None` being every provider, whose own configs are left out.
    /// The model is given by [`bare_model`](crate::domain::bare_model). Exact patterns come before prefixes, the longest
    /// first.
    pub fn model_configs_of(
        &self,
        scope: &Scope,
        provider: Option<Id<Provider>>,
        model: &str,
    ) -> Vec<&Arc<Stored<ModelConfig>>> {
        self.models.matching(&(scope.clone(), provider), model)
    }

    /// The pricing overrides of a scope for a model, in the same order.
    pub fn overrides_of(&self, scope: &PricingScope, model: &str) -> Vec<&Arc<Stored<PricingOverride>>> {
        self.pricing.matching(scope, model)
    }
}

impl Config {
    /// Whether both have the same resources, and whether what finds them finds the same: for tests.
    ///
    /// # Panics
    ///
    /// They do not.
    #[doc(hidden)]
    pub fn assert_indexed_as(&self, other: &Self) {
        assert_eq!(self.resources().count(), other.resources().count());
        for resource in self.resources() {
            let key = resource.key();
            assert_eq!(self.any(&key).as_ref(), Some(&resource));
            assert_eq!(other.any(&key), Some(resource));
        }
        for kind in Kind::ALL {
            assert_eq!(self.digest(kind), other.digest(kind));
        }
        assert_eq!(self.limit_places.len(), other.limit_places.len());
        assert_eq!(self.secrets.len(), other.secrets.len());
        for key in self.all::<VirtualKey>() {
            assert!(key.resource.secrets().all(|secret| self.secret_holder(secret).is_some_and(|it| it.id == key.id)));
        }
        assert_eq!(self.provider_keys, other.provider_keys);
        assert!(self.rules_after(None).eq(other.rules_after(None)));
        assert_eq!(self.models, other.models);
        assert_eq!(self.pricing, other.pricing);
        assert_eq!(self.routing, other.routing);
    }
}
