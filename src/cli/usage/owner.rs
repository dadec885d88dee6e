//! Whose limits they are.

use crate::domain::Kind;
use crate::proto::v1::config_resource::Resource;
use crate::proto::v1::{Budget, ConfigResource, ModelConfig, ModelConfigScope, RateLimit, ResourceKey};
use crate::reducer::{Summary, View};

/// What may own limits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum OwnerKind {
    Customer,
    Team,
    VirtualKey,
    ProviderConfig,
    ModelConfig,
    Provider,
}

impl OwnerKind {
    pub(super) const ALL: [Self; 6] =
        [Self::Customer, Self::Team, Self::VirtualKey, Self::ProviderConfig, Self::ModelConfig, Self::Provider];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Team => "team",
            Self::VirtualKey => "virtual_key",
            Self::ProviderConfig => "provider_config",
            Self::ModelConfig => "model_config",
            Self::Provider => "provider",
        }
    }

    /// The kind of resource that such an owner is, or is part of.
    pub(super) const fn resource(self) -> Kind {
        match self {
            Self::Customer => Kind::Customer,
            Self::Team => Kind::Team,
            Self::VirtualKey | Self::ProviderConfig => Kind::VirtualKey,
            Self::ModelConfig => Kind::ModelConfig,
            Self::Provider => Kind::ProviderGovernance,
        }
    }
}

/// An owner, and its limits.
pub(super) struct Owner<'a> {
    pub(super) kind: OwnerKind,
    budgets: &'a [Budget],
    rate_limits: &'a [RateLimit],
    /// Id and provider, if it is a provider config.
    config: Option<(i64, &'a str)>,
}

impl<'a> Owner<'a> {
    fn new(
        kind: OwnerKind,
        budgets: &'a [Budget],
        rate_limits: &'a [RateLimit],
        config: Option<(i64, &'a str)>,
    ) -> Self {
        Self { kind, budgets, rate_limits, config }
    }

    /// The owners that a resource is or has.
    pub(super) fn all_of(resource: &'a ConfigResource) -> Vec<Self> {
        use OwnerKind as Kind;
        match &resource.resource {
            Some(Resource::Customer(it)) => {
                vec![Self::new(Kind::Customer, &it.budgets, &it.rate_limits, None)]
            }
            Some(Resource::Team(it)) => {
                vec![Self::new(Kind::Team, &it.budgets, &it.rate_limits, None)]
            }
            Some(Resource::VirtualKey(it)) => {
                let own = Self::new(Kind::VirtualKey, &it.budgets, &it.rate_limits, None);
                let configs = it.provider_configs.iter().map(|config| {
                    let named = Some((config.id, config.provider.as_str()));
                    Self::new(Kind::ProviderConfig, &config.budgets, &config.rate_limits, named)
                });
                std::iter::once(own).chain(configs).collect()
            }
            Some(Resource::ModelConfig(it)) => {
                vec![Self::new(Kind::ModelConfig, &it.budgets, &it.rate_limits, None)]
            }
            Some(Resource::ProviderGovernance(it)) => {
                vec![Self::new(Kind::Provider, &it.budgets, &it.rate_limits, None)]
            }
            Some(
                Resource::RoutingRule(_)
                | Resource::PricingOverride(_)
                | Resource::Provider(_)
                | Resource::McpClient(_)
                | Resource::ModelPrice(_)
                | Resource::Webhook(_)
                | Resource::Token(_),
            )
            | None => Vec::new(),
        }
    }

    pub(super) fn limit_ids(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let budgets = self.budgets.iter().map(|budget| budget.id.as_str());
        budgets.chain(self.rate_limits.iter().map(|limit| limit.id.as_str()))
    }

    /// Its id and its name; `resource` is what it is or belongs to, in `view`.
    pub(super) fn identity(&self, resource: &ConfigResource, view: &View) -> (String, String) {
        let Some(Summary { key: ResourceKey { id, .. }, name, .. }) = Summary::of(resource) else {
            return Default::default();
        };
        match (&self.config, &resource.resource) {
            (Some((config, provider)), _) => (config.to_string(), format!("{name}, {provider}")),
            (None, Some(Resource::ModelConfig(config))) => (id, model_config(config, view)),
            (None, _) => (id, name),
        }
    }
}

/// A model config by what it limits: model, provider and whose traffic.
fn model_config(config: &ModelConfig, view: &View) -> String {
    let ModelConfig { model_name, provider, scope_id, .. } = config;
    let at = if provider.is_empty() { String::new() } else { format!(", {provider}") };
    let kind = match config.scope() {
        ModelConfigScope::Customer => Kind::Customer,
        ModelConfigScope::Team => Kind::Team,
        ModelConfigScope::VirtualKey => Kind::VirtualKey,
        ModelConfigScope::Global | ModelConfigScope::Unspecified => return format!("{model_name}{at}"),
    };
    let key = ResourceKey { kind: kind.number(), id: scope_id.clone() };
    // What is not followed has no name here.
    let name = view.get(&key).and_then(|resource| Summary::of(resource)).map_or(key.id, |summary| summary.name);
    format!("{model_name}{at} for {} {name}", kind.name())
}
