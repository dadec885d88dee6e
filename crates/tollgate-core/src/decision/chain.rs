//! Whose limits apply to a request, in the order in which they are checked (`docs/design/semantics.md §8`). What is
//! decided and what is counted goes through here, so that a request counts against the limits that could have stopped
//! it.

use std::sync::Arc;

use super::Caller;
use crate::config::{Aligned as _, Config};
use crate::domain::{
    Calendar, Id, LimitOwner, Limits, ModelConfig, ModelPattern, Provider, ProviderConfig, ProviderGovernance, Scope,
    Stored, bare_model,
};

/// An owner of limits that apply.
pub struct Applied<'a> {
    /// Which.
    pub owner: LimitOwner,
    /// Its limits.
    pub limits: &'a Limits,
    /// The calendar that their windows follow; `None` if they are rolling.
    pub calendar: Option<&'a Calendar>,
}

/// Provider governance, global model configs, provider key, provider configs, key, the key's model configs, team, its model
/// configs, customer, its model configs. `configs` are those of the key that the request goes by.
pub fn chain<'a>(
    config: &'a Config,
    caller: Caller<'a>,
    provider: &str,
    provider_key_id: Option<&str>,
    model: &str,
    configs: impl IntoIterator<Item = &'a ProviderConfig>,
) -> Vec<Applied<'a>> {
    let mut found = Vec::with_capacity(8);
    if let Some(stored) = config.get::<ProviderGovernance>(provider) {
        let (limits, calendar) = (&stored.resource.limits, stored.calendar(config));
        found.push(Applied { owner: LimitOwner::Provider(Id::new(stored.id.shared())), limits, calendar });
    }
    add_models(config, Scope::Global, provider, model, &mut found);
    add_provider_key(config, provider, provider_key_id, &mut found);
    if let Some(key) = caller.key {
        let calendar = key.calendar(config);
        for provider_config in configs {
            let owner = LimitOwner::ProviderConfig(provider_config.id);
            found.push(Applied { owner, limits: &provider_config.limits, calendar });
        }
        let owner = LimitOwner::VirtualKey(key.id.clone());
        found.push(Applied { owner, limits: &key.resource.limits, calendar });
        add_models(config, Scope::VirtualKey(key.id.clone()), provider, model, &mut found);
    }
    if let Some(team) = caller.team {
        let calendar = team.calendar(config);
        let owner = LimitOwner::Team(team.id.clone());
        found.push(Applied { owner, limits: &team.resource.limits, calendar });
        add_models(config, Scope::Team(team.id.clone()), provider, model, &mut found);
    }
    if let Some(customer) = caller.customer {
        let calendar = customer.calendar(config);
        let owner = LimitOwner::Customer(customer.id.clone());
        found.push(Applied { owner, limits: &customer.resource.limits, calendar });
        add_models(config, Scope::Customer(customer.id.clone()), provider, model, &mut found);
    }
    found
}

/// The key of the provider with this id. One that the provider does not have has no limits.
fn add_provider_key<'a>(config: &'a Config, provider: &str, id: Option<&str>, found: &mut Vec<Applied<'a>>) {
    let Some(id) = id else { return };
    let Some(stored) = config.get::<Provider>(provider) else { return };
    let key = stored.resource.keys.iter().find(|key| *key.id == *id);
    if let Some(key) = key.filter(|key| !key.limits.is_empty()) {
        let owner = LimitOwner::ProviderKey(id.into());
        found.push(Applied { owner, limits: &key.limits, calendar: stored.calendar(config) });
    }
}

/// The model configs of a scope: (model, provider), (model, every provider), (`*`, provider), (`*`, every provider). Of those
/// that name models, the exact ones come first, then the longer prefixes.
fn add_models<'a>(config: &'a Config, scope: Scope, provider: &str, model: &str, found: &mut Vec<Applied<'a>>) {
    let model = bare_model(model, provider);
    let own = match provider {
        "" => Vec::new(),
        provider => config.model_configs_of(&scope, Some(Id::new(provider)), model),
    };
    let every = config.model_configs_of(&scope, None, model);
    let for_all = |stored: &&Arc<Stored<ModelConfig>>| stored.resource.models() == ModelPattern::ALL;
    for all in [false, true] {
        for stored in own.iter().chain(&every).copied().filter(|stored| for_all(stored) == all) {
            let (limits, calendar) = (&stored.resource.limits, stored.calendar(config));
            found.push(Applied { owner: LimitOwner::ModelConfig(stored.id.clone()), limits, calendar });
        }
    }
}
