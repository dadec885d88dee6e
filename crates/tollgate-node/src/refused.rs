//! The outcome of a request that may not go on.

use std::time::Duration;

use tollgate_core::counters::CounterKey;
use tollgate_core::decision::{Explanation, LimitCheck, Verdict};
use tollgate_core::domain::Timestamp;

use crate::outbox::OutboxError;

/// When a request that lacked credit may be tried again at the latest, and one that found too many open.
const SOON: Duration = Duration::from_secs(1);

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// By a decision, as the control plane explains it.
    Decided(Verdict),
    /// The node has been without its control plane for longer than it may (`max_staleness`).
    NodeStale,
    /// The admission cannot be recorded: the disk or the outbox is full.
    Unrecorded,
    /// Nobody knows what the model costs, and the node refuses such requests (`strict_prices`).
    Unpriced,
}

/// A request that was refused.
#[derive(Clone, PartialEq, Debug)]
pub struct Refused {
    /// By what.
    pub refusal: Refusal,
    /// Why, for people.
    pub reason: String,
    /// When it may be tried again, if that is known.
    pub retry_after: Option<Duration>,
    /// Whether the limit that decided has something left, and the node holds no credit for it: other nodes do, or requests in
    /// flight.
    pub for_credit: bool,
    /// The limits that apply, rules, candidates; absent where there was no decision.
    pub explanation: Option<Box<Explanation>>,
}

impl Refused {
    pub(crate) fn of(explanation: Explanation, at: Timestamp) -> Self {
        let limit = explanation.blocking.and_then(|index| explanation.limits.get(index));
        let left = |limit: &LimitCheck| limit.window.end.as_micros().saturating_sub(at.as_micros());
        // A prepaid budget never resets, and a limit of 0 is a lock.
        let helps = |limit: &&LimitCheck| limit.window.has_end() && limit.max > 0;
        let retry_after =
            limit.filter(helps).map(|limit| Duration::from_micros(u64::try_from(left(limit)).unwrap_or_default()));
        // Any request that is open may end soon.
        let is_of_slots =
            explanation.verdict == Verdict::ConcurrencyLimited && limit.is_some_and(|limit| limit.max > 0);
        let retry_after = if is_of_slots { Some(SOON) } else { retry_after };
        Self {
            refusal: Refusal::Decided(explanation.verdict),
            reason: explanation.reason.clone(),
            retry_after,
            for_credit: false,
            explanation: Some(Box::new(explanation)),
        }
    }

    /// Refused since the node lacks credit of these limits. Credit that others do not need is back within seconds.
    pub(crate) fn for_credit(explanation: Explanation, lacking: &[CounterKey], at: Timestamp) -> Self {
        let refused = Self::of(explanation.without_credit(lacking), at);
        let retry_after = refused.retry_after.unwrap_or(SOON).min(SOON);
        Self { retry_after: Some(retry_after), for_credit: true, ..refused }
    }

    pub(crate) fn unrecorded(explanation: Explanation, error: &OutboxError) -> Self {
        let retry_after = Some(Duration::from_secs(5));
        let explanation = Some(Box::new(explanation));
        Self { refusal: Refusal::Unrecorded, reason: error.to_string(), retry_after, for_credit: false, explanation }
    }

    pub(crate) fn unpriced(explanation: Explanation) -> Self {
        let (provider, model) = (&explanation.provider, &explanation.model);
        let reason = format!(
            "no price of {model} at {provider:?} is known, and this node refuses what it cannot price; give it one with `tollgate \
             prices import`, or start the node without --strict-prices"
        );
        let explanation = Some(Box::new(explanation));
        Self { refusal: Refusal::Unpriced, reason, retry_after: None, for_credit: false, explanation }
    }

    pub(crate) fn stale(why: String) -> Self {
        let retry_after = Some(Duration::from_secs(5));
        Self { refusal: Refusal::NodeStale, reason: why, retry_after, for_credit: false, explanation: None }
    }

    /// The limit that decided.
    pub fn limit(&self) -> Option<&LimitCheck> {
        let explanation = self.explanation.as_ref()?;
        explanation.limits.get(explanation.blocking?)
    }

    /// The status that an HTTP gateway answers with.
    pub fn http_status(&self) -> u16 {
        match self.refusal {
            Refusal::NodeStale | Refusal::Unrecorded => 503,
            Refusal::Decided(Verdict::Allow) => 200,
            Refusal::Decided(Verdict::UnknownKey) => 401,
            Refusal::Decided(Verdict::BudgetExceeded) => 402,
            Refusal::Decided(Verdict::ConcurrencyLimited | Verdict::TokenLimited | Verdict::RequestLimited) => 429,
            Refusal::Unpriced
            | Refusal::Decided(
                Verdict::KeyInactive
                | Verdict::KeyExpired
                | Verdict::CustomerInactive
                | Verdict::TeamInactive
                | Verdict::ProviderBlocked
                | Verdict::ModelBlocked
                | Verdict::ProviderKeyBlocked,
            ) => 403,
        }
    }
}
