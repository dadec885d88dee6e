//! Following what other servers write to the same database: memory is brought to where the store stands, from the log and
//! never by a guess. A revision that is missing, or whose hash is not that of what it says, is corruption.

use crate::counters::CounterKey;
use crate::domain::AnyResource;
use crate::seeded::{self, Bug};
use crate::state::{Moved, State};
use crate::store::{CatchUpDelta, ChainVersion, Position, RevisionRecord, StoreError};

/// Where memory stands.
pub(super) fn position(state: &State) -> Position {
    let usage = state.usage();
    Position { head: state.head().clone(), usage_version: usage.version(), usage_mark: usage.mark() }
}

/// Applies what others wrote to `state`; the usage that moved, and what of it has to be folded from now on.
///
/// # Errors
///
/// [`StoreError::Corrupt`] if the chain of the log, computed anew, is another.
pub(super) fn apply(state: &mut State, news: CatchUpDelta) -> Result<(Moved, Vec<CounterKey>), StoreError> {
    let CatchUpDelta { position, txns, resources, removed, counters, watermarks: _, former_keys: _, credit } = news;
    let resources = skip_gap(&txns, resources);
    let prefixes = chain_prefixes(state, &txns)?;
    state.advance(position.head, prefixes, resources, removed);
    credit.changes.into_iter().for_each(|change| state.credit_mut().apply(change));
    let waiting = state.usage_mut().put(counters.iter().cloned());
    state.usage_mut().reach(position.usage_version, position.usage_mark);
    Ok((Moved { counters, crossings: Vec::new() }, waiting))
}

/// The starts of the chains of these revisions, which must be the next.
fn chain_prefixes(state: &State, txns: &[RevisionRecord]) -> Result<Vec<u64>, StoreError> {
    let mut chain = state.head().chain;
    let mut prefixes = Vec::with_capacity(txns.len());
    for txn in txns {
        chain = txn.chain_after(chain);
        // No server writes an earlier version on a database that this one has migrated.
        if chain != txn.chain || txn.chain_version != ChainVersion::CURRENT {
            return Err(StoreError::Corrupt {
                table: "change_txn",
                id: txn.revision.to_string(),
                why: "its chain is not the hash of its record and changes".to_owned(),
            });
        }
        prefixes.push(chain.prefix());
    }
    Ok(prefixes)
}

/// A bug that the tests plant to show that they would find it: the head of `news` without its changes.
pub(super) fn head_alone(state: &State, news: &CatchUpDelta) -> Option<State> {
    let prefixes = chain_prefixes(state, &news.txns).ok()?;
    let mut ahead = state.clone();
    ahead.advance(news.position.head.clone(), prefixes, [], []);
    Some(ahead)
}

/// A bug that the tests plant to show that they would find it.
fn skip_gap(txns: &[RevisionRecord], mut resources: Vec<AnyResource>) -> Vec<AnyResource> {
    if seeded::is(Bug::SkipGap)
        && let [first, _, ..] = txns
    {
        resources.retain(|resource| resource.revision() != first.revision);
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::state::{Chain, Head};

    #[test]
    fn only_what_this_version_chained_is_followed() {
        let head = Head {
            store_id: "store".into(),
            revision: 0,
            chain: Chain::ORIGIN,
            committed_at: Timestamp::EPOCH,
            compacted_revision: 0,
            compacted_chain: Chain::ORIGIN,
            last_config_id: 0,
        };
        let state = State::restore(head, [], [], []);
        let written = |chain_version| {
            let mut txn = RevisionRecord {
                revision: 1,
                chain: Chain::ORIGIN,
                chain_version,
                committed_at: Timestamp::EPOCH,
                actor: "ops".to_owned(),
                peer: String::new(),
                method: "M".to_owned(),
                request_id: String::new(),
                request_digest: None,
                rows: Vec::new(),
            };
            txn.chain = txn.chain_after(Chain::ORIGIN);
            txn
        };
        let current = written(ChainVersion::CURRENT);
        assert_eq!(chain_prefixes(&state, std::slice::from_ref(&current)).unwrap(), [current.chain.prefix()]);
        let altered = RevisionRecord { actor: "mallory".to_owned(), ..current };
        for txn in [altered, written(ChainVersion::Changes)] {
            let refused = chain_prefixes(&state, &[txn]);
            assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
        }
    }
}
