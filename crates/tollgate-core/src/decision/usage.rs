//! What was counted already, as decisions ask for it.

use crate::counters::{Counters, ToldUsage};
use crate::domain::{Budget, Enforcement, LimitKind, RateLimit, Window};

/// What was counted in the current window of a limit.
pub trait Usage {
    /// Nano-dollars spent.
    fn budget(&self, budget: &Budget, window: &Window) -> i64;
    /// Tokens used.
    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64;
    /// Requests made.
    fn requests(&self, limit: &RateLimit, window: &Window) -> i64;
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
}
