//! What may stop a request: what its key may not use, and limits that are used up (`semantics.md` §§4 and 8).

use std::cmp::Ordering;
use std::sync::Arc;

use super::chain::{Applied, chain};
use super::{Caller, Explanation, LimitCheck, Request, Usage, Verdict};
use crate::domain::{
    LimitId, LimitKind, LimitOwner, Limits, Permit, ProviderConfig, RateDimension, Stored, VirtualKey, Window,
};
use crate::state::State;

/// Why a key may not use something. `exhausted` is the provider config whose own limit left no candidate.
pub(super) struct Refusal<'a> {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) exhausted: Option<&'a ProviderConfig>,
}

impl Refusal<'_> {
    pub(super) const fn new(verdict: Verdict, reason: String) -> Self {
        Self { verdict, reason, exhausted: None }
    }
}

/// Whether the config permits the model: exactly, or with the provider's prefix. What is blacklisted is not.
pub(crate) fn permits_model(config: &ProviderConfig, model: &str) -> bool {
    let provider = config.provider.as_str();
    let names = |permit: &Permit| match permit {
        Permit::All => true,
        Permit::Only(names) => names.iter().any(|name| bare(name, provider) == bare(model, provider)),
    };
    names(&config.allowed_models) && !names(&config.blacklisted_models)
}

/// A model without the provider's prefix.
pub(super) fn bare<'a>(model: &'a str, provider: &str) -> &'a str {
    model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model)
}

fn permits_key(config: &ProviderConfig, key_id: Option<&str>) -> bool {
    match (&config.key_ids, key_id) {
        (Permit::All, _) => true,
        (Permit::Only(ids), None) => !ids.is_empty(),
        (Permit::Only(ids), Some(key_id)) => ids.iter().any(|id| id.as_ref() == key_id),
    }
}

/// The provider config whose limits apply: the first that permits the model, or else the first of the provider.
pub(super) fn config_of<'a>(
    key: &'a Arc<Stored<VirtualKey>>,
    provider: &str,
    model: &str,
) -> Option<&'a ProviderConfig> {
    let mut own = key.resource.provider_configs.iter().filter(|config| config.provider.as_str() == provider);
    own.clone().find(|config| permits_model(config, model)).or_else(|| own.next())
}

/// The provider config by which the key may use provider, model and provider key of the explanation; `drawn` goes first.
pub(super) fn permitted<'a>(
    key: &'a Arc<Stored<VirtualKey>>,
    drawn: Option<i64>,
    explanation: &Explanation,
) -> Result<&'a ProviderConfig, Refusal<'a>> {
    let (provider, model) = (&*explanation.provider, &*explanation.model);
    let name = &key.resource.name;
    let own: Vec<_> =
        key.resource.provider_configs.iter().filter(|config| config.provider.as_str() == provider).collect();
    if own.is_empty() {
        let reason = format!("virtual key {name:?} may not use provider {provider:?}; add it to its provider_configs");
        return Err(Refusal::new(Verdict::ProviderBlocked, reason));
    }
    let permitting: Vec<_> = own.into_iter().filter(|config| permits_model(config, model)).collect();
    if permitting.is_empty() {
        let reason = format!(
            "virtual key {name:?} may not use model {model:?} of {provider:?}; see allowed_models and blacklisted_models"
        );
        return Err(Refusal::new(Verdict::ModelBlocked, reason));
    }
    let key_id = explanation.key_id.as_deref();
    let mut usable = permitting.into_iter().filter(|config| permits_key(config, key_id));
    let found = usable.clone().find(|config| Some(config.id) == drawn).or_else(|| usable.next());
    found.ok_or_else(|| {
        let which = key_id.map_or_else(|| "any provider key".to_owned(), |id| format!("provider key {id:?}"));
        let reason = format!("virtual key {name:?} may not use {which} of {provider:?}; see key_ids");
        Refusal::new(Verdict::ProviderKeyBlocked, reason)
    })
}

/// Where a request goes, for its limits.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) config: Option<&'a ProviderConfig>,
}

/// The limits that apply, in the order in which they are checked.
pub(super) fn limits(
    state: &State,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    place: Place<'_>,
) -> Vec<LimitCheck> {
    let mut found = Vec::with_capacity(16);
    for Applied { owner, limits, calendar_aligned } in chain(state, caller, place.provider, place.model, place.config) {
        check(usage, request, &owner, limits, calendar_aligned, &mut found);
    }
    found
}

/// The limits of one owner: token rate, request rate, then budgets, the shortest window first.
pub(super) fn check(
    usage: &dyn Usage,
    request: &Request<'_>,
    owner: &LimitOwner,
    limits: &Limits,
    aligned: bool,
    found: &mut Vec<LimitCheck>,
) {
    let mut push = |id: LimitId, kind: LimitKind, used: i64, max: i64, estimate: i64, window: Window| {
        let blocks = used >= max || estimate > 0 && used.saturating_add(estimate) > max;
        found.push(LimitCheck {
            owner: owner.clone(),
            limit_id: id,
            kind,
            used,
            max,
            remaining: max.saturating_sub(used).max(0),
            window,
            blocks,
        });
    };
    if let Some(rate) = limits.rate_limit.as_deref() {
        let at =
            |dimension: &RateDimension| Window::at(dimension.anchor, &dimension.reset_duration, aligned, request.at);
        if let Some(token) = &rate.token {
            let (window, estimate) = (at(token), request.estimated_tokens);
            push(rate.id.clone(), LimitKind::Tokens, usage.tokens(rate, &window), token.max_limit, estimate, window);
        }
        if let Some(requests) = &rate.request {
            let window = at(requests);
            let used = usage.requests(rate, &window);
            push(rate.id.clone(), LimitKind::Requests, used, requests.max_limit, 0, window);
        }
    }
    let mut budgets: Vec<_> = limits.budgets.iter().collect();
    budgets.sort_by(|one, other| {
        let shorter = one.reset_duration.millis().cmp(&other.reset_duration.millis());
        shorter.then_with(|| one.id.cmp(&other.id))
    });
    for budget in budgets {
        let window = Window::at(budget.anchor, &budget.reset_duration, aligned, request.at);
        let (used, max) = (usage.budget(budget, &window), budget.max_limit.nanos());
        push(budget.id.clone(), LimitKind::Budget, used, max, request.estimated_cost, window);
    }
}

/// The greatest percentages used: of budgets, of token limits, of request limits; 0 where there are none.
pub(super) fn percentages(limits: &[LimitCheck]) -> (f64, f64, f64) {
    let greatest = |kind: LimitKind| {
        let of_kind = limits.iter().filter(|limit| limit.kind == kind);
        let percent = of_kind.map(|limit| 100.0 * limit.used as f64 / limit.max as f64);
        percent.max_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal)).unwrap_or(0.0)
    };
    (greatest(LimitKind::Budget), greatest(LimitKind::Tokens), greatest(LimitKind::Requests))
}

/// A limit that stops a request, in words.
pub(super) fn tell(limit: &LimitCheck) -> String {
    let LimitCheck { owner, limit_id, kind, used, max, window, remaining: _, blocks: _ } = limit;
    let owner = match owner {
        LimitOwner::Customer(id) => format!("customer {id}"),
        LimitOwner::Team(id) => format!("team {id}"),
        LimitOwner::VirtualKey(id) => format!("virtual key {id}"),
        LimitOwner::ProviderConfig(id) => format!("provider config {id}"),
        LimitOwner::ModelConfig(id) => format!("model config {id}"),
        LimitOwner::Provider(id) => format!("provider {id}"),
    };
    let dollars = |nanos: &i64| format!("{:.6} USD", *nanos as f64 / 1e9);
    let (what, used, max) = match kind {
        LimitKind::Tokens => ("rate limit", format!("{used} tokens"), format!("{max}")),
        LimitKind::Requests => ("rate limit", format!("{used} requests"), format!("{max}")),
        LimitKind::Budget => ("budget", dollars(used), dollars(max)),
    };
    let why = if limit.used < limit.max { ", and the estimate does not fit" } else { "" };
    format!("{what} {limit_id} of {owner}: {used} of {max} used{why}; resets at {}", window.end)
}
