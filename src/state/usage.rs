//! What was counted, beside the resources that it is counted for, so that whoever reads a state reads both as of one moment.

use std::collections::HashMap;
use std::sync::Arc;

use super::Change;
use crate::domain::{AnyResource, KeyOwner, LimitKind, Limits, RateDimension, ResetDuration, Timestamp, Window};

/// Which window of which limit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CounterKey {
    /// Id of the budget or rate limit.
    pub limit_id: Arc<str>,
    /// What of it.
    pub kind: LimitKind,
    /// The start of the window.
    pub window_start: Timestamp,
}

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counter {
    /// Nano-dollars, tokens or requests.
    pub used: i64,
    /// Rises with every change of the limit's usage.
    pub version: i64,
}

/// All that was counted. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Counters {
    windows: imbl::HashMap<CounterKey, Counter>,
    version: i64,
}

/// What is left of a deleted key: who owned it.
#[derive(Clone, PartialEq, Debug)]
pub struct FormerKey {
    /// Its team or customer.
    pub owner: Option<KeyOwner>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

impl Counters {
    /// What a store has.
    pub fn restore(version: i64, counters: impl IntoIterator<Item = (CounterKey, Counter)>) -> Self {
        Self { windows: counters.into_iter().collect(), version }
    }

    /// What was counted in a window; nothing is zero.
    pub fn get(&self, key: &CounterKey) -> Counter {
        self.windows.get(key).copied().unwrap_or_default()
    }

    /// What was counted in this window.
    pub fn used(&self, limit_id: Arc<str>, kind: LimitKind, window: &Window) -> i64 {
        self.get(&CounterKey { limit_id, kind, window_start: window.start }).used
    }

    /// The last version of any counter.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Takes counters as they are now.
    pub fn set(&mut self, counters: impl IntoIterator<Item = (CounterKey, Counter)>) {
        for (key, counter) in counters {
            self.version = self.version.max(counter.version);
            self.windows.insert(key, counter);
        }
    }
}

/// What is to be added to the counters, before it is written.
pub struct Tally<'a> {
    counters: &'a Counters,
    moved: HashMap<CounterKey, i64>,
}

impl<'a> Tally<'a> {
    /// Starts on `counters`.
    pub fn new(counters: &'a Counters) -> Self {
        Self { counters, moved: HashMap::new() }
    }

    /// Adds all or nothing.
    ///
    /// # Errors
    ///
    /// The counter that would overflow.
    pub fn add(&mut self, amounts: Vec<(CounterKey, i64)>) -> Result<(), CounterKey> {
        let mut sums: Vec<(CounterKey, i64)> = Vec::with_capacity(amounts.len());
        for (key, amount) in amounts {
            let used = self.moved.get(&key).copied().unwrap_or_else(|| self.counters.get(&key).used);
            let Some(used) = used.checked_add(amount) else { return Err(key) };
            sums.push((key, used));
        }
        self.moved.extend(sums);
        Ok(())
    }

    fn set(&mut self, key: CounterKey, used: i64) {
        self.moved.insert(key, used);
    }

    /// The counters as they are to be, each with a version of its own.
    pub fn close(self) -> Vec<(CounterKey, Counter)> {
        let mut moved: Vec<_> = self.moved.into_iter().collect();
        // In the order of the keys, so that replicas never wait for each other in a circle.
        moved.sort();
        let versions = self.counters.version + 1..;
        moved.into_iter().zip(versions).map(|((key, used), version)| (key, Counter { used, version })).collect()
    }
}

/// What changes of resources do to usage (`semantics.md` §2): alignment that is switched on begins at zero; a window whose
/// bounds move otherwise takes along what it counted.
pub fn carry(counters: &Counters, changes: &[Change], now: Timestamp) -> Vec<(CounterKey, Counter)> {
    let mut tally = Tally::new(counters);
    for change in changes {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { continue };
        let after = dimensions(after);
        for (limit_id, kind, old) in dimensions(before) {
            let Some((.., new)) = after.iter().find(|(id, of, _)| *id == limit_id && *of == kind) else { continue };
            let (from, to) = (old.window(now), new.window(now));
            let key =
                |window: &Window| CounterKey { limit_id: Arc::clone(&limit_id), kind, window_start: window.start };
            let used = counters.get(&key(&from)).used;
            if new.aligned && !old.aligned {
                if used != 0 || counters.get(&key(&to)).used != 0 {
                    tally.set(key(&to), 0);
                }
            } else if from.start != to.start && used != 0 {
                tally.set(key(&to), used);
            }
        }
    }
    tally.close()
}

/// The time of a limit.
struct Dimension<'a> {
    anchor: Timestamp,
    length: &'a ResetDuration,
    aligned: bool,
}

impl Dimension<'_> {
    fn window(&self, at: Timestamp) -> Window {
        Window::at(self.anchor, self.length, self.aligned, at)
    }
}

/// All limits of a resource.
fn dimensions(any: &AnyResource) -> Vec<(Arc<str>, LimitKind, Dimension<'_>)> {
    let mut found = Vec::new();
    let mut owned: Vec<(&Limits, bool)> = Vec::new();
    match any {
        AnyResource::Customer(stored) => owned.push((&stored.resource.limits, stored.resource.calendar_aligned)),
        AnyResource::Team(stored) => owned.push((&stored.resource.limits, stored.resource.calendar_aligned)),
        AnyResource::VirtualKey(stored) => {
            let aligned = stored.resource.calendar_aligned;
            owned.push((&stored.resource.limits, aligned));
            owned.extend(stored.resource.provider_configs.iter().map(|config| (&config.limits, aligned)));
        }
        AnyResource::ModelConfig(stored) => owned.push((&stored.resource.limits, stored.resource.calendar_aligned)),
        AnyResource::ProviderGovernance(stored) => {
            owned.push((&stored.resource.limits, stored.resource.calendar_aligned));
        }
        AnyResource::Provider(_)
        | AnyResource::McpClient(_)
        | AnyResource::RoutingRule(_)
        | AnyResource::PricingOverride(_) => {}
    }
    for (limits, aligned) in owned {
        for budget in &limits.budgets {
            let dimension = Dimension { anchor: budget.anchor, length: &budget.reset_duration, aligned };
            found.push((budget.id.shared(), LimitKind::Budget, dimension));
        }
        let Some(rate) = limits.rate_limit.as_deref() else { continue };
        for (kind, of) in [(LimitKind::Tokens, &rate.token), (LimitKind::Requests, &rate.request)] {
            if let Some(RateDimension { max_limit: _, reset_duration, anchor }) = of {
                found.push((rate.id.shared(), kind, Dimension { anchor: *anchor, length: reset_duration, aligned }));
            }
        }
    }
    found
}
