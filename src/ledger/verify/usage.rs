//! Whether what was counted contradicts itself: the journal, the tables that it is folded into, the batches of nodes, and
//! the thresholds that were crossed.
//!
//! No two changes of counters have the same version, and what is in the tables with a version that the journal still has
//! came from there. What left the journal is known from the tables alone.

use std::collections::{HashMap, HashSet};

use super::{Verification, credit};
use crate::config::Config;
use crate::counters::{Counter, CounterKey, Dimension, dimensions};
use crate::domain::{AlertPercents, AnyResource, LimitId, LimitKind, Timestamp};
use crate::state::Crossing;
use crate::store::{JournalEntry, Reader, RecordedUsage, StoreError};
use crate::usage::is_past;

/// What a node that was never counted has for the hash of its last batch.
const NO_BATCH: [u8; 32] = [0; 32];

/// Reads what was counted, and adds its faults, but for those that only the limits can tell. Of counters, which may be many
/// millions, only those are kept that something else has to be compared with.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if rows cannot be read or one of the journal is missing, else [`StoreError::Unavailable`].
pub(super) async fn read(store: &Reader, found: &mut Verification) -> Result<Crossings, StoreError> {
    let reader = store.usage_reader().await?;
    let mut recorded = reader.without_counters().await?;
    let begins = reader.journal_begins().await?.unwrap_or(recorded.version);
    let mut crossings = Crossings::new(std::mem::take(&mut recorded.crossings), recorded.version, begins);
    let mut table = Table { version: recorded.version, begins, last: 0, journaled: HashMap::new() };
    let faults = &mut *found;
    reader
        .counters(|key, counter| {
            faults.counters += 1;
            crossings.counted(&key, counter);
            table.take(key, counter, faults);
        })
        .await?;
    let mut last = recorded.version;
    reader
        .journal(|mut entry| {
            last = entry.version;
            crossings.journaled(&entry);
            table.journaled(&entry, faults);
            entry.counters = Vec::new();
            recorded.journal.push(entry);
        })
        .await?;
    drop(reader);
    if last != recorded.version {
        found.fault(format!(
            "usage: the journal does not lead to the head, whose counters are at version {}",
            recorded.version
        ));
    }
    table.finish(found);
    watermarks(&recorded, found);
    credit::check(&recorded, found);
    Ok(crossings)
}

/// The counters of the table, beside those of the journal.
struct Table {
    /// The version of usage.
    version: i64,
    /// Where the journal begins: what is later is in it.
    begins: i64,
    /// The version of the counter before, or 0.
    last: i64,
    /// The counters that the journal has to have, by their versions.
    journaled: HashMap<i64, (CounterKey, i64)>,
}

impl Table {
    /// Takes the next counter of the table, in the order of versions.
    fn take(&mut self, key: CounterKey, Counter { used, version }: Counter, found: &mut Verification) {
        if used < 0 || version > self.version || version <= self.last {
            found.fault(format!("usage: {key} is in the tables with {used} at version {version}, which cannot be"));
        } else if version > self.begins {
            self.journaled.insert(version, (key, used));
        }
        self.last = self.last.max(version);
    }

    /// Takes the next row of the journal.
    fn journaled(
        &mut self,
        JournalEntry { from_version, version, counters, .. }: &JournalEntry,
        found: &mut Verification,
    ) {
        if from_version >= version {
            found.fault(format!("usage: the journal's row of version {version} begins at version {from_version}"));
        }
        let mut versions = HashSet::with_capacity(counters.len());
        for (key, counter) in counters {
            // No other row has one of these versions.
            let is_possible = counter.used >= 0 && (from_version + 1..=*version).contains(&counter.version);
            if !is_possible || !versions.insert(counter.version) {
                found.fault(format!("usage: the journal's row of version {version} has no possible value of {key}"));
            }
            if self.journaled.get(&counter.version).is_some_and(|(of, used)| of == key && *used == counter.used) {
                self.journaled.remove(&counter.version);
            }
        }
    }

    fn finish(self, found: &mut Verification) {
        for (version, (key, _)) in self.journaled {
            found.fault(format!("usage: {key} is not in the tables as the journal has it at version {version}"));
        }
    }
}

fn watermarks(recorded: &RecordedUsage, found: &mut Verification) {
    let mut journaled: HashMap<i64, Vec<(i64, [u8; 32])>> = HashMap::new();
    for (incarnation, sequence, hash) in recorded.journal.iter().flat_map(|entry| &entry.watermarks) {
        let counted = journaled.entry(*incarnation).or_default();
        if counted.last().is_some_and(|(last, _)| last >= sequence) {
            found.fault(format!("usage: the journal counts batch {sequence} of incarnation {incarnation} twice"));
        }
        counted.push((*sequence, *hash));
    }
    for watermark in &recorded.watermarks {
        let (incarnation, sequence) = (watermark.incarnation, watermark.sequence);
        let counted = journaled.remove(&incarnation).unwrap_or_default();
        let at = (sequence, watermark.fingerprint);
        // A fold is behind the journal, or at one of its batches.
        let fits = counted.first().is_none_or(|first| sequence < first.0) || counted.contains(&at);
        let possible = sequence >= 0 && (sequence == 0) == (watermark.fingerprint == NO_BATCH);
        if !fits || !possible || !(1..=recorded.last_incarnation).contains(&incarnation) {
            found.fault(format!(
                "usage: incarnation {incarnation} is in the tables at batch {sequence}, which is not \
                                 where its batches led"
            ));
        }
    }
    for incarnation in journaled.into_keys() {
        found.fault(format!("usage: batches of incarnation {incarnation} were counted, which is not in the tables"));
    }
}

/// The thresholds that were crossed, and what each is judged by.
pub(super) struct Crossings {
    /// The version of usage.
    version: i64,
    /// Where the journal begins.
    begins: i64,
    /// In the order of their versions.
    crossings: Vec<Judged>,
    /// Their places, by the limit.
    by_limit: HashMap<(LimitId, LimitKind), Vec<usize>>,
    /// The last that is known of their counters.
    last: HashMap<CounterKey, Option<Counter>>,
}

struct Judged {
    crossing: Crossing,
    /// Whether the row of the journal in which the counter crossed it has that.
    is_journaled: bool,
    limit: Option<OfLimit>,
}

/// What the limit says to a crossing.
struct OfLimit {
    /// Whether it may be what was crossed.
    fits: bool,
    /// Whether its counter must still be there: windows are forgotten in time, and the limit may have had others before it
    /// was changed.
    is_kept: bool,
}

impl Crossings {
    fn new(mut crossings: Vec<Crossing>, version: i64, begins: i64) -> Self {
        crossings.sort_unstable_by_key(|crossing| crossing.version);
        let (mut by_limit, mut last) = (HashMap::<_, Vec<usize>>::new(), HashMap::new());
        for (place, Crossing { key, .. }) in crossings.iter().enumerate() {
            by_limit.entry((key.limit_id.clone(), key.kind)).or_default().push(place);
            last.insert(key.clone(), None);
        }
        let judged = |crossing| Judged { crossing, is_journaled: false, limit: None };
        Self { version, begins, crossings: crossings.into_iter().map(judged).collect(), by_limit, last }
    }

    /// Takes a counter of the table.
    fn counted(&mut self, key: &CounterKey, counter: Counter) {
        if let Some(last) = self.last.get_mut(key) {
            *last = Some(counter);
        }
    }

    /// Takes the next row of the journal.
    fn journaled(&mut self, entry: &JournalEntry) {
        let after = |version: i64| self.crossings.partition_point(|it| it.crossing.version <= version);
        for place in after(entry.from_version)..after(entry.version) {
            let Some(Judged { crossing, is_journaled, .. }) = self.crossings.get_mut(place) else { break };
            // A change of configuration may move a counter several times in one row, which has the last.
            *is_journaled = entry.counters.iter().any(|(key, counter)| *key == crossing.key && has(crossing, *counter));
        }
        for (key, counter) in &entry.counters {
            self.counted(key, *counter);
        }
    }

    /// Takes the next resource. Its windows follow the calendars of `config`, and it is `now`.
    pub(super) fn take(&mut self, any: &AnyResource, config: &Config, now: Timestamp) {
        if self.crossings.is_empty() {
            return;
        }
        for limit in dimensions(any, config.calendar(any)) {
            let places = self.by_limit.get(&(limit.limit_id.clone(), limit.kind));
            for place in places.into_iter().flatten() {
                let Some(Judged { crossing, limit: of, .. }) = self.crossings.get_mut(*place) else { continue };
                *of = Some(of_limit(crossing, &limit, any.updated_at(), now));
            }
        }
    }

    /// Adds the faults of what was crossed, once all resources were taken.
    pub(super) fn check(&self, found: &mut Verification) {
        self.crossings.iter().filter_map(|judged| self.fault(judged)).for_each(|fault| found.fault(fault));
    }

    /// What is wrong with a crossing: a counter must have what it says, or have moved on since.
    fn fault(&self, Judged { crossing, is_journaled, limit }: &Judged) -> Option<String> {
        let Crossing { key, percent, used, max, version, .. } = crossing;
        let is_threshold = AlertPercents::RANGE.contains(percent);
        let reached = is_threshold && *used > 0 && i128::from(*used) * 100 >= i128::from(*max) * i128::from(*percent);
        if !reached || !(1..=self.version).contains(version) {
            return Some(format!("usage: {key} cannot have reached {percent} % with {used} of {max}"));
        }
        if limit.as_ref().is_some_and(|limit| !limit.fits) {
            return Some(format!(
                "usage: {key} reached {percent} %, but its limit has another owner, maximum or alert_percents"
            ));
        }
        let is_there = if *version > self.begins {
            *is_journaled
        } else {
            let is_kept = limit.as_ref().is_some_and(|limit| limit.is_kept);
            !is_kept || self.last.get(key).copied().flatten().is_some_and(|counter| has(crossing, counter))
        };
        (!is_there).then(|| format!("usage: {key} reached {percent} % with {used}, which is not what was counted"))
    }
}

/// Whether the counter has what the crossing says, or something later.
fn has(Crossing { used, version, .. }: &Crossing, counter: Counter) -> bool {
    counter.version > *version || (counter.version == *version && counter.used == *used)
}

/// What a limit, whose owner was last changed at `updated_at`, says to a crossing.
fn of_limit(crossing: &Crossing, limit: &Dimension<'_>, updated_at: Timestamp, now: Timestamp) -> OfLimit {
    let Crossing { key, owner, percent, max, crossed_at, .. } = crossing;
    let is_unchanged = updated_at < *crossed_at;
    let is_as_told = limit.max(*crossed_at) == *max && limit.alert_percents.percents().contains(percent);
    OfLimit {
        fits: limit.owner == *owner && (!is_unchanged || is_as_told),
        is_kept: is_unchanged && !is_past(limit, key, now),
    }
}
