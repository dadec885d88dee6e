//! The credit that a request needs of the hard limits that apply to it (`docs/design/credit.md`).

use super::{Explanation, LimitCheck, checks, stopped_by};
use crate::counters::CounterKey;
use crate::credit::Demand;
use crate::domain::{Enforcement, LimitKind};

/// The usage that is expected of a request where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Expected {
    /// LLM tokens.
    pub tokens: i64,
    /// Whether their number is a guess.
    pub guesses_tokens: bool,
    /// Nano-dollars.
    pub cost: i64,
    /// Whether the cost is a guess.
    pub guesses_cost: bool,
    /// Whether its price is explicitly 0, so that no budget stops it.
    pub is_free: bool,
}

impl LimitCheck {
    /// The limit in its current window.
    pub fn counter(&self) -> CounterKey {
        let Self { limit_id, kind, window, .. } = self;
        CounterKey { limit_id: limit_id.clone(), kind: *kind, window_start: window.start }
    }
}

impl Explanation {
    /// The credit that an allowed request needs, in the order in which its limits are checked: something of each, so that a limit that
    /// is used up stops it.
    pub fn demands(&self, expected: &Expected) -> Vec<Demand> {
        let demand = |limit: &LimitCheck| {
            let (amount, guessed) = match limit.kind {
                LimitKind::Requests | LimitKind::Concurrency => (1, false),
                LimitKind::Tokens => (expected.tokens.max(1), expected.guesses_tokens),
                LimitKind::Budget if expected.is_free => return None,
                LimitKind::Budget => (expected.cost.max(1), expected.guesses_cost),
            };
            Some(Demand { key: limit.counter(), amount, guessed })
        };
        self.limits.iter().filter(|limit| limit.enforcement == Enforcement::Hard).filter_map(demand).collect()
    }

    /// The outcome of a request that would be allowed and lacks credit: the first limit that lacks it decides.
    pub fn without_credit(mut self, lacking: &[CounterKey]) -> Self {
        let first = self.limits.iter().position(|limit| lacking.contains(&limit.counter()));
        if let Some(limit) = first.and_then(|place| self.limits.get_mut(place)) {
            limit.blocks = true;
            self.verdict = stopped_by(limit.kind);
            let why = match limit.kind {
                LimitKind::Concurrency => " at this node, and it holds no further slot",
                _ => ", and this node holds no credit for the rest",
            };
            self.reason = checks::tell_why(limit, why);
            self.blocking = first;
        }
        self
    }
}
