//! What becomes of a request: routing, checks and prices, as pure functions over a configuration and its usage.
//!
//! [`explain`] is the whole decision, with every reason (`docs/design/semantics.md §§7, 8`); [`resolve_price`] finds
//! the override that applies (§9). The server answers with them and nodes decide with them, so that an explanation is
//! never about other code than the decision. Nothing here waits, counts, or knows the time: what it needs is in its
//! arguments.

mod caller;
mod candidates;
mod ceilings;
mod chain;
mod checks;
mod credit;
mod fallbacks;
mod pricing;
mod routing;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub use caller::Caller;
pub use chain::{Applied, chain};
pub use checks::{only_provider_key, permits_key, permits_model};
pub use credit::Expected;
pub use pricing::{PriceCandidate, PriceRequest, explain_price, model_price, rates, resolve_price};
pub use usage::{KnownUsage, NoUsage, Usage};

use crate::config::Config;
use crate::domain::{
    Enforcement, Fallback, Id, LimitId, LimitKind, LimitOwner, Provider, ProviderConfig, Reserve, RoutingRule, Stored,
    Timestamp, VirtualKey, Window,
};

/// The virtual key of a request.
#[derive(Clone, Copy)]
pub enum KeyGiven<'a> {
    /// None was given.
    None,
    /// One was given that does not exist.
    Unknown,
    /// This one.
    Key(&'a Arc<Stored<VirtualKey>>),
}

/// A request, as a gateway meets it.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its virtual key.
    pub key: KeyGiven<'a>,
    /// The provider asked for; empty for none.
    pub provider: &'a str,
    /// The model asked for.
    pub model: &'a str,
    /// The provider key asked for; empty for none.
    pub provider_key_id: &'a str,
    /// The kind of request, without `_stream`.
    pub request_type: &'a str,
    /// Headers, their names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    /// Query parameters, their names in lower case.
    pub params: &'a BTreeMap<String, String>,
    /// Where the caller would turn if the request fails.
    pub fallbacks: &'a [Fallback],
    /// Input tokens expected, as conditions see them; 0 for unknown.
    pub context_length: i64,
    /// Whether a streamed answer is asked for, as conditions see it.
    pub stream: bool,
    /// Tokens expected; 0 for unknown.
    pub estimated_tokens: i64,
    /// Nano-dollars expected; 0 for unknown.
    pub estimated_cost: i64,
    /// When it is made.
    pub at: Timestamp,
    /// Decides the weighted draws.
    pub seed: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may go on.
    Allow,
    /// A key was given and is not known.
    UnknownKey,
    /// The key is not active.
    KeyInactive,
    /// The key has expired.
    KeyExpired,
    /// The customer of the key, or of its team, is not active.
    CustomerInactive,
    /// The team of the key is not active.
    TeamInactive,
    /// The key, or what is above it, does not allow the provider, or there is none to use.
    ProviderBlocked,
    /// The key, or what is above it, does not allow the model.
    ModelBlocked,
    /// The key may not use the provider key, or none at all.
    ProviderKeyBlocked,
    /// A limit on requests that are open at once is reached.
    ConcurrencyLimited,
    /// A limit on tokens is used up.
    TokenLimited,
    /// A limit on requests is used up.
    RequestLimited,
    /// A budget is used up.
    BudgetExceeded,
}

/// What becomes of a request that such a limit stops.
const fn stopped_by(kind: LimitKind) -> Verdict {
    match kind {
        LimitKind::Tokens => Verdict::TokenLimited,
        LimitKind::Requests => Verdict::RequestLimited,
        LimitKind::Budget => Verdict::BudgetExceeded,
        LimitKind::Concurrency => Verdict::ConcurrencyLimited,
    }
}

/// A limit that applies to a request.
#[derive(Clone, PartialEq, Debug)]
pub struct LimitCheck {
    /// Who owns it.
    pub owner: LimitOwner,
    /// Id of the budget or rate limit.
    pub limit_id: LimitId,
    /// What it counts.
    pub kind: LimitKind,
    /// Usage in the current window; the number of open requests, where that is limited.
    pub used: i64,
    /// The ceiling.
    pub max: i64,
    /// What remains; at least 0.
    pub remaining: i64,
    /// The current window.
    pub window: Window,
    /// How the limit holds requests back.
    pub enforcement: Enforcement,
    /// How much of it is held for a request in flight.
    pub reserve: Reserve,
    /// Whether it stops the request.
    pub blocks: bool,
    /// Whether it would stop the request if it were not one that refuses nothing.
    pub would_block: bool,
}

/// A rule that was looked at.
#[derive(Clone, PartialEq, Debug)]
pub struct RuleCheck {
    /// Which. It was skipped if it is disabled.
    pub rule: Arc<Stored<RoutingRule>>,
    /// How often the chain had started over.
    pub hop: u32,
    /// Whether it matched.
    pub matched: bool,
    /// Why its expression has no value, which is no match.
    pub error: Option<String>,
}

/// A rule that matched, and what it made of the request.
#[derive(Clone, PartialEq, Debug)]
pub struct Match {
    /// Which.
    pub rule: Id<RoutingRule>,
    /// The target that was drawn, by its place.
    pub target: usize,
    /// The provider from here on; empty for none.
    pub provider: Box<str>,
    /// The model from here on.
    pub model: Box<str>,
    /// The provider key from here on.
    pub key_id: Option<Box<str>>,
}

/// A provider config of the key, where the gateway had to choose a provider.
#[derive(Clone, PartialEq, Debug)]
pub struct Candidate {
    /// Id of the provider config.
    pub config_id: i64,
    /// Its provider.
    pub provider: Box<str>,
    /// Its share; `None`: never drawn.
    pub weight: Option<f64>,
    /// Whether it, and what is above the key, permit the model.
    pub permits_model: bool,
    /// The first of its own limits that stops the request.
    pub exhausted: Option<LimitCheck>,
    /// Whether it was drawn.
    pub drawn: bool,
    /// Why it could be drawn, or not.
    pub why: String,
}

/// A fallback that may not be used.
#[derive(Clone, PartialEq, Debug)]
pub struct RejectedFallback {
    /// The fallback, with its model.
    pub fallback: Fallback,
    /// What would become of it as a request of its own.
    pub verdict: Verdict,
    /// Why, for people.
    pub reason: String,
}

/// What becomes of a request, and why.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, for people.
    pub reason: String,
    /// The provider that it goes to; empty if none was found.
    pub provider: Box<str>,
    /// The model that it goes to.
    pub model: Box<str>,
    /// The provider key asked for, pinned by a rule, or the only one that the request may use.
    pub key_id: Option<Box<str>>,
    /// Where to turn next: fallbacks that may be used, each with its model.
    pub fallbacks: Vec<Fallback>,
    /// The fallbacks that may not be used.
    pub rejected_fallbacks: Vec<RejectedFallback>,
    /// The rules that matched, in order.
    pub matches: Vec<Match>,
    /// The rules that were looked at, in order.
    pub rules: Vec<RuleCheck>,
    /// What a provider was chosen from, if one had to be.
    pub candidates: Vec<Candidate>,
    /// The limits that apply, in the order in which they are checked.
    pub limits: Vec<LimitCheck>,
    /// The one that decided.
    pub blocking: Option<usize>,
}

impl Explanation {
    /// Whether the request may go on.
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// The provider that a request is for, and the model that this provider is asked for. A request that names no provider names
/// it by its provider key, if that is a known one, or by the part of the model before the first `/`, if that is a known
/// provider.
pub fn address<'a>(config: &'a Config, provider: &'a str, provider_key_id: &str, model: &'a str) -> (&'a str, &'a str) {
    if !provider.is_empty() {
        return (provider, model);
    }
    if let Some((provider, _)) = config.provider_key(provider_key_id) {
        return (provider.as_str(), model);
    }
    match model.split_once('/') {
        Some((first, rest)) if !rest.is_empty() && config.get::<Provider>(first).is_some() => (first, rest),
        _ => (provider, model),
    }
}

/// Decides on a request. The same configuration, usage and request give the same answer.
pub fn explain(config: &Config, usage: &dyn Usage, request: &Request<'_>) -> Explanation {
    explained(config, usage, request, true)
}

/// Decides on a request whose target is chosen already, as a further attempt at a fallback: no routing rule applies.
pub fn judge(config: &Config, usage: &dyn Usage, request: &Request<'_>) -> Explanation {
    explained(config, usage, request, false)
}

fn explained(config: &Config, usage: &dyn Usage, request: &Request<'_>, is_routed: bool) -> Explanation {
    let mut random = StdRng::seed_from_u64(request.seed);
    let key = match request.key {
        KeyGiven::None => None,
        KeyGiven::Unknown => {
            let reason = "the virtual key is not known; check its id, name or value".to_owned();
            return stopped(request, Verdict::UnknownKey, reason);
        }
        KeyGiven::Key(key) => Some(key),
    };
    if let Some(key) = key {
        if !key.resource.is_active {
            let reason = format!("virtual key {:?} is not active; set is_active to let it work", key.resource.name);
            return stopped(request, Verdict::KeyInactive, reason);
        }
        if let Some(expired) = key.resource.expires_at.filter(|expires_at| *expires_at <= request.at) {
            let reason = format!("virtual key {:?} expired at {expired}; move expires_at", key.resource.name);
            return stopped(request, Verdict::KeyExpired, reason);
        }
    }
    let caller = key.map_or_else(Caller::default, |key| Caller::of(config, key));
    if let Some((verdict, reason)) = ceilings::inactive(caller) {
        return stopped(request, verdict, reason);
    }
    let (provider, model) = address(config, request.provider, request.provider_key_id, request.model);
    let request = &Request { provider, model, ..*request };
    let routed = match is_routed {
        true => routing::route(config, usage, request, caller, &mut random),
        false => routing::Routed::as_asked(request),
    };
    let routing::Routed { provider, model, key_id, fallbacks, matches, rules } = routed;
    let mut explanation = Explanation {
        verdict: Verdict::Allow,
        reason: String::new(),
        provider,
        model,
        key_id,
        fallbacks,
        rejected_fallbacks: Vec::new(),
        matches,
        rules,
        candidates: Vec::new(),
        limits: Vec::new(),
        blocking: None,
    };

    let mut provider_config: Option<&ProviderConfig> = None;
    if let Some(key) = key {
        let found = if explanation.provider.is_empty() {
            candidates::choose(config, usage, request, (key, caller), &mut explanation, &mut random)
        } else {
            let Explanation { provider, model, key_id, .. } = &explanation;
            checks::permitted((key, caller), None, provider, model, key_id.as_deref())
        };
        match found {
            Ok(found) => provider_config = Some(found),
            Err(refusal) => {
                let checks::Refusal { verdict, reason, exhausted } = refusal;
                (explanation.verdict, explanation.reason) = (verdict, reason);
                provider_config = exhausted;
            }
        }
    }

    if explanation.verdict == Verdict::Allow
        && let Some(key_id) = &explanation.key_id
        && let Some(reason) = checks::foreign_key(config, &explanation.provider, key_id)
    {
        (explanation.verdict, explanation.reason) = (Verdict::ProviderKeyBlocked, reason);
    }
    if explanation.verdict == Verdict::Allow {
        let Explanation { provider, key_id, .. } = &explanation;
        let used = checks::provider_key(config, provider, provider_config, key_id.as_deref());
        explanation.key_id = used.map(Into::into);
    }
    let place = checks::Place {
        provider: &explanation.provider,
        model: &explanation.model,
        provider_config,
        provider_key_id: explanation.key_id.as_deref(),
    };
    let free = pricing::Free::of(config, request, place.provider, place.provider_key_id, place.model);
    let limits = checks::limits(config, usage, request, caller, place, &free);
    let why = if free.has_passed() { "its price is 0, so that no budget stops it" } else { "nothing stops it" };
    explanation.blocking = match explanation.verdict {
        Verdict::Allow => limits.iter().position(|limit| limit.blocks),
        // The one that left no candidate: the first of its provider config that blocks.
        Verdict::ConcurrencyLimited | Verdict::TokenLimited | Verdict::RequestLimited | Verdict::BudgetExceeded => {
            let own = provider_config.map(|provider_config| LimitOwner::ProviderConfig(provider_config.id));
            limits.iter().position(|limit| limit.blocks && Some(&limit.owner) == own.as_ref())
        }
        _ => None,
    };
    if explanation.verdict == Verdict::Allow {
        explanation.reason = match checks::note_on_keys(config, place) {
            None => why.to_owned(),
            Some(note) => format!("{why}; {note}"),
        };
        if let Some(limit) = explanation.blocking.and_then(|index| limits.get(index)) {
            (explanation.verdict, explanation.reason) = (stopped_by(limit.kind), checks::tell(limit));
        }
    }
    explanation.limits = limits;
    fallbacks::judge(config, usage, request, caller, &mut explanation);
    explanation
}

/// The explanation of a request that its key stops, or the team or customer of the key: it was not routed, and no limit was looked at.
fn stopped(request: &Request<'_>, verdict: Verdict, reason: String) -> Explanation {
    let rejected = |fallback: &Fallback| {
        let fallback = fallbacks::complete(fallback.clone(), request.model);
        RejectedFallback { fallback, verdict, reason: reason.clone() }
    };
    Explanation {
        rejected_fallbacks: request.fallbacks.iter().map(rejected).collect(),
        verdict,
        reason,
        provider: request.provider.into(),
        model: request.model.into(),
        key_id: (!request.provider_key_id.is_empty()).then(|| request.provider_key_id.into()),
        fallbacks: Vec::new(),
        matches: Vec::new(),
        rules: Vec::new(),
        candidates: Vec::new(),
        limits: Vec::new(),
        blocking: None,
    }
}
