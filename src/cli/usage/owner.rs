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
    ProviderKey,
}

impl OwnerKind {
    pub(super) const ALL: [Self; 7] = [
        Self::Customer,
        Self::Team,
        Self::VirtualKey,
        Self::ProviderConfig,
        Self::ModelConfig,
        Self::Provider,
        Self::ProviderKey,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Team => "team",
            Self::VirtualKey => "virtual_key",
            Self::ProviderConfig => "provider_config",
            Self::ModelConfig => "model_config",
            Self::Provider => "provider",
            Self::ProviderKey => "provider_key",
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
            Self::ProviderKey => Kind::Provider,
        }
    }
}

/// A part of a resource that owns limits: its id, and what it is called beside the name of the resource.
struct Part<'a> {
    id: String,
    name: &'a str,
}

/// An owner, and its limits.
pub(super) struct Owner<'a> {
    pub(super) kind: OwnerKind,
    budgets: &'a [Budget],
    rate_limits: &'a [RateLimit],
    /// The part of the resource that it is, if it is not the resource itself.
    part: Option<Part<'a>>,
}

impl<'a> Owner<'a> {
    fn new(kind: OwnerKind, budgets: &'a [Budget], rate_limits: &'a [RateLimit], part: Option<Part<'a>>) -> Self {
        Self { kind, budgets, rate_limits, part }
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
                    let part = Some(Part { id: config.id.to_string(), name: &config.provider });
                    Self::new(Kind::ProviderConfig, &config.budgets, &config.rate_limits, part)
                });
                std::iter::once(own).chain(configs).collect()
            }
            Some(Resource::ModelConfig(it)) => {
                vec![Self::new(Kind::ModelConfig, &it.budgets, &it.rate_limits, None)]
            }
            Some(Resource::ProviderGovernance(it)) => {
                vec![Self::new(Kind::Provider, &it.budgets, &it.rate_limits, None)]
            }
            Some(Resource::Provider(it)) => {
                let keys = it.keys.iter().map(|key| {
                    let name = if key.name.is_empty() { &key.id } else { &key.name };
                    Self::new(
                        Kind::ProviderKey,
                        &key.budgets,
                        &key.rate_limits,
                        Some(Part { id: key.id.clone(), name }),
                    )
                });
                keys.collect()
            }
            Some(
                Resource::RoutingRule(_)
                | Resource::PricingOverride(_)
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
        match (&self.part, &resource.resource) {
            (Some(part), _) => (part.id.clone(), format!("{name}, {}", part.name)),
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
