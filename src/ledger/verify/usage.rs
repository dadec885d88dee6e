//! Whether what was counted contradicts itself: the journal, the tables that it is folded into, the batches of nodes, and
//! the thresholds that were crossed.
//!
//! No two changes of counters have the same version, and what is in the tables with a version that the journal still has
//! came from there. What left the journal is known from the tables alone.

use std::collections::{HashMap, HashSet};

use super::Verification;
use crate::config::Config;
use crate::counters::{Counter, CounterKey, Dimension, dimensions};
use crate::domain::{AlertPercents, AnyResource, LimitId, LimitKind, Timestamp};
use crate::state::Crossing;
use crate::store::{JournalEntry, RecordedUsage};
use crate::usage::is_past;

/// What a node that was never counted has for the hash of its last batch.
const NO_BATCH: [u8; 32] = [0; 32];

/// All limits, each with when its owner was last changed.
pub(super) type LimitsOf<'a> = HashMap<(LimitId, LimitKind), (Dimension<'a>, Timestamp)>;

/// All limits of `resources`, which are those of `config`.
pub(super) fn limits<'a>(resources: &'a [AnyResource], config: &'a Config) -> LimitsOf<'a> {
    let of = |any| dimensions(any, config.calendar(any)).into_iter();
    let all = resources.iter().flat_map(|any| of(any).map(|limit| (limit, any.updated_at())));
    all.map(|(limit, updated_at)| ((limit.limit_id.clone(), limit.kind), (limit, updated_at))).collect()
}

/// Adds the faults of what was recorded. `limits` were read after it, and it is `now`.
pub(super) fn check(recorded: &RecordedUsage, limits: &LimitsOf<'_>, now: Timestamp, found: &mut Verification) {
    let check = Check {
        recorded,
        // Where the journal begins: what is later is in it.
        begins: recorded.journal.first().map_or(recorded.version, |first| first.from_version),
    };
    let journaled = check.journal(found);
    check.counters(&journaled, found);
    check.watermarks(found);
    for crossing in &recorded.crossings {
        if let Some(fault) = check.crossing(crossing, &journaled, limits, now) {
            found.fault(fault);
        }
    }
}

struct Check<'a> {
    recorded: &'a RecordedUsage,
    begins: i64,
}

/// The journal, looked up.
#[derive(Default)]
struct Journaled<'a> {
    /// What each change made of which counter, by its version.
    changes: HashMap<i64, (&'a CounterKey, i64)>,
    /// The last change of each counter.
    last: HashMap<&'a CounterKey, Counter>,
}

impl<'a> Check<'a> {
    fn journal(&self, found: &mut Verification) -> Journaled<'a> {
        let mut journaled = Journaled::default();
        let RecordedUsage { version, journal, .. } = self.recorded;
        if journal.last().is_some_and(|last| last.version != *version) {
            found.fault(format!(
                "usage: the journal does not lead to the head, whose counters are at version {version}"
            ));
        }
        for JournalEntry { from_version, version, counters, .. } in journal {
            if from_version >= version {
                found.fault(format!("usage: the journal's row of version {version} begins at version {from_version}"));
            }
            for (key, counter) in counters {
                let twice = journaled.changes.insert(counter.version, (key, counter.used)).is_some();
                if twice || counter.used < 0 || !(from_version + 1..=*version).contains(&counter.version) {
                    found
                        .fault(format!("usage: the journal's row of version {version} has no possible value of {key}"));
                }
                journaled.last.insert(key, *counter);
            }
        }
        journaled
    }

    fn counters(&self, journaled: &Journaled<'_>, found: &mut Verification) {
        let mut versions = HashSet::with_capacity(self.recorded.counters.len());
        for (key, Counter { used, version }) in &self.recorded.counters {
            if *used < 0 || !(1..=self.recorded.version).contains(version) || !versions.insert(*version) {
                found.fault(format!("usage: {key} is in the tables with {used} at version {version}, which cannot be"));
            } else if *version > self.begins && journaled.changes.get(version) != Some(&(key, *used)) {
                found.fault(format!("usage: {key} is not in the tables as the journal has it at version {version}"));
            }
        }
    }

    fn watermarks(&self, found: &mut Verification) {
        let mut journaled: HashMap<i64, Vec<(i64, [u8; 32])>> = HashMap::new();
        for (incarnation, sequence, hash) in self.recorded.journal.iter().flat_map(|entry| &entry.watermarks) {
            let counted = journaled.entry(*incarnation).or_default();
            if counted.last().is_some_and(|(last, _)| last >= sequence) {
                found.fault(format!("usage: the journal counts batch {sequence} of incarnation {incarnation} twice"));
            }
            counted.push((*sequence, *hash));
        }
        for watermark in &self.recorded.watermarks {
            let (incarnation, sequence) = (watermark.incarnation, watermark.sequence);
            let counted = journaled.remove(&incarnation).unwrap_or_default();
            let at = (sequence, watermark.fingerprint);
            // A fold is behind the journal, or at one of its batches.
            let fits = counted.first().is_none_or(|first| sequence < first.0) || counted.contains(&at);
            let possible = sequence >= 0 && (sequence == 0) == (watermark.fingerprint == NO_BATCH);
            if !fits || !possible || !(1..=self.recorded.last_incarnation).contains(&incarnation) {
                found.fault(format!(
                    "usage: incarnation {incarnation} is in the tables at batch {sequence}, which is not \
                                     where its batches led"
                ));
            }
        }
        for incarnation in journaled.into_keys() {
            found
                .fault(format!("usage: batches of incarnation {incarnation} were counted, which is not in the tables"));
        }
    }

    /// What is wrong with a crossing: a counter must have what it says, or have moved on since.
    fn crossing(
        &self,
        crossing: &Crossing,
        journaled: &Journaled<'_>,
        limits: &LimitsOf<'_>,
        now: Timestamp,
    ) -> Option<String> {
        let Crossing { key, owner, percent, used, max, version, crossed_at } = crossing;
        let is_threshold = AlertPercents::RANGE.contains(percent);
        let reached = is_threshold && *used > 0 && i128::from(*used) * 100 >= i128::from(*max) * i128::from(*percent);
        if !reached || !(1..=self.recorded.version).contains(version) {
            return Some(format!("usage: {key} cannot have reached {percent} % with {used} of {max}"));
        }
        let limit = limits.get(&(key.limit_id.clone(), key.kind));
        let unchanged = |updated_at: &Timestamp| updated_at < crossed_at;
        let is_as_told =
            |limit: &Dimension<'_>| limit.max(*crossed_at) == *max && limit.alert_percents.percents().contains(percent);
        if limit.is_some_and(|(limit, updated_at)| limit.owner != *owner || unchanged(updated_at) && !is_as_told(limit))
        {
            return Some(format!(
                "usage: {key} reached {percent} %, but its limit has another owner, maximum or alert_percents"
            ));
        }
        let has =
            |counter: Counter| counter.version > *version || (counter.version == *version && counter.used == *used);
        let is_there = if *version > self.begins {
            let rows = &self.recorded.journal;
            let row = rows.get(rows.partition_point(|row| row.version < *version));
            // A change of configuration may move a counter several times in one row, which has the last.
            row.is_some_and(|row| row.counters.iter().any(|(other, counter)| other == key && has(*counter)))
        } else {
            // Windows are forgotten in time, and the limit may have had others before it was changed.
            let kept = limit.is_some_and(|(limit, updated_at)| unchanged(updated_at) && !is_past(limit, key, now));
            let last = journaled.last.get(key).or_else(|| self.recorded.counters.get(key));
            !kept || last.is_some_and(|counter| has(*counter))
        };
        (!is_there).then(|| format!("usage: {key} reached {percent} % with {used}, which is not what was counted"))
    }
}
