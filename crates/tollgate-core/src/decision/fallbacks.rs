//! Fallbacks, judged as requests of their own that no rule sends elsewhere (`docs/design/semantics.md §7`).

use super::checks::{self, Place};
use super::pricing::Free;
use super::{Caller, Explanation, RejectedFallback, Request, Usage, Verdict, stopped_by};
use crate::config::Config;
use crate::domain::Fallback;

/// Keeps those fallbacks of `explanation` that may be used, each with its model, and sets the others apart.
pub(super) fn judge(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    explanation: &mut Explanation,
) {
    for fallback in std::mem::take(&mut explanation.fallbacks) {
        let fallback = complete(fallback, &explanation.model);
        match refused(config, usage, request, caller, &fallback) {
            None => explanation.fallbacks.push(fallback),
            Some((verdict, reason)) => {
                explanation.rejected_fallbacks.push(RejectedFallback { fallback, verdict, reason });
            }
        }
    }
}

/// A fallback with its model: that of the request if it leaves it out.
pub(super) fn complete(fallback: Fallback, model: &str) -> Fallback {
    if fallback.model.is_empty() { Fallback { model: model.into(), ..fallback } } else { fallback }
}

/// Why the caller may not use a fallback.
fn refused(
    config: &Config,
    usage: &dyn Usage,
    request: &Request<'_>,
    caller: Caller<'_>,
    fallback: &Fallback,
) -> Option<(Verdict, String)> {
    let (provider, model) = (fallback.provider.as_str(), &*fallback.model);
    let provider_config = match caller.key.map(|key| checks::permitted((key, caller), None, provider, model, None)) {
        Some(Err(refusal)) => return Some((refusal.verdict, refusal.reason)),
        Some(Ok(found)) => Some(found),
        None => None,
    };
    let provider_key_id = checks::provider_key(config, provider, provider_config, None);
    let place = Place { provider, model, provider_config, provider_key_id };
    let free = Free::of(config, request, provider, provider_key_id, model);
    let limits = checks::limits(config, usage, request, caller, place, &free);
    limits.iter().find(|limit| limit.blocks).map(|limit| (stopped_by(limit.kind), checks::tell(limit)))
}
