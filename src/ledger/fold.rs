//! Folding the journal of usage into its tables: when, and how much at a time.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::counters::{CounterKey, Counters};
use crate::store::{Store, StoreError, Unfolded, Watermark};

/// Between two folds. The longer, the more often a counter moves before it is written once; and the longer the journal.
const INTERVAL: Duration = Duration::from_secs(10);
/// With so many counters waiting, the next fold begins at once.
const MANY: usize = 100_000;
/// Counters written in one transaction: what is submitted meanwhile waits for it, about 30 ms.
const PART: usize = 2_000;
/// After each part, so many times as long as it took: that time belongs to those who count. The longer, the longer grows the
/// journal while very many counters move.
const REST: u32 = 3;
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// What waits to be folded, and how far the fold that runs has come.
pub(super) struct Fold {
    /// Each once, but for those that were read from the journal at the start.
    counters: Vec<CounterKey>,
    incarnations: HashSet<i64>,
    running: Option<Running>,
    /// The usage version that the last fold covered: the journal up to there can go once the next one is through.
    covered: i64,
    next: Instant,
}

struct Running {
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
        let Unfolded { counters, incarnations } = waiting;
        let counters = counters.into_iter().collect();
        Self { counters, incarnations, running: None, covered: 0, next: Instant::now() + INTERVAL }
    }

    /// Notes what the journal has got, from here or from others: counters that did not wait before, and watermarks of
    /// incarnations.
    pub(super) fn note(
        &mut self,
        counters: impl IntoIterator<Item = CounterKey>,
        incarnations: impl IntoIterator<Item = i64>,
    ) {
        self.counters.extend(counters);
        self.incarnations.extend(incarnations);
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let Self { counters, incarnations, .. } = self;
        match &self.running {
            Some(_) => Some(self.next),
            None if counters.len() >= MANY => Some(self.next - INTERVAL),
            None if !counters.is_empty() || !incarnations.is_empty() => Some(self.next),
            None => None,
        }
    }

    /// Folds the next part; after the last one, the part of the journal that the fold before covered is cut.
    pub(super) async fn step(
        &mut self,
        store: &Store,
        usage: &Counters,
        watermark: impl Fn(i64) -> Option<Watermark>,
    ) -> Result<(), StoreError> {
        let running = self.running.get_or_insert_with(|| {
            let mut counters = std::mem::take(&mut self.counters);
            // In the order of the table, so that a part touches few pages.
            counters.sort_unstable();
            counters.dedup();
            let incarnations = std::mem::take(&mut self.incarnations).into_iter().collect();
            Running { counters, incarnations, covers: usage.version() }
        });
        let started = Instant::now();
        self.next = started;
        let rest = running.counters.len().saturating_sub(PART);
        let part = running.counters.get(rest..).unwrap_or_default();
        // As they are now: what moved on since is in the journal again. What was forgotten meanwhile has no version.
        let counters =
            part.iter().map(|key| (key.clone(), usage.take_waiting(key))).filter(|(_, counter)| counter.version != 0);
        let counters: Vec<_> = counters.collect();
        let counted = running.incarnations.iter().filter_map(|incarnation| watermark(*incarnation));
        let counted: Vec<_> = counted.collect();
        if !counters.is_empty() || !counted.is_empty() {
            store.fold_usage(&counters, &counted).await.inspect_err(|_| self.next += RETRY)?;
        }
        running.counters.truncate(rest);
        running.incarnations.clear();
        if !running.counters.is_empty() {
            self.next = Instant::now() + started.elapsed() * REST;
            return Ok(());
        }
        store.cut_journal(self.covered).await.inspect_err(|_| self.next += RETRY)?;
        self.covered = running.covers;
        self.running = None;
        self.next += INTERVAL;
        Ok(())
    }
}
