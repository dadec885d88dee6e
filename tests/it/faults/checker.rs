//! The laws of the control plane, as a function: the histories of its clients and the log that is left go in, and
//! everything in which they contradict each other comes out. Nothing here knows of servers, faults or clocks.

mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tollgate::domain::Timestamp;
use tollgate::proto::v1::{ConfigResource, ResourceKey, WatchMode, WatchReason, config_resource};
use tollgate::reducer::View;
use tollgate::store::LogRow;

use super::history::{History, Outcome, Seen, WriteRecord};
use crate::crash::Write;
use crate::log::Log;
use crate::usage::reporter::{Reported, consumed};
use crate::watch::api::common;

/// What must hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Law {
    /// What was acknowledged is in the log.
    Durable,
    /// Nothing is in the log twice.
    Once,
    /// Nothing is in the log that nobody asked for, or that was refused.
    Wanted,
    /// An answer says what the log says.
    Truthful,
    /// What was acknowledged before something else was begun has the lower revision.
    RealTime,
    /// What was acknowledged was committed between question and answer, as the log has it, give or take a minute.
    Clock,
    /// Revisions are dense, and their chain leads to the head.
    Chain,
    /// Streams resume where they can, at no earlier revision than they are asked for, and no copy ever goes back. If the
    /// store has lost something, they say so; only then a copy may.
    Resumes,
    /// A copy is the store at its revision.
    Copies,
    /// A bookmark is not behind of what was acknowledged anywhere before its replica last had contact with the database.
    Current,
    /// In the end everybody holds the store at its head.
    Converges,
    /// What is counted is what the nodes consumed.
    Usage,
    /// Whatever a client noticed by itself.
    Noticed,
}

/// A law that was broken, and how.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Violation {
    pub(crate) law: Law,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.law, self.what)
    }
}

/// Everything that contradicts, and how many copies were compared with the log.
pub(crate) fn check(history: &History, log: &Log) -> (Vec<Violation>, usize) {
    let mut found = Found(Vec::new());
    for fault in log.faults() {
        found.add(Law::Chain, fault);
    }
    writes(history, log, &mut found);
    real_time(&history.writes, &mut found);
    if let Some(started) = history.started {
        clock(&history.writes, started, log, &mut found);
    }
    let copied = copies(history, log, &mut found);
    if history.lost.is_none() {
        current(history, &mut found);
    }
    usage(history, &mut found);
    for complaint in &history.complaints {
        found.add(Law::Noticed, complaint.clone());
    }
    (found.0, copied)
}

struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, law: Law, what: String) {
        self.0.push(Violation { law, what });
    }
}

/// What the log has of a write: the revision, the id of the team, and the request id.
type Done<'a> = (i64, &'a str, &'a str);

/// The writes that the log tells of: by name, which is a write's own, or by the id of a team that was deleted.
fn done<'a>(history: &History, log: &'a Log) -> BTreeMap<(bool, String), Vec<Done<'a>>> {
    let mut done: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for txn in log.txns.iter().filter(|txn| txn.revision > history.prepared) {
        for row in &txn.rows {
            let key = match name(row) {
                Some(name) => (true, name),
                None => (false, row.id.to_string()),
            };
            done.entry(key).or_default().push((txn.revision, &*row.id, txn.request_id.as_str()));
        }
    }
    done
}

/// The name that a change leaves; `None` if it deletes.
fn name(row: &LogRow) -> Option<String> {
    match resource(row)?.resource? {
        config_resource::Resource::Team(team) => Some(team.name),
        other => Some(format!("{other:?}")),
    }
}

fn resource(row: &LogRow) -> Option<ConfigResource> {
    row.after.as_ref().map(|after| ConfigResource::decode(after.bytes()).unwrap())
}

fn writes(history: &History, log: &Log, found: &mut Found) {
    let mut done = done(history, log);
    for record in &history.writes {
        let WriteRecord { write, request_id, outcome, .. } = record;
        let key = match write {
            Write::Create(name) | Write::Update(_, name) => (true, name.clone()),
            Write::Delete(id) => (false, id.clone()),
        };
        let done = done.remove(&key).unwrap_or_default();
        if done.len() > 1 {
            found.add(Law::Once, format!("{write:?} is in the log at {done:?}"));
        }
        match (outcome, done.first()) {
            (Outcome::Acknowledged { revision, .. }, None) => {
                found.add(Law::Durable, format!("{write:?} was acknowledged at {revision} and is not in the log"));
            }
            (Outcome::Acknowledged { id, revision }, Some((logged, of, request)))
                if (*revision, id.as_str(), request_id.as_str()) != (*logged, *of, *request) =>
            {
                let answer = format!("as revision {revision} of {id}, request {request_id}");
                found.add(
                    Law::Truthful,
                    format!("{write:?} was acknowledged {answer}; the log has {logged} of {of}, request {request}"),
                );
            }
            (Outcome::Refused(why), done) => {
                found.add(Law::Truthful, format!("{write:?} was refused: {why}"));
                if let Some((revision, ..)) = done {
                    found.add(Law::Wanted, format!("{write:?} was refused, and is in the log at {revision}"));
                }
            }
            _ => {}
        }
    }
    for ((_, what), done) in done {
        found.add(Law::Wanted, format!("nobody wrote {what:?}, which is in the log at {done:?}"));
    }
}

/// How far clocks may be apart, in microseconds.
const APART: i64 = 60_000_000;

fn clock(writes: &[WriteRecord], started: Timestamp, log: &Log, found: &mut Found) {
    let committed: BTreeMap<i64, Timestamp> = log.txns.iter().map(|txn| (txn.revision, txn.committed_at)).collect();
    for WriteRecord { write, began, ended, outcome, .. } in writes {
        let Outcome::Acknowledged { revision, .. } = outcome else { continue };
        let Some(at) = committed.get(revision) else { continue };
        let [began, ended] = [began, ended].map(|time| i64::try_from(time.as_micros()).unwrap());
        let (earliest, latest) = (started.plus_micros(began - APART), started.plus_micros(ended + APART));
        if *at < earliest || *at > latest {
            found.add(Law::Clock, format!("{write:?} is logged at {at:?}, not between {earliest:?} and {latest:?}"));
        }
    }
}

fn real_time(writes: &[WriteRecord], found: &mut Found) {
    let acknowledged = writes.iter().filter_map(|record| match &record.outcome {
        Outcome::Acknowledged { revision, .. } => Some((record, *revision)),
        Outcome::Unknown | Outcome::Refused(_) => None,
    });
    let mut by_begin: Vec<_> = acknowledged.collect();
    let mut by_end = by_begin.clone();
    by_begin.sort_by_key(|(record, _)| record.began);
    by_end.sort_by_key(|(record, _)| record.ended);
    let (mut ended, mut highest) = (by_end.iter().peekable(), None::<&(&WriteRecord, i64)>);
    for (record, revision) in by_begin {
        while let Some(before) = ended.next_if(|(before, _)| before.ended < record.began) {
            highest = highest.filter(|(_, highest)| *highest >= before.1).or(Some(before));
        }
        if let Some((before, highest)) = highest.filter(|(_, highest)| *highest >= revision) {
            let (later, earlier) = (&record.write, &before.write);
            found.add(
                Law::RealTime,
                format!("{later:?} has revision {revision}; {earlier:?} had {highest} before it was begun"),
            );
        }
    }
}

/// How long a bookmark may be on its way, while no replica is stopped.
const UNDER_WAY: Duration = Duration::from_secs(4);

fn current(history: &History, found: &mut Found) {
    let mut acknowledged: Vec<(Duration, i64)> = Vec::new();
    for WriteRecord { ended, outcome, .. } in &history.writes {
        if let Outcome::Acknowledged { revision, .. } = outcome {
            acknowledged.push((*ended, *revision));
        }
    }
    acknowledged.sort();
    let mut highest = 0;
    for (_, revision) in &mut acknowledged {
        highest = highest.max(*revision);
        *revision = highest;
    }
    for (number, seen) in history.streams.iter().enumerate() {
        for seen in seen {
            let Seen::Bookmark { at, age, revision } = seen else { continue };
            let since = at.saturating_sub(*age + UNDER_WAY);
            let stops = history.stops.iter().filter(|stop| stop.start < *at && stop.end > since);
            let since = since.saturating_sub(stops.map(|stop| stop.end - stop.start).sum());
            let before = acknowledged.partition_point(|(ended, _)| *ended < since);
            if let Some((ended, acknowledged)) = acknowledged[..before].last().filter(|last| last.1 > *revision) {
                let claim = format!("a bookmark at {revision} came at {at:?} and says that it is {age:?} old");
                let instead = format!("revision {acknowledged} was acknowledged at {ended:?} or before");
                found.add(Law::Current, format!("watcher {number}: {claim}; {instead}"));
            }
        }
    }
}

/// Where a watcher is told for the last time that the store has lost what its copy had. Replicas notice one after the
/// other: from one that has not, a watcher may still get what is lost.
fn noticed(seen: &[Seen]) -> Option<usize> {
    seen.iter().rposition(|seen| matches!(seen, Seen::Begun { reason: WatchReason::Diverged, .. }))
}

fn stream(number: usize, seen: &[Seen], loses: bool, found: &mut Found) {
    if loses && noticed(seen).is_none() {
        found.add(Law::Resumes, format!("watcher {number} was never told that its copy is lost"));
    }
    // Where the copy is, and whether the snapshot that is coming in may take it back.
    let (mut shown, mut may_go_back) = (0, false);
    for seen in seen {
        match seen {
            Seen::Begun { resumes, at_least, mode, reason, head } => {
                may_go_back = (*mode, *reason) == (WatchMode::Snapshot, WatchReason::Diverged) && loses && *resumes;
                let expected = match resumes {
                    true => (WatchMode::Resumed, WatchReason::Unspecified),
                    false => (WatchMode::Snapshot, WatchReason::First),
                };
                let as_expected = may_go_back || (*mode, *reason) == expected;
                if !as_expected || head < at_least || (*head < shown && !may_go_back) {
                    found.add(Law::Resumes, format!("watcher {number} at {shown}: a stream began with {seen:?}"));
                }
            }
            Seen::Copy(copy) => {
                let at = copy.revision();
                if at < shown && !may_go_back {
                    found.add(Law::Resumes, format!("watcher {number} went from {shown} back to {at}"));
                }
                (shown, may_go_back) = (at, false);
            }
            Seen::Bookmark { .. } => {}
        }
    }
}

/// The store as the log tells it, one revision after the other.
#[derive(Default)]
struct Model {
    resources: BTreeMap<(i32, String), Arc<ConfigResource>>,
    /// What it held before: so that no address is taken twice.
    former: Vec<Arc<ConfigResource>>,
    /// Addresses of what was held by somebody and here, and was the same.
    same: HashSet<(usize, usize)>,
}

impl Model {
    fn take(&mut self, rows: &[LogRow]) {
        for row in rows {
            let key = (tollgate::wire::kind(row.kind).into(), row.id.to_string());
            let former = match resource(row) {
                Some(after) => self.resources.insert(key, Arc::new(common(&after))),
                None => self.resources.remove(&key),
            };
            self.former.extend(former);
        }
    }

    /// How a copy differs.
    fn differs(&mut self, copy: &View) -> Option<String> {
        for ((kind, id), resource) in &self.resources {
            let Some(held) = copy.get(&ResourceKey { kind: *kind, id: id.clone() }) else {
                return Some(format!("{resource:?} is missing"));
            };
            let pair = (Arc::as_ptr(held).addr(), Arc::as_ptr(resource).addr());
            if !self.same.contains(&pair) {
                if common(held) != **resource {
                    return Some(format!("{held:?} should be {resource:?}"));
                }
                self.same.insert(pair);
            }
        }
        let expected = self.resources.len();
        (copy.len() != expected).then(|| format!("it has {} resources instead of {expected}", copy.len()))
    }
}

/// Compares all copies with the log; how many there are.
fn copies(history: &History, log: &Log, found: &mut Found) -> usize {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (number, seen) in history.streams.iter().enumerate() {
        stream(number, seen, history.lost.is_some(), found);
        let noticed = history.lost.as_ref().map_or(0, |_| noticed(seen).unwrap_or(seen.len()));
        before.extend(seen[..noticed].iter().filter_map(Seen::copy).map(|copy| (number, copy)));
        after.extend(seen[noticed..].iter().filter_map(Seen::copy).map(|copy| (number, copy)));
    }
    if let Some(lost) = &history.lost {
        // Of what is lost, or of what is there instead.
        let (as_lost, as_now) = (differences(&before, lost).1, differences(&before, log).1);
        let neither = as_lost.into_iter().filter(|(place, _)| as_now.contains_key(place));
        neither.for_each(|(_, difference)| found.add(Law::Copies, difference));
    }
    let (mut model, wrong) = differences(&after, log);
    wrong.into_values().for_each(|difference| found.add(Law::Copies, difference));
    for (who, copy) in &history.last {
        if copy.revision() != log.head.revision {
            let (at, head) = (copy.revision(), log.head.revision);
            found.add(Law::Converges, format!("{who} ended at revision {at}; the head is {head}"));
        } else if let Some(difference) = model.differs(copy) {
            found.add(Law::Converges, format!("{who}: {difference}"));
        }
    }
    before.len() + after.len()
}

/// How copies, each of the watcher with this number, differ from what the log says, by their places; and the store at its
/// head.
fn differences(copies: &[(usize, &Arc<View>)], log: &Log) -> (Model, BTreeMap<usize, String>) {
    let mut by_revision: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for (place, (_, copy)) in copies.iter().enumerate() {
        by_revision.entry(copy.revision()).or_default().push(place);
    }
    let (mut model, mut wrong) = (Model::default(), BTreeMap::new());
    for txn in &log.txns {
        model.take(&txn.rows);
        for place in by_revision.remove(&txn.revision).unwrap_or_default() {
            let (watcher, copy) = copies[place];
            if let Some(difference) = model.differs(copy) {
                wrong.insert(place, format!("watcher {watcher} at revision {}: {difference}", txn.revision));
            }
        }
    }
    for place in by_revision.into_values().flatten() {
        let (watcher, copy) = copies[place];
        let text = format!("watcher {watcher} was at revision {}, which is not in the log", copy.revision());
        wrong.insert(place, text);
    }
    (model, wrong)
}

fn usage(history: &History, found: &mut Found) {
    for Reported { incarnation, sequence, applied, duplicates, .. } in &history.batches {
        if *applied > 1 {
            found.add(Law::Usage, format!("batch {sequence} of {incarnation} was acknowledged as new {applied} times"));
        }
        if applied + duplicates == 0 {
            found.add(Law::Usage, format!("batch {sequence} of {incarnation} was never acknowledged"));
        }
    }
    let expected = consumed(&history.batches, &history.keys);
    for (who, counted) in &history.counted {
        for of in counted.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
            let [counted, expected] = [counted, &expected].map(|sums| sums.get(of).copied().unwrap_or_default());
            if counted != expected {
                found.add(
                    Law::Usage,
                    format!("{who} has counted {counted:?} for {of}; the nodes consumed {expected:?}"),
                );
            }
        }
    }
}
