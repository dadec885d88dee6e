//! What crosses the border between the ledger and the store.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::chain::ChainVersion;
use super::credit::CreditGroup;
use super::usage::UsageGroup;
use crate::counters::{Counter, CounterKey};
use crate::domain::{AnyResource, Kind, ResourceKey, Timestamp};
use crate::state::{Chain, Head, Op};
use crate::usage::FormerKey;

/// What one transaction writes: the changes of all commands that were gathered, and what is remembered of them.
pub struct Group {
    /// The head after the group.
    pub head: Head,
    /// One entry a revision, dense, in order. May be empty if only requests are to be remembered.
    pub txns: Vec<RevisionRecord>,
    /// What the group does to the tables: each resource once, from before the group to after it.
    pub net: Vec<Net>,
    /// Accepted requests to remember.
    pub requests: Vec<Remembered>,
    /// What the changes do to usage.
    pub usage: UsageGroup,
    /// Keys that the changes delete.
    pub former_keys: Vec<(Box<str>, FormerKey)>,
}

/// One revision.
#[derive(Clone, PartialEq, Debug)]
pub struct RevisionRecord {
    /// The revision.
    pub revision: i64,
    /// Hash of the history up to it.
    pub chain: Chain,
    /// What that takes in of this revision.
    pub chain_version: ChainVersion,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// Who called.
    pub actor: String,
    /// From where.
    pub peer: String,
    /// The method, as `tollgate.v1.TeamService/UpdateTeam`.
    pub method: String,
    /// The caller's request id, or empty.
    pub request_id: String,
    /// Hash of what is remembered of the request, if anything is.
    pub request_digest: Option<[u8; 32]>,
    /// The correction of usage that it made, encoded.
    pub adjustment: Option<Bytes>,
    /// What changed, in order.
    pub rows: Vec<LogRow>,
}

/// One change of one resource, as the log keeps it.
#[derive(Clone, PartialEq, Debug)]
pub struct LogRow {
    /// The kind of the resource.
    pub kind: Kind,
    /// The id of the resource.
    pub id: Arc<str>,
    /// What was done.
    pub op: Op,
    /// The whole stored resource before; `None` on create.
    pub before: Option<LogBody>,
    /// The whole stored resource after; `None` on delete.
    pub after: Option<LogBody>,
}

/// A stored resource as the log keeps it.
#[derive(Clone)]
pub enum LogBody {
    /// Encoded.
    Encoded(Bytes),
    /// Encoded anew whenever its bytes are asked for: of a large change, memory does not hold the bytes of all resources at
    /// once.
    Resource(AnyResource, fn(&AnyResource) -> Bytes),
}

impl LogBody {
    /// The encoding.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Encoded(bytes) => bytes.clone(),
            Self::Resource(resource, encode) => encode(resource),
        }
    }
}

impl From<Vec<u8>> for LogBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Encoded(bytes.into())
    }
}

impl PartialEq for LogBody {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl fmt::Debug for LogBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

/// What a group does to one resource.
pub struct Net {
    /// As it lies in the tables now.
    pub before: Option<AnyResource>,
    /// As it is to lie there.
    pub after: Option<AnyResource>,
}

/// An accepted request and its answer, so that a retry gets the same answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Remembered {
    /// Who asked.
    pub caller: String,
    /// The method.
    pub method: String,
    /// The caller's id of the request.
    pub request_id: String,
    /// Hash of the request's content.
    pub fingerprint: [u8; 32],
    /// The encoded answer, without secrets.
    pub response: Bytes,
    /// When it was accepted; it is forgotten 24 hours later.
    pub accepted_at: Timestamp,
}

/// The whole store, read in one snapshot.
pub struct Loaded {
    /// Where the store stands.
    pub head: Head,
    /// All resources of all kinds.
    pub resources: Vec<AnyResource>,
    /// For each revision after `head.compacted_revision`, in order: the first 8 bytes of its chain.
    pub chain_prefixes: Vec<u64>,
    /// What was removed after `head.compacted_revision` and does not exist now: with the revision of its (last) removal.
    pub removed: Vec<(i64, ResourceKey)>,
}

/// Where a store stands, usage included.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Position {
    /// Its head.
    pub head: Head,
    /// The version of the counter that moved last.
    pub usage_version: i64,
    /// The mark of the transaction that moved it.
    pub usage_mark: i64,
}

/// What others wrote.
pub struct CatchUpDelta {
    /// Where the store stands now.
    pub position: Position,
    /// The revisions since, dense, in order.
    pub txns: Vec<RevisionRecord>,
    /// The resources that they changed and that exist, as they are now.
    pub resources: Vec<AnyResource>,
    /// Those that exist no more, with the revisions of their (last) removal, in no particular order.
    pub removed: Vec<(i64, ResourceKey)>,
    /// Counters that moved, in the order in which they did: the last of each is as it is now.
    pub counters: Vec<(CounterKey, Counter)>,
    /// Incarnations whose batches were counted: the number of the last, and its hash. In order, too.
    pub watermarks: Vec<(i64, i64, [u8; 32])>,
    /// Keys that were deleted and still count.
    pub former_keys: Vec<(Box<str>, FormerKey)>,
    /// What happened to credit, in order.
    pub credit: CreditGroup,
}

impl CatchUpDelta {
    /// Nothing happened.
    pub(super) fn none(position: Position) -> Self {
        Self {
            position,
            txns: Vec::new(),
            resources: Vec::new(),
            removed: Vec::new(),
            counters: Vec::new(),
            watermarks: Vec::new(),
            former_keys: Vec::new(),
            credit: CreditGroup::default(),
        }
    }
}

/// Which changes `Store::list_changes` returns. All that is given must match.
#[derive(Clone, Default, Debug)]
pub struct ChangeFilter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of the resource with this id.
    pub id: Option<String>,
    /// By one of these actors; by anybody if there are none.
    pub actors: Vec<String>,
    /// Committed at this time or later.
    pub from: Option<Timestamp>,
    /// Committed before this time.
    pub to: Option<Timestamp>,
    /// Of this revision.
    pub revision: Option<i64>,
}

/// Resources as they were at an earlier revision.
pub struct Past {
    /// The revision of the store when they were read.
    pub head: i64,
    /// The first revision that the log reaches back to.
    pub first: i64,
    /// Those that changed since, each encoded as it was; `None` if it was not there.
    pub resources: Vec<(ResourceKey, Option<Bytes>)>,
}

/// One change with what is known of its transaction.
#[derive(Clone, PartialEq, Debug)]
pub struct LoggedChange {
    /// Its transaction; `rows` is empty.
    pub txn: RevisionRecord,
    /// Its place in the transaction, from 0.
    pub ord: i32,
    /// The change.
    pub row: LogRow,
}
