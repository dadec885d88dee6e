//! What the hash chain of the log takes in. Writers, followers and verification all ask here.
//!
//! The first version took in the changes alone. The second takes in the whole record of a revision: also when it was
//! committed, who asked for it, from where, by which method and request, and the answer that is remembered. A log of an
//! earlier build goes on under the second version; its revisions keep the version that they were written under.

use bytes::Bytes;

use super::group::{LogBody, LogRow, Remembered, RevisionRecord};
use crate::state::Chain;

/// Keeps hashes of revisions apart from all others.
const RECORD: &str = "tollgate change_txn, chain version 2";
/// Keeps hashes of remembered requests apart from all others.
const REQUEST: &str = "tollgate request, version 1";

/// Which columns the chain takes in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChainVersion {
    /// The changes.
    Changes,
    /// The changes, and everything else that is recorded with them.
    Record,
}

impl ChainVersion {
    /// What this build writes.
    pub const CURRENT: Self = Self::Record;

    /// The number of the version in the log; it never changes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Changes => 1,
            Self::Record => 2,
        }
    }

    /// The version with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Changes, Self::Record].into_iter().find(|version| version.number() == number)
    }
}

impl RevisionRecord {
    /// The chain that leads here from `before`, the chain of the revision before: computed anew, whatever `self.chain` is.
    pub fn chain_after(&self, before: Chain) -> Chain {
        let mut link = Link::begin(self, before, self.rows.len() as u64);
        self.rows.iter().for_each(|row| link.change(row));
        link.end()
    }
}

/// The chain of a revision on the way: a revision may have more changes than memory should hold.
pub struct Link {
    version: ChainVersion,
    hasher: blake3::Hasher,
    adjustment: Option<Bytes>,
}

impl Link {
    /// Before the changes of a revision, of which there are `changes`; those that `record` has do not count.
    pub fn begin(record: &RevisionRecord, before: Chain, changes: u64) -> Self {
        let hasher = match record.chain_version {
            ChainVersion::Changes => of_changes(record, before),
            ChainVersion::Record => of_record(record, before, changes),
        };
        Self { version: record.chain_version, hasher, adjustment: record.adjustment.clone() }
    }

    /// Takes in the next change.
    pub fn change(&mut self, LogRow { kind, id, op, before, after }: &LogRow) {
        let hasher = &mut self.hasher;
        hasher.update(&kind.number().to_be_bytes());
        hasher.update(&op.number().to_be_bytes());
        put(hasher, id.as_bytes());
        for body in [before, after] {
            let body = body.as_ref().map(LogBody::bytes);
            match self.version {
                ChainVersion::Changes => put(hasher, &body.unwrap_or_default()),
                ChainVersion::Record => put_optional(hasher, body.as_deref()),
            }
        }
    }

    /// After all of them.
    pub fn end(mut self) -> Chain {
        // Revisions without one have the hashes that they had before there were any.
        if let Some(adjustment) = self.adjustment.filter(|_| self.version == ChainVersion::Record) {
            put(&mut self.hasher, &adjustment);
        }
        Chain(*self.hasher.finalize().as_bytes())
    }
}

fn of_changes(record: &RevisionRecord, before: Chain) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0);
    hasher.update(&record.revision.to_be_bytes());
    hasher
}

fn of_record(record: &RevisionRecord, before: Chain, changes: u64) -> blake3::Hasher {
    let RevisionRecord {
        revision,
        chain: _,
        chain_version: _,
        committed_at,
        actor,
        peer,
        method,
        request_id,
        request_digest,
        adjustment: _,
        rows: _,
    } = record;
    let mut hasher = blake3::Hasher::new_derive_key(RECORD);
    hasher.update(&before.0);
    hasher.update(&revision.to_be_bytes());
    hasher.update(&committed_at.as_micros().to_be_bytes());
    for text in [actor, peer, method, request_id] {
        put(&mut hasher, text.as_bytes());
    }
    put_optional(&mut hasher, request_digest.as_ref().map(<[u8; 32]>::as_slice));
    hasher.update(&changes.to_be_bytes());
    hasher
}

impl Remembered {
    /// The hash of all that is remembered. The revision that the request made carries it, and with that the chain.
    pub fn digest(&self) -> [u8; 32] {
        let Self { caller, method, request_id, fingerprint, response, accepted_at } = self;
        let mut hasher = blake3::Hasher::new_derive_key(REQUEST);
        for text in [caller, method, request_id] {
            put(&mut hasher, text.as_bytes());
        }
        hasher.update(fingerprint);
        put(&mut hasher, response);
        hasher.update(&accepted_at.as_micros().to_be_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// With its length before it, so that no two sequences of parts are the same bytes.
fn put(hasher: &mut blake3::Hasher, part: &[u8]) {
    hasher.update(&(part.len() as u64).to_be_bytes());
    hasher.update(part);
}

fn put_optional(hasher: &mut blake3::Hasher, part: Option<&[u8]>) {
    hasher.update(&[u8::from(part.is_some())]);
    put(hasher, part.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::{Kind, Timestamp};
    use crate::state::Op;

    fn txn() -> RevisionRecord {
        let row = |id: &str, before: Option<&'static [u8]>| LogRow {
            kind: Kind::Team,
            id: id.into(),
            op: Op::Update,
            before: before.map(|bytes| bytes.to_vec().into()),
            after: Some(b"after".to_vec().into()),
        };
        RevisionRecord {
            revision: 7,
            chain: Chain::ORIGIN,
            chain_version: ChainVersion::Record,
            committed_at: Timestamp::from_micros(1_800_000_000_000_000),
            actor: "ops/1".to_owned(),
            peer: "127.0.0.1:5".to_owned(),
            method: "tollgate.v1.TeamService/UpdateTeam".to_owned(),
            request_id: "r".to_owned(),
            request_digest: Some([3; 32]),
            adjustment: None,
            rows: vec![row("a", Some(b"before")), row("b", None)],
        }
    }

    fn remembered() -> Remembered {
        Remembered {
            caller: "ops/1".to_owned(),
            method: "M".to_owned(),
            request_id: "r".to_owned(),
            fingerprint: [5; 32],
            response: b"answer"[..].into(),
            accepted_at: Timestamp::from_micros(1_800_000_000_000_000),
        }
    }

    /// What is stored once must have the same hash for ever.
    #[test]
    fn hashes_stay_as_they_are() {
        let by_record = txn().chain_after(Chain([1; 32])).0;
        let by_changes = RevisionRecord { chain_version: ChainVersion::Changes, ..txn() }.chain_after(Chain([1; 32])).0;
        assert_eq!(
            [by_record, by_changes, remembered().digest()].map(hex::encode),
            [
                "ac2415c94d31b64b14806a5d57a5f0b4f255895297839dab235fb946a8dd6af8",
                "6c343479ef5e7826f0d736e2067dfd2a75c5d9eebc2aac43215439345a24f688",
                "d175433c566c15a6b124ea66e985d584bbefaa9019f1a01023f93989f2cf2374",
            ]
        );
    }

    #[test]
    fn whatever_differs_has_another_hash() {
        type Alter = fn(&mut RevisionRecord);
        let alterations: [Alter; 22] = [
            |_| {},
            |txn| txn.chain_version = ChainVersion::Changes,
            |txn| txn.revision = 8,
            |txn| txn.committed_at = txn.committed_at.plus_micros(1),
            |txn| txn.actor.push('1'),
            |txn| txn.peer.insert(0, '1'),
            // The end of one text at the beginning of the next.
            |txn| (txn.actor, txn.peer) = ("ops/".to_owned(), "1127.0.0.1:5".to_owned()),
            |txn| txn.method.clear(),
            |txn| txn.request_id.clear(),
            |txn| txn.request_digest = None,
            |txn| txn.request_digest = Some([4; 32]),
            |txn| txn.rows.truncate(1),
            |txn| txn.rows.reverse(),
            |txn| txn.rows[0].kind = Kind::Customer,
            |txn| txn.rows[0].op = Op::Delete,
            |txn| txn.rows[0].id = "c".into(),
            |txn| txn.rows[0].before = Some(b"other".to_vec().into()),
            |txn| txn.rows[0].before = None,
            |txn| txn.rows[1].before = Some(Vec::new().into()),
            |txn| txn.rows[0].after = None,
            |txn| txn.rows[0].after = Some(Vec::new().into()),
            |txn| txn.rows[1].after = Some(b"other".to_vec().into()),
        ];
        let mut hashes: HashSet<[u8; 32]> = HashSet::from([txn().chain_after(Chain([2; 32])).0]);
        for alter in alterations {
            let mut altered = txn();
            alter(&mut altered);
            assert!(hashes.insert(altered.chain_after(Chain([1; 32])).0), "{altered:?}");
        }

        type AlterRequest = fn(&mut Remembered);
        let alterations: [AlterRequest; 7] = [
            |_| {},
            |request| request.caller.push('1'),
            |request| (request.caller, request.method) = ("ops/".to_owned(), "1M".to_owned()),
            |request| request.request_id.clear(),
            |request| request.fingerprint = [6; 32],
            |request| request.response = b"another"[..].into(),
            |request| request.accepted_at = request.accepted_at.plus_micros(1),
        ];
        for alter in alterations {
            let mut altered = remembered();
            alter(&mut altered);
            assert!(hashes.insert(altered.digest()), "{altered:?}");
        }
    }
}
