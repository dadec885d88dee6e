//! What was counted already, as decisions ask for it.

use crate::counters::{CounterKey, Counters, ToldUsage};
use crate::credit::Book;
use crate::domain::{Budget, Enforcement, LimitKind, RateLimit, Timestamp, Window};

/// What was counted in the current window of a limit.
pub trait Usage {
    /// Nano-dollars spent.
    fn budget(&self, budget: &Budget, window: &Window) -> i64;
    /// Tokens used.
    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64;
    /// Requests made.
    fn requests(&self, limit: &RateLimit, window: &Window) -> i64;
    /// Requests that are open.
    fn open(&self, limit: &RateLimit) -> i64;
    /// Whether a request is stopped where as many are open as may be. Where credit decides, it may wait for one of them to end.
    fn weighs_open(&self, _enforcement: Enforcement) -> bool {
        true
    }
    /// Whether an estimate that does not fit stops a request at a limit that is not used up. Where credit decides, a guess does not.
    fn weighs_estimates(&self, _kind: LimitKind, _enforcement: Enforcement) -> bool {
        true
    }
}

/// Nothing was counted.
pub struct NoUsage;

impl Usage for NoUsage {
    fn budget(&self, _: &Budget, _: &Window) -> i64 {
        0
    }

    fn tokens(&self, _: &RateLimit, _: &Window) -> i64 {
        0
    }

    fn requests(&self, _: &RateLimit, _: &Window) -> i64 {
        0
    }

    fn open(&self, _: &RateLimit) -> i64 {
        0
    }
}

impl Usage for Counters {
    fn budget(&self, budget: &Budget, window: &Window) -> i64 {
        self.used(budget.id.clone(), LimitKind::Budget, window)
    }

    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.used(limit.id.clone(), LimitKind::Tokens, window)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.used(limit.id.clone(), LimitKind::Requests, window)
    }

    fn open(&self, _: &RateLimit) -> i64 {
        0
    }
}

/// The usage that a server knows: what was counted, and of requests that are open the slots that nodes hold for them.
pub struct KnownUsage<'a> {
    /// The usage that was counted.
    pub counters: &'a Counters,
    /// The credit that nodes hold.
    pub credit: &'a Book,
}

impl Usage for KnownUsage<'_> {
    fn budget(&self, budget: &Budget, window: &Window) -> i64 {
        self.counters.budget(budget, window)
    }

    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.counters.tokens(limit, window)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.counters.requests(limit, window)
    }

    fn open(&self, limit: &RateLimit) -> i64 {
        match limit.enforcement {
            Enforcement::Hard => self.credit.outstanding(&CounterKey::slots(limit.id.clone())),
            // Each node counts its own.
            Enforcement::Soft | Enforcement::Shadow => 0,
        }
    }
}

impl Usage for ToldUsage {
    fn budget(&self, budget: &Budget, window: &Window) -> i64 {
        self.used(&budget.id, LimitKind::Budget, window)
    }

    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.used(&limit.id, LimitKind::Tokens, window)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.used(&limit.id, LimitKind::Requests, window)
    }

    /// Whoever decides by what it was told may put its own open requests there.
    fn open(&self, limit: &RateLimit) -> i64 {
        let CounterKey { limit_id, kind, window_start } = CounterKey::slots(limit.id.clone());
        self.used(&limit_id, kind, &Window { start: window_start, end: Timestamp::MAX })
    }
}
