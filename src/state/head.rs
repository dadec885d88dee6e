//! Where the store stands: its identity, its revision, and the hash of its history.

use std::fmt;

use crate::domain::Timestamp;

/// The hash of a store's whole history up to a revision:
/// `chain(r) = BLAKE3(chain(r - 1) ‖ r ‖ the record of r ‖ its changes)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain of the empty history, at revision 0.
    pub const ORIGIN: Self = Self([0; 32]);

    /// From 32 bytes; `None` for another length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The first 8 bytes: what resume tokens and memory carry of it.
    pub fn prefix(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

/// What a change does to a resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Makes it.
    Create,
    /// Changes it.
    Update,
    /// Ends it.
    Delete,
}

impl Op {
    /// The number of the operation in the API and the log; it never changes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
        }
    }

    /// The operation with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete].into_iter().find(|op| op.number() == number)
    }
}

/// Where a store stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Identity of the store, made when it was created.
    pub store_id: Box<str>,
    /// Revision of the last change; revisions are dense from 1.
    pub revision: i64,
    /// Hash of the history up to `revision`.
    pub chain: Chain,
    /// When `revision` was committed.
    pub committed_at: Timestamp,
    /// Watchers can resume from here on; 0 if nothing was compacted.
    pub compacted_revision: i64,
    /// Hash of the history up to `compacted_revision`.
    pub compacted_chain: Chain,
    /// The greatest id that a provider config or MCP config of a key ever had.
    pub last_config_id: i64,
}
