//! The log, recomputed and applied: its chain, whether each change begins where the one before it ended, and whether the
//! tables have what it leads to.

use std::collections::HashMap;

use prost::Message as _;

use super::Verification;
use super::requests::Requests;
use crate::domain::{AnyResource, Kind, ResourceKey, Timestamp};
use crate::state::{Chain, Head, Op};
use crate::store::{
    ChainVersion, ChangeFilter, Link, LogBody, LogPart, LogRow, LoggedChange, Reader, RevisionRecord, Snapshot,
    StoreError,
};
use crate::wire::{self, Form};

/// Changes that are read at a time to name what is missing.
const CHANGES: u64 = 1_000;

/// The start of a hash under a key that nobody knows before: as good as the whole of it.
type Digest = [u8; 16];

/// The log, read so far.
pub(super) struct Fold {
    /// The compacted revision and its chain, which the head remembers: the log may begin after it.
    compacted: (i64, Chain),
    /// The revision before; `None` before the first.
    before: Option<RevisionRecord>,
    /// The revision that is being read, and its chain up to the change before.
    current: Option<(RevisionRecord, Link)>,
    requests: Requests,
    /// By a digest of its kind and id, the last change of each resource.
    last: HashMap<Digest, Last>,
    /// The key of the digests.
    key: [u8; 32],
    adoption: Adoption,
}

/// Access tokens of an earlier version enter the log all at once, when the first server of this one starts: until then they
/// have no revision.
#[derive(Default)]
struct Adoption {
    /// The first of those that have none.
    waiting: Option<ResourceKey>,
    /// Whether one has a revision.
    is_done: bool,
}

/// The last change of a resource.
struct Last {
    revision: i64,
    /// Of the resource that it left; of nothing if it left none.
    after: Digest,
}

impl Fold {
    /// Before the log of the store that stands at `head`; it is `now`.
    pub(super) fn new(head: &Head, now: Timestamp) -> Self {
        Self {
            compacted: (head.compacted_revision, head.compacted_chain),
            before: None,
            current: None,
            requests: Requests::at(now.max(head.committed_at)),
            last: HashMap::new(),
            key: rand::random(),
            adoption: Adoption::default(),
        }
    }

    /// Reads the next part of the log, up to `revision`. Returns false if there was none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] or [`StoreError::Unavailable`].
    pub(super) async fn read_part(
        &mut self,
        snapshot: &Snapshot,
        revision: i64,
        found: &mut Verification,
    ) -> Result<bool, StoreError> {
        let after = self.before.as_ref().map_or(0, |before| before.revision);
        if after >= revision {
            return Ok(false);
        }
        let mut first = None;
        let last = snapshot
            .visit_log(after, |part| {
                if let LogPart::Revision(record, _) = &part {
                    first.get_or_insert(record.revision);
                }
                self.take(part, revision, found);
            })
            .await?;
        self.close(found);
        // What is old is deleted while the log is read; what is not the oldest is not.
        if after > 0 && first.is_some_and(|it| it != after + 1) && snapshot.oldest_revision().await? != first {
            found.fault(format!("revision {}: it is missing in the log", after + 1));
        }
        Ok(last.is_some())
    }

    fn take(&mut self, part: LogPart, up_to: i64, found: &mut Verification) {
        match part {
            LogPart::Revision(record, changes) => {
                self.close(found);
                if record.revision <= up_to {
                    let (_, chain) = self.led_to();
                    let link = Link::begin(&record, chain, changes);
                    self.current = Some((*record, link));
                }
            }
            LogPart::Change(row) => {
                let Some((record, link)) = &mut self.current else { return };
                link.change(&row);
                let revision = record.revision;
                self.change(revision, row, found);
            }
        }
    }

    /// Where the log led.
    fn led_to(&self) -> (i64, Chain) {
        self.before.as_ref().map_or(self.compacted, |last| (last.revision, last.chain))
    }

    /// Ends the revision that is being read, if one is.
    fn close(&mut self, found: &mut Verification) {
        let Some((record, link)) = self.current.take() else { return };
        let revision = record.revision;
        if found.first_revision == 0 {
            found.first_revision = revision;
        }
        found.revisions += 1;
        // What came before the first revision that is left is not known, unless the head remembers it.
        if self.led_to().0 == revision - 1 && link.end() != record.chain {
            found.fault(format!(
                "revision {revision}: its record and changes do not give the chain that was recorded; it was altered \
                 afterwards"
            ));
        }
        if self.before.as_ref().is_some_and(|before| before.chain_version > record.chain_version) {
            found.fault(format!("revision {revision}: its chain is of an earlier version than that of the one before"));
        }
        found.changes_only += u64::from(record.chain_version == ChainVersion::Changes);
        self.requests.take(&record);
        self.before = Some(record);
    }

    fn change(&mut self, revision: i64, row: LogRow, found: &mut Verification) {
        let key = ResourceKey { kind: row.kind, id: row.id };
        let fits = match row.op {
            Op::Create => row.before.is_none() && row.after.is_some(),
            Op::Update => row.before.is_some() && row.after.is_some(),
            Op::Delete => row.before.is_some() && row.after.is_none(),
        };
        let [before, after] =
            [row.before, row.after].map(|body| self.digest_of(body.as_ref().map(LogBody::bytes).as_deref()));
        let earlier = self.last.insert(self.digest_of_key(&key), Last { revision, after });
        if !fits || earlier.is_some_and(|earlier| earlier.after != before) {
            found.fault(format!("revision {revision}: {key} does not begin with what was there before"));
        }
    }

    /// Compares where the log led with where the store stands.
    pub(super) fn end(&self, head: &Head, found: &mut Verification) {
        if found.first_revision > head.compacted_revision + 1 {
            found.fault(format!("revision {}: it is missing in the log", head.compacted_revision + 1));
        }
        if self.led_to() != (head.revision, head.chain) {
            let (revision, at) = (self.led_to().0, head.revision);
            found.fault(format!(
                "the head is at revision {at}, but the log ends at revision {revision}, or with another chain"
            ));
        }
        if self.before.as_ref().is_some_and(|last| last.committed_at != head.committed_at) {
            found.fault(format!("revision {}: the head remembers another time of its commit", head.revision));
        }
    }

    /// Compares a resource of the tables with its last change.
    pub(super) fn compare(&mut self, any: &AnyResource, found: &mut Verification) {
        // What the log can tell: all that was changed since.
        let oldest = if found.first_revision == 0 { found.head.revision + 1 } else { found.first_revision };
        let key = any.key();
        self.adoption.is_done |= key.kind == Kind::Token && any.revision() > 0;
        match self.last.remove(&self.digest_of_key(&key)) {
            Some(Last { revision, after }) if after == self.digest_of(None) => {
                found.fault(format!("{key} is in the tables, but was deleted at revision {revision}"));
            }
            Some(Last { revision, after }) => {
                let body = wire::render_any(any, Form::Log).encode_to_vec();
                if after != self.digest_of(Some(&body)) {
                    found.fault(format!("{key} is not in the tables as revision {revision}, its last change, left it"));
                }
            }
            // Its last change is older than the log; had it none at all, its revision would be younger.
            None if (1..oldest).contains(&any.revision()) => {}
            None if key.kind == Kind::Token && any.revision() == 0 => {
                self.adoption.waiting.get_or_insert(key);
            }
            None => found.fault(unknown(&key)),
        }
    }

    /// Adds what the log left and the tables do not have, once all of these were compared. Returns what the log told of
    /// requests.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] or [`StoreError::Unavailable`].
    pub(super) async fn finish(self, store: &Reader, found: &mut Verification) -> Result<Requests, StoreError> {
        if let Adoption { waiting: Some(key), is_done: true } = &self.adoption {
            found.fault(unknown(key));
        }
        let nothing = self.digest_of(None);
        let missing = self.last.values().filter(|last| last.after != nothing).map(|last| last.revision);
        let mut missing: Vec<i64> = missing.collect();
        missing.sort_unstable();
        missing.dedup();
        // Their ids are not kept: the log has them.
        for revision in missing.into_iter().take(super::FAULTS) {
            let (filter, mut before) = (ChangeFilter { revision: Some(revision), ..ChangeFilter::default() }, None);
            let mut is_named = false;
            loop {
                let changes = store.list_changes(&filter, before, CHANGES).await?;
                let Some(last) = changes.last() else { break };
                before = Some((revision, last.ord));
                for LoggedChange { row, .. } in changes {
                    let key = ResourceKey { kind: row.kind, id: row.id };
                    let last = self.last.get(&self.digest_of_key(&key));
                    if last.is_some_and(|last| last.revision == revision && last.after != nothing) {
                        is_named = true;
                        found.fault(format!("{key} is not in the tables, but was last written at revision {revision}"));
                    }
                }
            }
            if !is_named {
                found.fault(format!("revision {revision}: a resource that it wrote last is not in the tables"));
            }
        }
        Ok(self.requests)
    }

    fn digest_of_key(&self, key: &ResourceKey) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&key.kind.number().to_be_bytes());
        hasher.update(key.id.as_bytes());
        start(&hasher.finalize())
    }

    /// Of what a change left, or began with.
    fn digest_of(&self, body: Option<&[u8]>) -> Digest {
        body.map_or([0; 16], |body| start(&blake3::keyed_hash(&self.key, body)))
    }
}

fn unknown(key: &ResourceKey) -> String {
    format!("{key} is in the tables, but the log knows nothing of it")
}

fn start(hash: &blake3::Hash) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.as_bytes()[..16]);
    digest
}
