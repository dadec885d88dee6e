//! What may stop a request: what its key may not use, and limits that are used up (`docs/design/semantics.md §§4, 8`).

use std::sync::Arc;

use super::ceilings::{forbids_model, forbids_provider};
use super::chain::{Applied, chain};
use super::pricing::Free;
use super::{Caller, LimitCheck, Request, Usage, Verdict};
use crate::config::Config;
use crate::domain::{
    AllowList, Budget, Calendar, Enforcement, LimitId, LimitKind, LimitOwner, Limits, ModelPattern, Provider,
    ProviderConfig, RateDimension, RateLimit, Reserve, ResetDuration, Stored, Timestamp, VirtualKey, Window,
    bare_model,
};

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

/// Whether the provider config permits the model. What is blocked is not permitted.
pub fn permits_model(provider_config: &ProviderConfig, model: &str) -> bool {
    let provider = provider_config.provider.as_str();
    let model = bare_model(model, provider);
    let names = |permit: &AllowList| match permit {
        AllowList::All => true,
        AllowList::Only(patterns) => patterns.iter().any(|text| ModelPattern::of(text, provider).matches(model)),
    };
    names(&provider_config.allowed_models) && !names(&provider_config.blocked_models)
}

/// The verdict on a request for the model through the provider config, with its reason, if the key, its team or its customer
/// forbids it.
pub(super) fn refused(caller: Caller<'_>, provider_config: &ProviderConfig, model: &str) -> Option<(Verdict, String)> {
    let provider = provider_config.provider.as_str();
    if let Some(reason) = forbids_provider(caller, provider) {
        return Some((Verdict::ProviderBlocked, reason));
    }
    if !permits_model(provider_config, model) {
        return Some((Verdict::ModelBlocked, "does not allow the model".to_owned()));
    }
    forbids_model(caller, provider, model).map(|reason| (Verdict::ModelBlocked, reason))
}

/// Whether the provider config permits the provider key, or any if none is named.
pub fn permits_key(provider_config: &ProviderConfig, key_id: Option<&str>) -> bool {
    match (&provider_config.key_ids, key_id) {
        (AllowList::All, _) => true,
        (AllowList::Only(ids), None) => !ids.is_empty(),
        (AllowList::Only(ids), Some(key_id)) => ids.iter().any(|id| id.as_ref() == key_id),
    }
}

/// The provider config whose limits apply: the first that permits the model, or else the first of the provider.
pub(super) fn config_of<'a>(
    key: &'a Arc<Stored<VirtualKey>>,
    provider: &str,
    model: &str,
) -> Option<&'a ProviderConfig> {
    let mut own =
        key.resource.provider_configs.iter().filter(|provider_config| provider_config.provider.as_str() == provider);
    own.clone().find(|provider_config| permits_model(provider_config, model)).or_else(|| own.next())
}

/// The provider config by which the key may use provider, model and provider key; `drawn` goes first.
pub(super) fn permitted<'a>(
    (key, caller): (&'a Arc<Stored<VirtualKey>>, Caller<'_>),
    drawn: Option<i64>,
    provider: &str,
    model: &str,
    key_id: Option<&str>,
) -> Result<&'a ProviderConfig, Refusal<'a>> {
    let name = &key.resource.name;
    let own: Vec<_> = key
        .resource
        .provider_configs
        .iter()
        .filter(|provider_config| provider_config.provider.as_str() == provider)
        .collect();
    if own.is_empty() {
        let reason = format!("virtual key {name:?} may not use provider {provider:?}; add it to its provider_configs");
        return Err(Refusal::new(Verdict::ProviderBlocked, reason));
    }
    if let Some(reason) = forbids_provider(caller, provider) {
        return Err(Refusal::new(Verdict::ProviderBlocked, reason));
    }
    let permitting: Vec<_> = own.into_iter().filter(|provider_config| permits_model(provider_config, model)).collect();
    if permitting.is_empty() {
        let reason = format!(
            "virtual key {name:?} may not use model {model:?} of {provider:?}; see allowed_models and blocked_models"
        );
        return Err(Refusal::new(Verdict::ModelBlocked, reason));
    }
    if let Some(reason) = forbids_model(caller, provider, model) {
        return Err(Refusal::new(Verdict::ModelBlocked, reason));
    }
    let mut usable = permitting.into_iter().filter(|provider_config| permits_key(provider_config, key_id));
    let found = usable.clone().find(|provider_config| Some(provider_config.id) == drawn).or_else(|| usable.next());
    found.ok_or_else(|| {
        let which = key_id.map_or_else(|| "any provider key".to_owned(), |id| format!("provider key {id:?}"));
        let reason = format!("virtual key {name:?} may not use {which} of {provider:?}; see key_ids");
        Refusal::new(Verdict::ProviderKeyBlocked, reason)
    })
}

/// The only provider key that may be used, if there is but one: of those of the provider that `may_use` lets through.
pub fn only_provider_key<'a>(config: &'a Config, provider: &str, may_use: impl Fn(&str) -> bool) -> Option<&'a str> {
    let keys = &config.get::<Provider>(provider)?.resource.keys;
    let mut usable = keys.iter().map(|key| &*key.id).filter(|id| may_use(id));
    usable.next().filter(|_| usable.next().is_none())
}

/// The provider key that a request uses: the one that it or a rule names, or the only one that it may use.
pub(super) fn provider_key<'a>(
    config: &'a Config,
    provider: &str,
    provider_config: Option<&ProviderConfig>,
    named: Option<&'a str>,
) -> Option<&'a str> {
    let may_use = |id: &str| provider_config.is_none_or(|provider_config| permits_key(provider_config, Some(id)));
    named.or_else(|| only_provider_key(config, provider, may_use))
}

/// Why a provider key may not be used with a provider: it is known as that of another. Of one that is not known there is
/// nothing to say, since a gateway may have provider keys that it told nobody of.
pub(super) fn foreign_key(config: &Config, provider: &str, key_id: &str) -> Option<String> {
    let owner = config.provider_key(key_id).map(|(owner, _)| owner.as_str()).filter(|owner| *owner != provider)?;
    Some(format!(
        "provider key {key_id:?} belongs to provider {owner:?}, not to {provider:?}; name its provider, or no provider key"
    ))
}

/// What there is to say of an allowed request about the provider keys that it may use.
pub(super) fn note_on_keys(config: &Config, place: Place<'_>) -> Option<String> {
    let Place { provider, model, provider_config, provider_key_id } = place;
    let keys = &config.get::<Provider>(provider)?.resource.keys;
    let may_use = |id: &str| match provider_key_id {
        Some(named) => named == id,
        None => provider_config.is_none_or(|provider_config| permits_key(provider_config, Some(id))),
    };
    let bare = bare_model(model, provider);
    let serves = |models: &[Box<str>]| {
        models.is_empty() || models.iter().any(|text| ModelPattern::of(text, provider).matches(bare))
    };
    let usable = keys.iter().filter(|key| may_use(&key.id));
    if usable.clone().next().is_some() && !usable.clone().any(|key| serves(&key.models)) {
        return Some(format!(
            "but no provider key of {provider:?} that it may use serves model {model:?}: see the models of the provider's keys"
        ));
    }
    let has_limits = provider_key_id.is_none() && usable.clone().any(|key| !key.limits.is_empty());
    has_limits.then(|| {
        format!("limits of the provider keys of {provider:?} do not apply, since it may use several and names none")
    })
}

/// Where a request goes, for its limits.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) provider: &'a str,
    pub(super) model: &'a str,
    pub(super) provider_config: Option<&'a ProviderConfig>,
    pub(super) provider_key_id: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// The limits that apply there, in the order in which they are checked.
    fn chain(self, config: &'a Config, caller: Caller<'a>) -> Vec<Applied<'a>> {
        let Self { provider, model, provider_config, provider_key_id } = self;
        chain(config, caller, provider, provider_key_id, model, provider_config)
    }
}

/// The limits that apply, in the order in which they are checked.
pub(super) fn limits(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    place: Place<'_>,
    free: &Free<'_>,
) -> Vec<LimitCheck> {
    let mut found = Vec::with_capacity(16);
    for Applied { owner, limits, calendar } in place.chain(config, caller) {
        check(usage, request, &owner, limits, calendar, free, &mut found);
    }
    found
}

/// The limits of one owner: open requests, token rate, request rate, then budgets, the shortest window first. Budgets do not
/// stop what is free.
pub(super) fn check(
    usage: &dyn Usage,
    request: &Request<'_>,
    owner: &LimitOwner,
    limits: &Limits,
    calendar: Option<&Calendar>,
    free: &Free<'_>,
    found: &mut Vec<LimitCheck>,
) {
    each(usage, request, limits, calendar, |dimension| {
        let Used { limit_id, kind, enforcement, reserve, used, max, estimate, window } = dimension;
        let fits = estimate <= 0 || used.saturating_add(estimate) <= max;
        // One that may wait need not wait at a lock.
        let waits = kind == LimitKind::Concurrency && max > 0 && !usage.weighs_open(enforcement);
        let full = used >= max && !waits || !fits && usage.weighs_estimates(kind, enforcement);
        let stops = full && !(kind == LimitKind::Budget && free.is_free());
        let is_shadow = enforcement == Enforcement::Shadow;
        found.push(LimitCheck {
            owner: owner.clone(),
            limit_id: limit_id.clone(),
            kind,
            used,
            max,
            remaining: max.saturating_sub(used).max(0),
            window,
            enforcement,
            reserve,
            blocks: stops && !is_shadow,
            would_block: stops && is_shadow,
        });
    });
}

/// A dimension of a limit, what of it is used, and what a request is expected to add.
struct Used<'a> {
    limit_id: &'a LimitId,
    kind: LimitKind,
    enforcement: Enforcement,
    reserve: Reserve,
    used: i64,
    max: i64,
    estimate: i64,
    window: Window,
}

fn each(
    usage: &dyn Usage,
    request: &Request<'_>,
    limits: &Limits,
    calendar: Option<&Calendar>,
    mut visit: impl FnMut(Used<'_>),
) {
    let at = |anchor: Timestamp, length: &ResetDuration| Window::at(anchor, length, calendar, request.at);
    // At most one of them has it.
    if let Some((rate, max)) = limits.rate_limits.iter().find_map(|rate| Some((rate, rate.concurrent?))) {
        let window = Window { start: Timestamp::EPOCH, end: Timestamp::MAX };
        let (kind, enforcement, reserve) = (LimitKind::Concurrency, rate.enforcement, Reserve::default());
        let (used, estimate) = (usage.open(rate), 0);
        visit(Used { limit_id: &rate.id, kind, enforcement, reserve, used, max, estimate, window });
    }
    let tokens = limits.rate_limits.iter().filter_map(|rate| Some((rate, rate.token()?)));
    shortest_first(tokens, rate_place, |(rate, RateDimension { max_limit, reset_duration, anchor })| {
        let window = at(*anchor, reset_duration);
        let (used, estimate) = (usage.tokens(rate, &window), request.estimated_tokens);
        let (kind, enforcement, reserve) = (LimitKind::Tokens, rate.enforcement, rate.reserve);
        visit(Used { limit_id: &rate.id, kind, enforcement, reserve, used, max: *max_limit, estimate, window });
    });
    let requests = limits.rate_limits.iter().filter_map(|rate| Some((rate, rate.request()?)));
    shortest_first(requests, rate_place, |(rate, RateDimension { max_limit, reset_duration, anchor })| {
        let window = at(*anchor, reset_duration);
        let used = usage.requests(rate, &window);
        let (kind, enforcement, reserve) = (LimitKind::Requests, rate.enforcement, Reserve::default());
        visit(Used { limit_id: &rate.id, kind, enforcement, reserve, used, max: *max_limit, estimate: 0, window });
    });
    shortest_first(limits.budgets.iter(), budget_place, |budget| {
        let window = at(budget.anchor, &budget.reset_duration);
        let (used, max) = (usage.budget(budget, &window), budget.effective_max_limit(request.at).nanos());
        let (kind, enforcement, reserve) = (LimitKind::Budget, budget.enforcement, budget.reserve);
        let estimate = request.estimated_cost;
        visit(Used { limit_id: &budget.id, kind, enforcement, reserve, used, max, estimate, window });
    });
}

fn rate_place<'a>((rate, dimension): (&'a RateLimit, &RateDimension)) -> (i64, &'a LimitId) {
    (dimension.reset_duration.millis(), &rate.id)
}

fn budget_place(budget: &Budget) -> (i64, &LimitId) {
    (budget.reset_duration.millis(), &budget.id)
}

/// Visits limits in the order of their `place`, in which they mostly stand: by the length of the window, then by id.
fn shortest_first<'a, L: Copy>(
    limits: impl Iterator<Item = L> + Clone,
    place: impl Fn(L) -> (i64, &'a LimitId),
    visit: impl FnMut(L),
) {
    if limits.clone().is_sorted_by_key(&place) {
        limits.for_each(visit);
    } else {
        let mut sorted: Vec<_> = limits.collect();
        sorted.sort_by_key(|limit| place(*limit));
        sorted.into_iter().for_each(visit);
    }
}

/// The greatest percentages used of the limits that apply: of budgets, of token limits, of request limits; 0 where there are
/// none. Limits that refuse nothing do not count.
pub(super) fn percentages(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    place: Place<'_>,
) -> (f64, f64, f64) {
    let (mut budgets, mut tokens, mut requests) = (0.0, 0.0, 0.0);
    for Applied { limits, calendar, .. } in place.chain(config, caller) {
        each(usage, request, limits, calendar, |Used { kind, enforcement, used, max, .. }| {
            // It must not change where requests go either.
            if enforcement == Enforcement::Shadow {
                return;
            }
            let greatest = match kind {
                LimitKind::Budget => &mut budgets,
                LimitKind::Tokens => &mut tokens,
                LimitKind::Requests => &mut requests,
                // The server does not know the number that a node knows, and rules must mean the same at both.
                LimitKind::Concurrency => return,
            };
            // Of a lock there is nothing left from the beginning.
            let percent = if max == 0 { 100.0 } else { 100.0 * used as f64 / max as f64 };
            *greatest = f64::max(*greatest, percent);
        });
    }
    (budgets, tokens, requests)
}

/// A limit that stops a request, in words.
pub(super) fn tell(limit: &LimitCheck) -> String {
    tell_why(limit, if limit.used < limit.max { ", and the estimate does not fit" } else { "" })
}

/// A limit that stops a request, and why, in words.
pub(super) fn tell_why(limit: &LimitCheck, why: &str) -> String {
    let LimitCheck { owner, limit_id, kind, used, max, window, .. } = limit;
    let dollars = |nanos: &i64| format!("{:.6} USD", *nanos as f64 / 1e9);
    let (what, used, max) = match kind {
        LimitKind::Tokens => ("rate limit", format!("{used} tokens"), format!("{max}")),
        LimitKind::Requests => ("rate limit", format!("{used} requests"), format!("{max}")),
        LimitKind::Budget => ("budget", dollars(used), dollars(max)),
        LimitKind::Concurrency => {
            return format!("rate limit {limit_id} of {owner}: {used} of {max} requests at once are open{why}");
        }
    };
    let resets = if window.has_end() { format!("resets at {}", window.end) } else { "never resets".to_owned() };
    format!("{what} {limit_id} of {owner}: {used} of {max} used{why}; {resets}")
}
