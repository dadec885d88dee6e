//! Limits as they count: their dimensions and windows, and what was counted in each.

mod adjustment;
mod dimension;
mod told;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dashmap::DashMap;
use foldhash::fast::RandomState;

pub use adjustment::Adjustment;
pub use dimension::{Dimension, add_dimensions, dimensions, owned_limits, slots};
pub use told::ToldUsage;

use crate::domain::{LimitId, LimitKind, Timestamp, Window};

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

impl CounterKey {
    /// The window for all time of the limit with this id on requests that are open at once.
    pub const fn slots(limit_id: LimitId) -> Self {
        Self { limit_id, kind: LimitKind::Concurrency, window_start: Timestamp::EPOCH }
    }
}

impl fmt::Display for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit_id, kind, window_start } = self;
        let what = match kind {
            LimitKind::Budget => "the cost",
            LimitKind::Concurrency => "the open requests",
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

/// How far the batches of incarnations were counted: the number of the last of each. Cloning is cheap.
pub type CountedBatches = imbl::GenericHashMap<i64, i64, RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// All that was counted. Cloning is cheap.
///
/// Unlike the rest of a state it is not as of one moment: what is committed is one table that all states of a store share,
/// so that counting an entry costs a few stores to memory, and whoever holds a state sees what is counted after it. Each
/// counter is whole, and never older than the state.
#[derive(Clone, Default)]
pub struct Counters {
    committed: Arc<DashMap<CounterKey, Kept, RandomState>>,
    batches: Arc<Mutex<CountedBatches>>,
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

impl Counters {
    /// What a store has.
    pub fn restore(
        version: i64,
        counters: impl IntoIterator<Item = (CounterKey, Counter)>,
        batches: impl IntoIterator<Item = (i64, i64)>,
    ) -> Self {
        let kept = counters.into_iter().map(|(key, counter)| (key, Kept { counter, waits: false }));
        let batches = Arc::new(Mutex::new(batches.into_iter().collect()));
        Self { committed: Arc::new(kept.collect()), batches, version, ..Self::default() }
    }

    /// How far batches were counted. Whoever counts batches holds this until the counters are put, what moved is noted, and
    /// the batches are entered: who holds it reads counters that are as of exactly these batches.
    pub fn batches(&self) -> MutexGuard<'_, CountedBatches> {
        // A panic cannot leave it half done: batches are entered last.
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are of the same table, which all states of a store share until it is read anew.
    pub fn is_one_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.committed, &other.committed)
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
        let readers = Counters::restore(2, [(key("a"), counter(1, 1)), (key("b"), counter(5, 2))], []);
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
