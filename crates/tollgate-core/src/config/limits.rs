//! Where limits lie.

use std::sync::Arc;

use super::{Aligned as _, Config};
use crate::counters::{Dimension, add_dimensions, slots};
use crate::domain::{
    Calendar, Customer, Id, Kind, LimitId, LimitKind, LimitOwner, Limits, ModelConfig, Provider, ProviderGovernance,
    ResourceKey, Team, VirtualKey,
};

/// Where a limit lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LimitPlace {
    /// In a customer.
    Customer(Id<Customer>),
    /// In a team.
    Team(Id<Team>),
    /// In a virtual key.
    VirtualKey(Id<VirtualKey>),
    /// In a provider config of a virtual key.
    ProviderConfig(Id<VirtualKey>, i64),
    /// In a model config.
    ModelConfig(Id<ModelConfig>),
    /// In the governance of a provider.
    ProviderGovernance(Id<ProviderGovernance>),
    /// In a key of a provider, by its id.
    ProviderKey(Id<Provider>, Arc<str>),
}

impl LimitPlace {
    /// The resource that the limits are part of.
    pub fn resource(&self) -> ResourceKey {
        match self {
            Self::Customer(id) => ResourceKey::of(id),
            Self::Team(id) => ResourceKey::of(id),
            Self::VirtualKey(id) | Self::ProviderConfig(id, _) => ResourceKey::of(id),
            Self::ModelConfig(id) => ResourceKey::of(id),
            Self::ProviderGovernance(id) => ResourceKey::of(id),
            Self::ProviderKey(id, _) => ResourceKey::of(id),
        }
    }

    /// Who owns the limits that lie here.
    pub fn owner(&self) -> LimitOwner {
        match self {
            Self::Customer(id) => LimitOwner::Customer(id.clone()),
            Self::Team(id) => LimitOwner::Team(id.clone()),
            Self::VirtualKey(id) => LimitOwner::VirtualKey(id.clone()),
            Self::ProviderConfig(_, id) => LimitOwner::ProviderConfig(*id),
            Self::ModelConfig(id) => LimitOwner::ModelConfig(id.clone()),
            Self::ProviderGovernance(id) => LimitOwner::Provider(Id::new(id.shared())),
            Self::ProviderKey(_, id) => LimitOwner::ProviderKey(Arc::clone(id)),
        }
    }

    /// The limits that lie here, and the calendar that their windows follow; `None` if they are rolling.
    pub fn limits<'a>(&self, config: &'a Config) -> Option<(&'a Limits, Option<&'a Calendar>)> {
        match self {
            Self::Customer(id) => config.get::<Customer>(id.as_str()).map(|s| (&s.resource.limits, s.calendar(config))),
            Self::Team(id) => config.get::<Team>(id.as_str()).map(|s| (&s.resource.limits, s.calendar(config))),
            Self::VirtualKey(id) => {
                config.get::<VirtualKey>(id.as_str()).map(|s| (&s.resource.limits, s.calendar(config)))
            }
            Self::ProviderConfig(key_id, id) => config.get::<VirtualKey>(key_id.as_str()).and_then(|s| {
                let of_provider = s.resource.provider_configs.iter().find(|it| it.id == *id)?;
                Some((&of_provider.limits, s.calendar(config)))
            }),
            Self::ModelConfig(id) => {
                config.get::<ModelConfig>(id.as_str()).map(|s| (&s.resource.limits, s.calendar(config)))
            }
            Self::ProviderGovernance(id) => {
                config.get::<ProviderGovernance>(id.as_str()).map(|s| (&s.resource.limits, s.calendar(config)))
            }
            Self::ProviderKey(provider_id, id) => config.get::<Provider>(provider_id.as_str()).and_then(|s| {
                let key = s.resource.keys.iter().find(|key| *key.id == **id)?;
                Some((&key.limits, s.calendar(config)))
            }),
        }
    }
}

impl Config {
    /// What the limit with this id allows of `kind`.
    pub fn limit(&self, limit_id: &LimitId, kind: LimitKind) -> Option<Dimension<'_>> {
        let (place, limits, calendar) = self.limit_place(limit_id)?;
        let mut found = Vec::with_capacity(4);
        match kind {
            LimitKind::Concurrency => found.extend(slots(&place.owner(), limits)),
            _ => add_dimensions(&place.owner(), limits, calendar, &mut found),
        }
        found.into_iter().find(|dimension| dimension.limit_id == *limit_id && dimension.kind == kind)
    }

    /// Where the limit with this id lies, among which limits, and the calendar that their windows follow.
    pub fn limit_place(&self, id: &LimitId) -> Option<(LimitPlace, &Limits, Option<&Calendar>)> {
        self.limit_places.find(id, |key| {
            let place = match key.kind {
                Kind::Customer => LimitPlace::Customer(Id::new(Arc::clone(&key.id))),
                Kind::Team => LimitPlace::Team(Id::new(Arc::clone(&key.id))),
                Kind::VirtualKey => {
                    let stored = self.get::<VirtualKey>(&key.id)?;
                    let mut configs = stored.resource.provider_configs.iter();
                    match configs.find(|config| config.limits.has(id)) {
                        Some(config) => LimitPlace::ProviderConfig(stored.id.clone(), config.id),
                        None => LimitPlace::VirtualKey(stored.id.clone()),
                    }
                }
                Kind::ModelConfig => LimitPlace::ModelConfig(Id::new(Arc::clone(&key.id))),
                Kind::ProviderGovernance => LimitPlace::ProviderGovernance(Id::new(Arc::clone(&key.id))),
                Kind::Provider => {
                    let stored = self.get::<Provider>(&key.id)?;
                    let of = stored.resource.keys.iter().find(|key| key.limits.has(id))?;
                    LimitPlace::ProviderKey(stored.id.clone(), of.id.as_ref().into())
                }
                // These have no limits.
                Kind::McpClient
                | Kind::RoutingRule
                | Kind::PricingOverride
                | Kind::ModelPrice
                | Kind::Webhook
                | Kind::Token => return None,
            };
            let (limits, calendar) = place.limits(self)?;
            limits.has(id).then_some((place, limits, calendar))
        })
    }

    /// Where the limits of an owner lie. A provider config is found by walking the keys: its id alone does not tell.
    pub fn place_of(&self, owner: &LimitOwner) -> Option<LimitPlace> {
        match owner {
            LimitOwner::Customer(id) => Some(LimitPlace::Customer(id.clone())),
            LimitOwner::Team(id) => Some(LimitPlace::Team(id.clone())),
            LimitOwner::VirtualKey(id) => Some(LimitPlace::VirtualKey(id.clone())),
            LimitOwner::ProviderConfig(id) => self
                .virtual_keys
                .iter()
                .find(|stored| stored.resource.provider_configs.iter().any(|config| config.id == *id))
                .map(|stored| LimitPlace::ProviderConfig(stored.id.clone(), *id)),
            LimitOwner::ModelConfig(id) => Some(LimitPlace::ModelConfig(id.clone())),
            LimitOwner::Provider(id) => Some(LimitPlace::ProviderGovernance(Id::new(id.shared()))),
            LimitOwner::ProviderKey(id) => {
                self.provider_key(id).map(|(provider, _)| LimitPlace::ProviderKey(provider.clone(), Arc::clone(id)))
            }
        }
    }
}
