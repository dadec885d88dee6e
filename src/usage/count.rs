//! Counting one entry of a batch.

use super::{Assigned, Entry, Fault, FormerKeys, Refusal, SpendTally};
use crate::config::Config;
use crate::counters::CounterKey;
use crate::credit::Book;
use crate::domain::Timestamp;
use crate::seeded::{self, Bug};
use crate::state::Tally;

/// The counters that an entry moves.
///
/// # Errors
///
/// The entry moves none.
pub(super) fn assign(
    config: &Config,
    credit: &Book,
    former: &FormerKeys,
    entry: &Entry,
    now: Timestamp,
) -> Result<Assigned, Fault> {
    let is_open = |key: &CounterKey| credit.outstanding(key) > 0;
    let mut assigned = super::assign_late(config, former, entry, now, is_open)?;
    if seeded::is(Bug::ZeroAtTurn) {
        assigned.amounts.retain(|amount| {
            let limit = config.limit(&amount.key.limit_id, amount.key.kind);
            limit.is_some_and(|limit| limit.counter(now) == amount.key)
        });
    }
    Ok(assigned)
}

/// Adds an entry to the tallies, whole or not at all. Whether it came too late for its window.
///
/// # Errors
///
/// The entry names an unknown key, is negative, or would overflow a counter; nothing of it was added.
pub fn count(
    (config, credit): (&Config, &Book),
    former: &FormerKeys,
    entry: &Entry,
    now: Timestamp,
    tally: &mut Tally<'_>,
    spend: &mut SpendTally,
) -> Result<bool, Refusal> {
    let assigned = assign(config, credit, former, entry, now)?;
    tally.add(&assigned.amounts).map_err(|key| {
        let CounterKey { limit_id, kind, .. } = key;
        Refusal(format!("would overflow what {kind:?} of limit {limit_id} can count; report a smaller amount"))
    })?;
    spend.count(entry, &assigned);
    Ok(assigned.late)
}
