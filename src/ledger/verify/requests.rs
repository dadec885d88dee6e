//! Whether what is remembered of requests is what was answered: each row has a hash of itself, and the revision that a
//! request made carries that hash in the chain. A request that changed nothing made no revision, so that a row of one that
//! was altered together with its hash, added or removed is not noticed.

use std::collections::HashMap;

use super::Verification;
use crate::domain::Timestamp;
use crate::store::{ChainVersion, Reader, RevisionRecord, StoreError};

/// Answers to requests of revisions that are older may be forgotten: after 24 hours, by clocks that may differ.
const REMEMBERED_MICROS: i64 = 23 * 60 * 60 * 1_000_000;

/// What the log tells of requests.
pub(super) struct Requests {
    /// The revisions after this time must have their answers.
    since: Timestamp,
    /// Hashes of answers that must be there, with the revisions that carry them.
    expected: HashMap<[u8; 32], i64>,
    /// From when on what is remembered has a hash.
    hashed_since: Option<Timestamp>,
}

impl Requests {
    /// Before the log is read; it is `now`.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { since: now.plus_micros(-REMEMBERED_MICROS), expected: HashMap::new(), hashed_since: None }
    }

    /// Takes the next revision of the log.
    pub(super) fn take(&mut self, txn: &RevisionRecord) {
        if txn.chain_version == ChainVersion::Record {
            self.hashed_since.get_or_insert(txn.committed_at);
        }
        if let Some(digest) = txn.request_digest
            && txn.committed_at > self.since
        {
            self.expected.insert(digest, txn.revision);
        }
    }

    /// Compares what is remembered with what was taken.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] or [`StoreError::Unavailable`].
    pub(super) async fn check(self, store: &Reader, found: &mut Verification) -> Result<(), StoreError> {
        let Self { since: _, mut expected, hashed_since } = self;
        store
            .remembered(|request, recorded| {
                let digest = request.digest();
                expected.remove(&digest);
                let by_earlier_version =
                    recorded.is_empty() && hashed_since.is_none_or(|since| request.accepted_at < since);
                if recorded != digest && !by_earlier_version {
                    found.fault(format!(
                        "request {:?} of {}, {}: what is remembered of it was altered afterwards",
                        request.request_id, request.caller, request.method
                    ));
                }
            })
            .await?;
        for revision in expected.into_values() {
            found.fault(format!("revision {revision}: what was answered to its request is not remembered as it was"));
        }
        Ok(())
    }
}
