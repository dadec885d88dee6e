//! Batches of usage and their acknowledgements, as callers have them.

use tokio::sync::oneshot;

use crate::credit::Used;
use crate::domain::Error;
use crate::usage::{Entry, Prepared, Refusal};

/// A batch of a node.
#[derive(Debug)]
pub struct Batch {
    /// Who delivers it; empty where callers are not told apart.
    pub caller: Box<str>,
    /// The node.
    pub node_id: Box<str>,
    /// Its incarnation.
    pub incarnation: i64,
    /// The batch's number.
    pub sequence: i64,
    /// Hash of its content.
    pub fingerprint: [u8; 32],
    /// Its entries; those that cannot be read say why.
    pub entries: Vec<Result<Entry, Refusal>>,
    /// The cumulative usage of hard limits in their windows, with this batch.
    pub credit_used: Vec<Used>,
}

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ack {
    /// It was counted, but for these entries; so many came late.
    Applied {
        /// Places and reasons of the entries that were not counted.
        rejected: Vec<(usize, Refusal)>,
        /// Entries that came too late for their window.
        late: usize,
    },
    /// It was counted before.
    Duplicate,
    /// Others are missing before it.
    Gap,
    /// It cannot be counted; why.
    Rejected(String),
}

/// How a batch is acknowledged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// What became of it.
    pub ack: Ack,
    /// The number that is expected next in its incarnation.
    pub expected_sequence: i64,
    /// The store that the incarnation was registered at, if it came from there with an import.
    pub store_id: Option<Box<str>>,
}

/// A batch that waits to be counted.
pub(super) struct Reported {
    pub(super) batch: Batch,
    /// What it moves, as far as that could be told before.
    pub(super) prepared: Option<Prepared>,
    /// Where its acknowledgement goes.
    pub(super) reply: Reply,
}

/// Where an acknowledgement goes.
pub(super) type Reply = oneshot::Sender<Result<Acknowledgement, Error>>;
