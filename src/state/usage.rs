//! What was counted, beside the resources that it is counted for.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::{Change, Decision};
use crate::domain::{
    AnyResource, Id, KeyOwner, LimitId, LimitKind, LimitOwner, Limits, RateDimension, ResetDuration, Timestamp, Window,
};

/// Percentages of a limit whose crossing is recorded.
pub const THRESHOLDS: [i32; 3] = [80, 90, 100];

/// Which window of which limit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CounterKey {
    /// Id of the budget or rate limit.
    pub limit_id: LimitId,
    /// What of it.
    pub kind: LimitKind,
    /// The start of the window.
    pub window_start: Timestamp,
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit_id, kind, window_start } = self;
        let what = match kind {
            LimitKind::Budget => "the cost",
            LimitKind::Tokens => "the tokens",
            LimitKind::Requests => "the requests",
        };
        write!(f, "{what} of limit {limit_id} in its window from {window_start}")
    }
}

/// Windows of limits.
pub type CounterKeys = HashSet<CounterKey, RandomState>;

/// What was counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Counter {
    /// Nano-dollars, tokens or requests.
    pub used: i64,
    /// Rises with every change of the limit's usage.
    pub version: i64,
}

/// All that was counted. Cloning is cheap.
///
/// Unlike the rest of a state it is not as of one moment: what is committed is one table that all states of a store share,
/// so that counting an entry costs a few stores to memory, and whoever holds a state sees what is counted after it. Each
/// counter is whole, and never older than the state.
#[derive(Clone, Default)]
pub struct Counters {
    committed: Arc<DashMap<CounterKey, Kept, RandomState>>,
    /// What is decided on this copy and not committed yet.
    ahead: HashMap<CounterKey, Counter, RandomState>,
    version: i64,
    /// Of the transaction that led to the version.
    mark: i64,
    /// Which of the histories that were followed this is, by number.
    history: u64,
}

/// A counter in the table.
#[derive(Clone, Copy)]
struct Kept {
    counter: Counter,
    /// Whether it was counted since it was last taken to be folded.
    waits: bool,
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
        let kept = counters.into_iter().map(|(key, counter)| (key, Kept { counter, waits: false }));
        Self { committed: Arc::new(kept.collect()), version, ..Self::default() }
    }

    /// What was counted in a window; nothing is zero.
    pub fn get(&self, key: &CounterKey) -> Counter {
        let ahead = if self.ahead.is_empty() { None } else { self.ahead.get(key).copied() };
        ahead.or_else(|| self.committed.get(key).map(|kept| kept.counter)).unwrap_or_default()
    }

    /// What was counted in this window.
    pub fn used(&self, limit_id: LimitId, kind: LimitKind, window: &Window) -> i64 {
        self.get(&CounterKey { limit_id, kind, window_start: window.start }).used
    }

    /// The last version of any counter, as of this copy.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The mark of the transaction that led to this version: in another history it is another.
    pub fn mark(&self) -> i64 {
        self.mark
    }

    /// Which history of the store this is of, by number: it is another one after what was counted had to be read anew, and may
    /// not be what it was followed by.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// Makes this a copy of the history with this number.
    pub fn belong_to(&mut self, history: u64) {
        self.history = history;
    }

    /// All windows of all limits in which something was counted: a copy, since a walk through the table would hold up
    /// whoever counts.
    pub fn to_vec(&self) -> Vec<(CounterKey, Counter)> {
        let committed = self.committed.iter().map(|kept| (kept.key().clone(), kept.counter));
        let committed = committed.filter(|(key, _)| !self.ahead.contains_key(key));
        let ahead = self.ahead.iter().map(|(key, counter)| (key.clone(), *counter));
        committed.chain(ahead).collect()
    }

    /// Forgets windows, in all copies.
    pub fn forget<'a>(&mut self, keys: impl IntoIterator<Item = &'a CounterKey>) {
        for key in keys {
            self.ahead.remove(key);
            self.committed.remove(key);
        }
    }

    /// Takes counters as they were written, in all copies. Returns those that have to be folded from now on.
    pub fn put(&mut self, counters: impl IntoIterator<Item = (CounterKey, Counter)>) -> Vec<CounterKey> {
        let mut waiting = Vec::new();
        for (key, counter) in counters {
            self.version = self.version.max(counter.version);
            let before = self.committed.insert(key.clone(), Kept { counter, waits: true });
            if !before.is_some_and(|before| before.waits) {
                waiting.push(key);
            }
        }
        waiting
    }

    /// What was counted in a window, to be folded: it does not wait any more.
    pub fn take_waiting(&self, key: &CounterKey) -> Counter {
        self.committed
            .get_mut(key)
            .map(|mut kept| {
                kept.waits = false;
                kept.counter
            })
            .unwrap_or_default()
    }

    /// Takes counters as they are to be, on this copy alone until [`commit`](Self::commit).
    pub fn set(&mut self, counters: impl IntoIterator<Item = (CounterKey, Counter)>) {
        for (key, counter) in counters {
            self.version = self.version.max(counter.version);
            self.ahead.insert(key, counter);
        }
    }

    /// Shows what was set in all copies. To be called once it is written, and before this copy is shown to readers. Returns
    /// those that have to be folded from now on.
    pub fn commit(&mut self) -> Vec<CounterKey> {
        let ahead = std::mem::take(&mut self.ahead);
        self.put(ahead)
    }

    /// Moves on to the version that a transaction led to, perhaps without moving a counter, and to its mark.
    pub fn reach(&mut self, version: i64, mark: i64) {
        self.version = self.version.max(version);
        self.mark = mark;
    }
}

/// A limit that reached one of the [`THRESHOLDS`].
#[derive(Clone, PartialEq, Debug)]
pub struct Crossing {
    /// The window that it was crossed in.
    pub key: CounterKey,
    /// Whose limit it is.
    pub owner: LimitOwner,
    /// The threshold.
    pub percent: i32,
    /// What was counted after it.
    pub used: i64,
    /// The ceiling.
    pub max: i64,
    /// The version of the counter that crossed it.
    pub version: i64,
    /// When.
    pub crossed_at: Timestamp,
}

/// What happens to counters.
#[derive(Default, Debug)]
pub struct Moved {
    /// The counters as they are to be, each with a version of its own, in the order of their keys.
    pub counters: Vec<(CounterKey, Counter)>,
    /// The thresholds that they cross.
    pub crossings: Vec<Crossing>,
}

/// Which counters moved since whoever follows usage looked last.
#[derive(Default, Debug)]
pub struct UsageMoves {
    /// How many streams have begun to follow usage; before the first, nothing is noted.
    pub begun: u64,
    /// The counters.
    pub keys: CounterKeys,
    /// Whether it is to be told at once: one of them crossed a threshold, or was reset, which lets requests through again.
    pub urgent: bool,
    /// Whether memory was read anew, so that anything may have moved.
    pub anything: bool,
}

/// What is to be counted against one window of one limit.
#[derive(Clone, Debug)]
pub struct Amount {
    /// The window.
    pub key: CounterKey,
    /// How much.
    pub amount: i64,
    /// The ceiling.
    pub max: i64,
}

/// What is to become of the counters, before it is written.
pub struct Tally<'a> {
    counters: &'a Counters,
    now: Timestamp,
    moved: HashMap<CounterKey, Move, RandomState>,
}

/// What is to become of one counter.
struct Move {
    used: i64,
    max: i64,
    /// Used and ceiling before, for what is crossed between then and now.
    before: (i64, i64),
}

impl<'a> Tally<'a> {
    /// Starts on `counters`, at the time `now`.
    pub fn new(counters: &'a Counters, now: Timestamp) -> Self {
        Self { counters, now, moved: HashMap::default() }
    }

    /// Adds all or nothing. No two of the amounts are of one window.
    ///
    /// # Errors
    ///
    /// The counter that would overflow.
    pub fn add(&mut self, amounts: &[Amount]) -> Result<(), CounterKey> {
        for (place, Amount { key, amount, max }) in amounts.iter().enumerate() {
            let added = match self.moved.entry(key.clone()) {
                Entry::Occupied(mut moved) => {
                    let moved = moved.get_mut();
                    moved.used.checked_add(*amount).map(|used| moved.used = used)
                }
                Entry::Vacant(vacant) => {
                    let before = self.counters.get(key).used;
                    before.checked_add(*amount).map(|used| {
                        vacant.insert(Move { used, max: *max, before: (before, *max) });
                    })
                }
            };
            if added.is_none() {
                for Amount { key, amount, .. } in amounts.get(..place).unwrap_or_default() {
                    self.take_back(key, *amount);
                }
                return Err(key.clone());
            }
        }
        Ok(())
    }

    /// Undoes an addition.
    fn take_back(&mut self, key: &CounterKey, amount: i64) {
        if let Entry::Occupied(mut moved) = self.moved.entry(key.clone()) {
            moved.get_mut().used -= amount;
            if moved.get().used == moved.get().before.0 {
                moved.remove();
            }
        }
    }

    /// Sets what a window of `dimension` has counted. `before` are used and ceiling before.
    fn set(&mut self, key: CounterKey, used: i64, before: (i64, i64), dimension: &Dimension<'_>) {
        self.moved.insert(key, Move { used, max: dimension.max, before });
    }

    /// Sets all to zero that can be counted in. The current window is written in any case: those who follow usage may have
    /// been told of it before the dimension was left out.
    fn begin_anew(&mut self, dimension: &Dimension<'_>) {
        let current = dimension.window(self.now);
        for at in [current.start.plus_micros(-1), current.start, current.end] {
            let key = dimension.counter(at);
            if at == current.start || self.counters.get(&key).used != 0 {
                self.set(key, 0, (0, dimension.max), dimension);
            }
        }
    }

    /// What is to be written. `owner_of` tells whose limits the windows are of.
    pub fn close(self, owner_of: impl Fn(&CounterKey) -> Option<LimitOwner>) -> Moved {
        let mut moves: Vec<_> = self.moved.into_iter().collect();
        // In the order of the keys, so that replicas never wait for each other in a circle.
        moves.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut moved = Moved { counters: Vec::with_capacity(moves.len()), crossings: Vec::new() };
        for ((key, Move { used, max, before }), version) in moves.into_iter().zip(self.counters.version + 1..) {
            for percent in THRESHOLDS.into_iter().filter(|percent| crosses(before, (used, max), *percent)) {
                let Some(owner) = owner_of(&key) else { continue };
                let (key, crossed_at) = (key.clone(), self.now);
                moved.crossings.push(Crossing { key, owner, percent, used, max, version, crossed_at });
            }
            moved.counters.push((key, Counter { used, version }));
        }
        moved
    }
}

/// Whether `percent` of a limit is reached `after` and was not `before`, each the amount used and the ceiling.
fn crosses(before: (i64, i64), after: (i64, i64), percent: i32) -> bool {
    let reached = |(used, max): (i64, i64)| used > 0 && i128::from(used) * 100 >= i128::from(max) * i128::from(percent);
    reached(after) && !reached(before)
}

/// What a decision does to usage (`semantics.md` §2): a reset sets budgets to zero; alignment that is switched on begins at
/// zero; a window whose bounds move otherwise takes along what it counted, so that it is in one window still. A dimension
/// of a rate limit that was left out for a while begins at zero. A ceiling or an end that moves changes nothing that was
/// counted, but its share or how long it counts; that too is told to those who follow usage.
pub fn settle_usage(counters: &Counters, decision: &Decision, now: Timestamp) -> Moved {
    let mut tally = Tally::new(counters, now);
    for Change { before, after } in &decision.changes {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let reset = decision.reset_budget_usage && after.key() == decision.subject;
        let old = dimensions(before);
        for new in dimensions(after) {
            let Some(old) = old.iter().find(|old| old.limit_id == new.limit_id && old.kind == new.kind) else {
                if old.iter().any(|old| old.limit_id == new.limit_id) {
                    tally.begin_anew(&new);
                }
                continue;
            };
            let (from, to) = (old.counter(now), new.counter(now));
            let was = counters.get(&from).used;
            if was != 0 && from != to {
                tally.set(from, 0, (0, old.max), &new);
            }
            let ends_otherwise = old.window(now).end != new.window(now).end;
            let used = match (reset && new.kind == LimitKind::Budget, new.aligned && !old.aligned) {
                (true, _) | (_, true) => 0,
                (false, false) => was,
            };
            if used != counters.get(&to).used || (used != 0 && (new.max != old.max || ends_otherwise)) {
                tally.set(to, used, (was, old.max), &new);
            }
        }
    }
    let after = || decision.changes.iter().filter_map(|change| change.after.as_ref());
    tally.close(|key| {
        let mut owned = after().flat_map(dimensions);
        owned.find(|owned| owned.limit_id == key.limit_id && owned.kind == key.kind).map(|owned| owned.owner)
    })
}

/// Whether anything was counted in the current windows of the budgets of `any`.
pub(super) fn has_budget_usage(counters: &Counters, any: &AnyResource, now: Timestamp) -> bool {
    let budgets = dimensions(any).into_iter().filter(|dimension| dimension.kind == LimitKind::Budget);
    budgets.into_iter().any(|budget| counters.get(&budget.counter(now)).used != 0)
}

/// One dimension of a limit: what is counted, up to where, in which windows.
#[derive(Clone, Debug)]
pub struct Dimension<'a> {
    /// Id of the budget or rate limit.
    pub limit_id: LimitId,
    /// What of it.
    pub kind: LimitKind,
    /// Whose it is.
    pub owner: LimitOwner,
    /// The ceiling: nano-dollars, tokens or requests.
    pub max: i64,
    anchor: Timestamp,
    length: &'a ResetDuration,
    aligned: bool,
}

impl Dimension<'_> {
    /// The window that `at` lies in.
    pub fn window(&self, at: Timestamp) -> Window {
        Window::at(self.anchor, self.length, self.aligned, at)
    }

    /// The counter of the window that `at` lies in.
    pub fn counter(&self, at: Timestamp) -> CounterKey {
        CounterKey { limit_id: self.limit_id.clone(), kind: self.kind, window_start: self.window(at).start }
    }
}

/// All dimensions of all limits of a resource.
pub fn dimensions(any: &AnyResource) -> Vec<Dimension<'_>> {
    let mut found = Vec::new();
    for (owner, limits, aligned) in owned_limits(any) {
        add_dimensions(&owner, limits, aligned, &mut found);
    }
    found
}

/// The dimensions of the limits of one owner.
pub(crate) fn add_dimensions<'a>(
    owner: &LimitOwner,
    limits: &'a Limits,
    aligned: bool,
    found: &mut Vec<Dimension<'a>>,
) {
    if let Some(rate) = limits.rate_limit.as_deref() {
        for (kind, of) in [(LimitKind::Tokens, &rate.token), (LimitKind::Requests, &rate.request)] {
            if let Some(RateDimension { max_limit, reset_duration, anchor }) = of {
                let (limit_id, owner) = (rate.id.clone(), owner.clone());
                let (max, anchor, length) = (*max_limit, *anchor, reset_duration);
                found.push(Dimension { limit_id, kind, owner, max, anchor, length, aligned });
            }
        }
    }
    for budget in &limits.budgets {
        found.push(Dimension {
            limit_id: budget.id.clone(),
            kind: LimitKind::Budget,
            owner: owner.clone(),
            max: budget.max_limit.nanos(),
            anchor: budget.anchor,
            length: &budget.reset_duration,
            aligned,
        });
    }
}

/// The limits that are parts of a resource, each with its owner and whether its windows are aligned.
pub(super) fn owned_limits(any: &AnyResource) -> Vec<(LimitOwner, &Limits, bool)> {
    match any {
        AnyResource::Customer(stored) => {
            let owner = LimitOwner::Customer(stored.id.clone());
            vec![(owner, &stored.resource.limits, stored.resource.calendar_aligned)]
        }
        AnyResource::Team(stored) => {
            let owner = LimitOwner::Team(stored.id.clone());
            vec![(owner, &stored.resource.limits, stored.resource.calendar_aligned)]
        }
        AnyResource::VirtualKey(stored) => {
            let aligned = stored.resource.calendar_aligned;
            let key = (LimitOwner::VirtualKey(stored.id.clone()), &stored.resource.limits, aligned);
            let configs = stored.resource.provider_configs.iter();
            let configs = configs.map(|config| (LimitOwner::ProviderConfig(config.id), &config.limits, aligned));
            std::iter::once(key).chain(configs).collect()
        }
        AnyResource::ModelConfig(stored) => {
            let owner = LimitOwner::ModelConfig(stored.id.clone());
            vec![(owner, &stored.resource.limits, stored.resource.calendar_aligned)]
        }
        AnyResource::ProviderGovernance(stored) => {
            let owner = LimitOwner::Provider(Id::new(stored.id.shared()));
            vec![(owner, &stored.resource.limits, stored.resource.calendar_aligned)]
        }
        AnyResource::Provider(_)
        | AnyResource::McpClient(_)
        | AnyResource::RoutingRule(_)
        | AnyResource::PricingOverride(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_on_a_copy_shows_in_the_others_once_it_is_committed() {
        let key = |id: &str| CounterKey {
            limit_id: id.into(),
            kind: LimitKind::Budget,
            window_start: Timestamp::from_micros(0),
        };
        let counter = |used, version| Counter { used, version };
        let readers = Counters::restore(2, [(key("a"), counter(1, 1)), (key("b"), counter(5, 2))]);
        let mut copy = readers.clone();
        copy.set([(key("a"), counter(2, 3)), (key("c"), counter(9, 4))]);
        assert_eq!((copy.get(&key("a")), copy.get(&key("b"))), (counter(2, 3), counter(5, 2)));
        assert_eq!(readers.get(&key("a")), counter(1, 1));
        let mut all = copy.to_vec();
        all.sort();
        assert_eq!(all, [(key("a"), counter(2, 3)), (key("b"), counter(5, 2)), (key("c"), counter(9, 4))]);
        assert_eq!(copy.commit().len(), 2);
        assert_eq!((readers.get(&key("a")), readers.get(&key("c"))), (counter(2, 3), counter(9, 4)));
        assert_eq!((copy.version(), readers.version()), (4, 2));
        // Each has to be folded once, however often it moves, and again if it moves after that.
        assert_eq!(copy.put([(key("a"), counter(3, 5)), (key("b"), counter(6, 6))]), [key("b")]);
        assert_eq!(copy.take_waiting(&key("a")), counter(3, 5));
        assert_eq!(copy.put([(key("a"), counter(4, 7)), (key("b"), counter(7, 8))]), [key("a")]);
        copy.forget(&[key("a")]);
        assert_eq!(readers.get(&key("a")), Counter::default());
    }
}
