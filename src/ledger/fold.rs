//! Folding the journal of usage into its tables: when, and how much at a time.
//!
//! The journal has what was counted since a fold began that is through, so its length depends on how fast folds are, and
//! they yield to those who count. So that it has an end all the same, a fold that falls behind goes before counting: by the
//! time that the journal has got [`LONG`] more changes it is through, and the next begins.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::counters::{CounterKey, Counters};
use crate::credit::{Book, RowKey};
use crate::store::{Store, StoreError, Unfolded, Watermark, WriteTx};

/// Between two folds. The longer, the more often a counter moves before it is written once; and the longer the journal.
const INTERVAL: Duration = Duration::from_secs(10);
/// After so many changes the next fold begins at once, and by then it is through. The journal never has more than twice as many
/// and those of a group, about 36 bytes each. A fold of many counters takes long, whatever it covers: the smaller this is,
/// the more of the time belongs to folds when very many counters move.
const LONG: usize = 4_000_000;
/// Counters written in one transaction: what is submitted meanwhile waits for it, about 30 ms.
const PART: usize = 2_000;
/// After each part, so many times as long as it took: that time belongs to those who count, unless the fold is behind.
const REST: u32 = 3;
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// How long the journal may get, and how fast it is folded.
#[derive(Clone, Copy)]
struct Pace {
    long: usize,
    part: usize,
}

/// What waits to be folded, and how far the fold that runs has come.
pub(super) struct Fold {
    pace: Pace,
    /// Each once, but for those that were read from the journal at the start.
    counters: Vec<CounterKey>,
    incarnations: HashSet<i64>,
    /// Rows of credit.
    credit: BTreeSet<RowKey>,
    /// Changes that the journal has got since the last fold began, and those before that are more than such a fold may cover.
    changes: usize,
    running: Option<Running>,
    /// The usage version up to which everything is in the tables: the journal up to there is cut before the next fold, or when
    /// the next would begin.
    covered: Option<i64>,
    next: Instant,
}

struct Running {
    /// Written first.
    credit: Vec<RowKey>,
    counters: Vec<CounterKey>,
    incarnations: Vec<i64>,
    covers: i64,
}

impl Default for Fold {
    fn default() -> Self {
        Self::new(Unfolded::default())
    }
}

impl Fold {
    pub(super) fn new(waiting: Unfolded) -> Self {
        let Unfolded { counters, incarnations, credit, changes } = waiting;
        let counters = counters.into_iter().collect();
        let pace = Pace { long: LONG, part: PART };
        let next = Instant::now() + INTERVAL;
        Self { pace, counters, incarnations, credit, changes, running: None, covered: None, next }
    }

    /// Notes that the journal has got `changes`, from here or from others: of incarnations, and of counters.
    pub(super) fn journaled(&mut self, changes: usize, incarnations: impl IntoIterator<Item = i64>) {
        self.changes += changes;
        self.incarnations.extend(incarnations);
    }

    /// Notes which of the counters did not wait before.
    pub(super) fn wait(&mut self, counters: impl IntoIterator<Item = CounterKey>) {
        self.counters.extend(counters);
    }

    /// Notes that the journal has got changes of these rows of credit, from here or from others.
    pub(super) fn journaled_credit(&mut self, rows: impl ExactSizeIterator<Item = RowKey>) {
        self.changes += rows.len();
        self.credit.extend(rows);
    }

    /// Whether the next step is one for rows of credit.
    pub(super) fn is_at_credit(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !running.credit.is_empty())
    }

    /// Folds the next rows of credit, as they are in `book`, within `tx`, whose lock keeps others from changing them: a row that is
    /// forgotten has no version by which an older one could be told.
    pub(super) async fn step_credit(&mut self, tx: WriteTx, book: &Book) -> Result<(), StoreError> {
        let started = Instant::now();
        let Some(running) = &mut self.running else {
            tx.rollback().await;
            return Ok(());
        };
        let rest = running.credit.len().saturating_sub(self.pace.part);
        let part = running.credit.get(rest..).unwrap_or_default();
        let rows: Vec<_> = part.iter().map(|row| (row.clone(), book.row(row))).collect();
        tx.fold_credit(&rows).await.inspect_err(|_| self.next = started + RETRY)?;
        running.credit.truncate(rest);
        self.next = Instant::now() + started.elapsed() * REST;
        Ok(())
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.running {
            Some(_) => Some(self.next),
            None if self.is_behind() => Some(self.next - INTERVAL),
            None if self.changes > 0 || self.covered.is_some() => Some(self.next),
            None => None,
        }
    }

    /// Whether to take steps before anything more is counted: the fold that runs has as much before it as may come until it
    /// must be through.
    pub(super) fn is_behind(&self) -> bool {
        let left = self.running.as_ref().map_or(0, |running| running.counters.len());
        self.changes + left >= self.pace.long
    }

    /// Folds the next part. Between two folds, cuts the part of the journal that the first of them covered.
    pub(super) async fn step(
        &mut self,
        store: &Store,
        usage: &Counters,
        watermark: impl Fn(i64) -> Option<Watermark>,
    ) -> Result<(), StoreError> {
        let started = Instant::now();
        let Some(running) = &mut self.running else {
            if let Some(covered) = self.covered {
                store.cut_journal(covered).await.inspect_err(|_| self.next = started + RETRY)?;
                self.covered = None;
            }
            self.running = (self.changes > 0).then(|| self.begin(usage.version()));
            return Ok(());
        };
        let rest = running.counters.len().saturating_sub(self.pace.part);
        let part = running.counters.get(rest..).unwrap_or_default();
        // As they are now: what moved on since is in the journal again. What was forgotten meanwhile has no version.
        let counters =
            part.iter().map(|key| (key.clone(), usage.take_waiting(key))).filter(|(_, counter)| counter.version != 0);
        let counters: Vec<_> = counters.collect();
        let counted = running.incarnations.iter().filter_map(|incarnation| watermark(*incarnation));
        let counted: Vec<_> = counted.collect();
        if !counters.is_empty() || !counted.is_empty() {
            store.fold_usage(&counters, &counted).await.inspect_err(|_| self.next = started + RETRY)?;
        }
        running.counters.truncate(rest);
        running.incarnations.clear();
        let is_through = running.counters.is_empty();
        if is_through {
            self.covered = Some(running.covers);
            self.running = None;
        }
        self.next = Instant::now() + if is_through { INTERVAL } else { started.elapsed() * REST };
        Ok(())
    }

    /// A fold of all that waits, up to the usage version `covers`.
    fn begin(&mut self, covers: i64) -> Running {
        let mut counters = std::mem::take(&mut self.counters);
        // In the order of the table, so that a part touches few pages.
        counters.sort_unstable();
        counters.dedup();
        let incarnations = std::mem::take(&mut self.incarnations).into_iter().collect();
        // Parts are taken from the end: limits go before the accounts on them.
        let credit = std::mem::take(&mut self.credit).into_iter().rev().collect();
        // A server that crashed may have left more than belongs to one fold: what is over counts as if it came during it.
        self.changes = self.changes.saturating_sub(self.pace.long);
        self.next = Instant::now();
        Running { credit, counters, incarnations, covers }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::counters::Counter;
    use crate::credit::{Change, Hello, Outcome, Returned, Terms, Want};
    use crate::domain::{LimitKind, Timestamp};
    use crate::state::Moved;
    use crate::store::{CreditGroup, DatabaseUrl, LoadedUsage, UsageGroup};

    const PACE: Pace = Pace { long: 1_000, part: 50 };
    const COUNTERS: usize = 700;
    /// Changes of one group.
    const GROUP: usize = 40;

    struct Counted {
        store: Store,
        usage: Counters,
        fold: Fold,
        _dir: TempDir,
    }

    impl Counted {
        async fn nothing() -> Self {
            let dir = TempDir::new().unwrap();
            let url = format!("sqlite://{}", dir.path().join("fold.db").display());
            let store = Store::open(&DatabaseUrl::parse(&url).unwrap(), 1).await.unwrap();
            let fold = Fold { pace: PACE, ..Fold::default() };
            Self { store, usage: Counters::default(), fold, _dir: dir }
        }

        /// Counts a group, and folds only where that comes first.
        async fn count(&mut self, group: usize) {
            while self.fold.is_behind() {
                self.step().await;
            }
            let (from_version, from_mark) = (self.usage.version(), self.usage.mark());
            let key = |number: usize| CounterKey {
                limit_id: format!("limit {}", number % COUNTERS).as_str().into(),
                kind: LimitKind::Requests,
                window_start: Timestamp::EPOCH,
            };
            let keys = (group * GROUP..(group + 1) * GROUP).map(key);
            let counters: Vec<_> = (from_version + 1..)
                .zip(keys)
                .map(|(version, key)| (key.clone(), Counter { used: self.usage.get(&key).used + 1, version }))
                .collect();
            let version = from_version + i64::try_from(GROUP).unwrap();
            let moved = Moved { counters, ..Moved::default() };
            let group = UsageGroup { from_version, from_mark, version, mark: version, moved, ..UsageGroup::default() };
            self.store.lock().await.unwrap().count(&group).await.unwrap();
            self.fold.journaled(GROUP, []);
            self.fold.wait(self.usage.put(group.moved.counters));
            self.usage.reach(version, version);
        }

        async fn step(&mut self) {
            self.fold.step(&self.store, &self.usage, |_| None).await.unwrap();
        }

        /// Writes what happened to credit, which led to `book`, and folds it.
        async fn write(&mut self, outcome: Outcome, book: &Book) {
            let (from_version, from_mark) = (self.usage.version(), self.usage.mark());
            let (version, mark) = (from_version + 1, from_version + 1);
            let credit = CreditGroup { changes: outcome.changes, recalls: Vec::new() };
            let group = UsageGroup { from_version, from_mark, version, mark, credit, ..UsageGroup::default() };
            self.store.lock().await.unwrap().count(&group).await.unwrap();
            self.fold.journaled_credit(group.credit.changes.iter().map(Change::row));
            self.usage.reach(version, mark);
            while self.fold.due().is_some() {
                match self.fold.is_at_credit() {
                    true => self.fold.step_credit(self.store.lock().await.unwrap(), book).await.unwrap(),
                    false => self.step().await,
                }
            }
            assert_eq!(self.journal().await, 0);
        }

        /// The book that a start would read.
        async fn read(&self) -> Book {
            let mut book = Book::default();
            let loaded = self.store.load_usage().await.unwrap();
            assert!(loaded.unfolded.credit.is_empty());
            loaded.credit.into_iter().for_each(|row| book.apply(row));
            book
        }

        /// Changes in the journal.
        async fn journal(&self) -> usize {
            self.store.recorded_usage().await.unwrap().journal.iter().map(|entry| entry.counters.len()).sum()
        }

        /// What a start would read.
        async fn load(&self) -> LoadedUsage {
            let loaded = self.store.load_usage().await.unwrap();
            assert_eq!(loaded.unfolded.changes, self.journal().await);
            let [mut read, mut known] = [&loaded.counters, &self.usage].map(Counters::to_vec);
            read.sort();
            known.sort();
            assert!(read == known, "what is read is not what was counted");
            loaded
        }
    }

    #[tokio::test]
    async fn rows_of_credit_are_folded_and_those_that_are_forgotten_go() {
        let mut counted = Counted::nothing().await;
        let window_start = Timestamp::EPOCH;
        let key = CounterKey { limit_id: "limit".into(), kind: LimitKind::Budget, window_start };
        let mut book = Book::default();
        let mut outcome = book.hello(
            1,
            &Hello { connection: u64::MAX, slots_for: std::time::Duration::from_secs(9), ..Hello::default() },
            window_start,
        );
        outcome.append(book.set_terms(&key, Terms { max: 10, ends: Timestamp::MAX, lease: None, raised_until: None }));
        let want = Want { key: key.clone(), level: 4, ahead: 0, guessed: false };
        outcome.append(book.want(1, 1, &[want], |_, left| left, window_start).1);
        counted.write(outcome, &book).await;
        assert!(counted.read().await == book, "all is in the tables");
        let outcome = book.give_back(1, 1, &[Returned { key: key.clone(), returned: 4 }]);
        counted.write(outcome, &book).await;
        // The account goes with its limit, though nothing is said of it.
        let (is_over, outcome) = book.forget(&key);
        assert!(is_over);
        counted.write(outcome, &book).await;
        assert_eq!(counted.read().await.rows().count(), 1, "the session stays");
        assert_eq!(counted.store.load_usage().await.unwrap().credit.len(), 1);
        counted.store.close().await;
    }

    #[tokio::test]
    async fn the_journal_has_an_end_however_much_is_counted_and_goes_when_nothing_is() {
        let mut counted = Counted::nothing().await;
        let mut longest = 0;
        for group in 0..400 {
            counted.count(group).await;
            if group % 5 == 0 {
                longest = longest.max(counted.journal().await);
            }
            if group % 70 == 0 {
                // A crash, and another start.
                let LoadedUsage { counters, unfolded, .. } = counted.load().await;
                counted.usage = counters;
                counted.fold = Fold { pace: PACE, ..Fold::new(unfolded) };
            }
        }
        assert!((PACE.long..=2 * (PACE.long + GROUP)).contains(&longest), "{longest} changes");
        let mut steps = 0;
        while counted.fold.due().is_some() {
            counted.step().await;
            steps += 1;
            assert!(steps < 100, "folding has no end");
        }
        assert_eq!((counted.journal().await, counted.load().await.unfolded.changes), (0, 0));
        counted.store.close().await;
    }
}
