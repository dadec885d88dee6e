//! What a running server says was counted, beside what the tables and the journal have of it. Counting goes on meanwhile.
//!
//! A stream brings the current window of each limit, with a version that rises with every change. The database is read after
//! it: what the server showed was durable by then, so that it is in the tables, or in the journal, which has every change of
//! the last seconds. Of one version, values must be equal. Where versions tell nothing (another replica is behind, a window
//! turned, the limit was changed), both are read again, and only what stays as it is, on both sides, is a fault.

use std::collections::{HashMap, HashSet};

use crate::counters::{Counter, CounterKey};
use crate::proto::v1::LimitUsage;
use crate::reducer::Usage;
use crate::store::RecordedUsage;
use crate::wire;

/// Where both sides disagree, and it may be for a moment.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Doubt {
    key: CounterKey,
    recorded: Counter,
    told: Option<Told>,
}

/// What the server said of a limit; nothing is zero.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Told {
    window_start: Option<prost_types::Timestamp>,
    used: i64,
    version: i64,
}

impl Doubt {
    /// What it is if it stays.
    pub(super) fn fault(&self) -> String {
        let Self { key, recorded: Counter { used, version }, told } = self;
        let memory = match told {
            Some(Told { window_start, used, version }) if *window_start == Some(wire::timestamp(key.window_start)) => {
                format!("{used} (version {version})")
            }
            Some(_) => "another window".to_owned(),
            None => "nothing".to_owned(),
        };
        format!("usage: the tables have {used} (version {version}) for {key}, the server's memory has {memory}")
    }
}

/// Compares the current windows of all limits. Returns the faults that are certain, and what is in doubt.
pub(super) fn compare(windows: &[CounterKey], told: &Usage, recorded: &RecordedUsage) -> (Vec<String>, HashSet<Doubt>) {
    let (mut last, mut changes) = (HashMap::new(), HashMap::new());
    for (key, counter) in recorded.journal.iter().flat_map(|entry| &entry.counters) {
        last.insert(key, *counter);
        changes.insert((key, counter.version), counter.used);
    }
    let (mut faults, mut doubts) = (Vec::new(), HashSet::new());
    for key in windows {
        let of_table = || recorded.counters.get(key).copied().unwrap_or_default();
        let counter = last.get(key).copied().unwrap_or_else(of_table);
        let told = told.get(&(key.limit_id.to_string(), wire::limit_kind(key.kind).into()));
        let told = told.map(|LimitUsage { window_start, used, version, .. }| Told {
            window_start: *window_start,
            used: *used,
            version: *version,
        });
        let doubt = Doubt { key: key.clone(), recorded: counter, told };
        match &doubt.told {
            Some(told) if told.window_start == Some(wire::timestamp(key.window_start)) => {
                let at_its_version = match told.version == counter.version {
                    true => Some(counter.used),
                    false => changes.get(&(key, told.version)).copied(),
                };
                match at_its_version {
                    Some(used) if used != told.used => faults.push(doubt.fault()),
                    Some(_) => {}
                    // What a limit was told with may be the version of its window before: then it is later than that of
                    // its counter.
                    None if told.used == counter.used && told.version > counter.version => {}
                    None => drop(doubts.insert(doubt)),
                }
            }
            Some(Told { used: 0, .. }) | None if counter.used == 0 => {}
            Some(_) | None => drop(doubts.insert(doubt)),
        }
    }
    (faults, doubts)
}
