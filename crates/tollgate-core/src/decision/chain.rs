//! Whose limits apply to a request, in the order in which they are checked (`docs/design/semantics.md §8`). What is
//! decided and what is counted goes through here, so that a request counts against the limits that could have stopped
//! it.

use super::Caller;
use crate::config::Config;
use crate::domain::{Id, LimitOwner, Limits, ProviderConfig, ProviderGovernance, Scope};

/// An owner of limits that apply.
pub struct Applied<'a> {
    /// Which.
    pub owner: LimitOwner,
    /// Its limits.
    pub limits: &'a Limits,
    /// Whether their windows are those of the calendar.
    pub calendar_aligned: bool,
}

/// Provider governance, global model configs, provider configs, key, the key's model configs, team, its model configs,
/// customer, its model configs. `configs` are those of the key that the request goes by.
pub fn chain<'a>(
    config: &'a Config,
    caller: Caller<'a>,
    provider: &str,
    model: &str,
    configs: impl IntoIterator<Item = &'a ProviderConfig>,
) -> Vec<Applied<'a>> {
    let mut found = Vec::with_capacity(8);
    if let Some(stored) = config.get::<ProviderGovernance>(provider) {
        let (limits, calendar_aligned) = (&stored.resource.limits, stored.resource.calendar_aligned);
        found.push(Applied { owner: LimitOwner::Provider(Id::new(stored.id.shared())), limits, calendar_aligned });
    }
    add_models(config, Scope::Global, provider, model, &mut found);
    if let Some(key) = caller.key {
        let calendar_aligned = key.resource.calendar_aligned;
        for provider_config in configs {
            let owner = LimitOwner::ProviderConfig(provider_config.id);
            found.push(Applied { owner, limits: &provider_config.limits, calendar_aligned });
        }
        let owner = LimitOwner::VirtualKey(key.id.clone());
        found.push(Applied { owner, limits: &key.resource.limits, calendar_aligned });
        add_models(config, Scope::VirtualKey(key.id.clone()), provider, model, &mut found);
    }
    if let Some(team) = caller.team {
        let calendar_aligned = team.resource.calendar_aligned;
        let owner = LimitOwner::Team(team.id.clone());
        found.push(Applied { owner, limits: &team.resource.limits, calendar_aligned });
        add_models(config, Scope::Team(team.id.clone()), provider, model, &mut found);
    }
    if let Some(customer) = caller.customer {
        let calendar_aligned = customer.resource.calendar_aligned;
        let owner = LimitOwner::Customer(customer.id.clone());
        found.push(Applied { owner, limits: &customer.resource.limits, calendar_aligned });
        add_models(config, Scope::Customer(customer.id.clone()), provider, model, &mut found);
    }
    found
}

/// The model configs of a scope: (model, provider), (model, *), (*, provider), (*, *). A model may be named with the
/// provider's prefix.
fn add_models<'a>(config: &'a Config, scope: Scope, provider: &str, model: &str, found: &mut Vec<Applied<'a>>) {
    if !config.has_model_configs(&scope) {
        return;
    }
    let bare = super::checks::bare(model, provider);
    // A request for the model "*" has no name but the one that every request has.
    let mut names = vec![model, bare];
    names.dedup();
    names.retain(|name| *name != "*");
    let provider = (!provider.is_empty()).then(|| Id::new(provider));
    let named = |names: &[&str], provider: Option<Id<_>>| {
        let places = names.iter().map(|name| (scope.clone(), Box::<str>::from(*name), provider.clone()));
        places.collect::<Vec<_>>()
    };
    let mut places = Vec::with_capacity(6);
    for names in [names.as_slice(), &["*"]] {
        if provider.is_some() {
            places.extend(named(names, provider.clone()));
        }
        places.extend(named(names, None));
    }
    for stored in places.iter().filter_map(|place| config.model_config(place)) {
        let (limits, calendar_aligned) = (&stored.resource.limits, stored.resource.calendar_aligned);
        found.push(Applied { owner: LimitOwner::ModelConfig(stored.id.clone()), limits, calendar_aligned });
    }
}
