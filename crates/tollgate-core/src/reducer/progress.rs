//! What the fold tells its caller: what a message brought about, or how the stream broke its promises.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::Kind;
use crate::proto::v1::{ConfigResource, CountedBatches, LimitUsage, ResourceKey, WatchMode, WatchReason};

/// What became of one resource. `after` is `None` if it was removed, `before` if it was not held.
#[derive(Clone, PartialEq, Debug)]
pub struct ResourceChange<R = Arc<ConfigResource>> {
    /// Which resource.
    pub key: ResourceKey,
    /// What the visible copy held until now.
    pub before: Option<R>,
    /// What it holds from now on.
    pub after: Option<R>,
}

/// What a message brought about.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress<R = Arc<ConfigResource>> {
    /// The stream has begun.
    Begun {
        /// Whether it resumes or starts over.
        mode: WatchMode,
        /// Why it starts over.
        reason: WatchReason,
        /// Revision of the store.
        head_revision: i64,
        /// The longest silence to expect; a client that hears nothing for three of these reconnects.
        heartbeat_interval: Duration,
        /// Whether virtual keys come without the hashes of their secrets, because the caller may not see them.
        without_hashes: bool,
    },
    /// Nothing visible has changed yet: part of a batch came, or one that the visible copy is past.
    Pending,
    /// A batch of a snapshot is whole. It becomes visible when the snapshot is.
    Staged(Vec<ResourceChange<R>>),
    /// A batch was applied: the visible copy has moved on.
    Applied(Vec<ResourceChange<R>>),
    /// Everything up to `revision` is here, and [`Reducer::resume_token`](super::Reducer::resume_token) is new.
    Bookmarked {
        /// The revision that the copy is at.
        revision: i64,
        /// Whether the bookmark carried digests and all of them matched.
        verified: bool,
        /// At the end of a snapshot: what was held before and was not named by it. Elsewhere, where the store has lost
        /// revisions that the copy had: what that undid.
        dropped: Option<Vec<ResourceChange<R>>>,
        /// How long before the bookmark the server last had contact with the database, at heartbeats and ends of snapshots.
        age: Option<Duration>,
    },
    /// Usage is new.
    Used {
        /// The limits that have used something else than before.
        limits: Vec<LimitUsage>,
        /// How far batches of the incarnations that were named are in all values that are known now.
        counted: Vec<CountedBatches>,
    },
    /// The server ends the stream; reconnect.
    GoAway {
        /// Why, for people.
        reason: String,
        /// How long to wait before reconnecting.
        retry_after: Duration,
    },
}

/// The stream broke its promises, or is newer than this client. Drop the stream and connect again, with what
/// [`Reducer::resume_token`](super::Reducer::resume_token) then says.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProtocolError {
    /// A message came before the one that begins a stream.
    #[error("the stream did not begin with WatchBegin")]
    NotBegun,
    /// The server resumed although there is nothing to resume from.
    #[error("the server resumed a stream, but this client holds no copy to resume from")]
    NothingToResume,
    /// A message without an event known to this client.
    #[error("the stream carries an event that this client does not know; it needs a newer version")]
    UnknownEvent,
    /// A mode that this client does not know.
    #[error("the stream began in mode {0}, which this client does not know")]
    UnknownMode(i32),
    /// A resource of a kind that this client does not know. Dropping it would make the copy wrong in silence.
    #[error("the stream carries a resource of a kind that this client does not know; it needs a newer version")]
    UnknownResource,
    /// A resource with what no resource has as far as this client knows.
    #[error("the stream carries {kind} {id:?}, which this client cannot read ({why}); it needs a newer version")]
    UnreadableResource {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: String,
        /// The first fault.
        why: String,
    },
    /// Keys without the hashes of their secrets, by which requests are recognized.
    #[error("the stream has no hashes of keys: follow with an access token of the role NODE, not VIEWER")]
    WithoutHashes,
    /// A removal of a kind that this client does not know.
    #[error("the stream removes a resource of kind {0}, which this client does not know; it needs a newer version")]
    UnknownKind(i32),
    /// A batch that the copy is not ready for: something is missing in between, or it goes back.
    #[error("a batch leads from revision {from} to {to}, but the copy is at {cursor}")]
    OutOfOrder {
        /// Where the copy is.
        cursor: i64,
        /// Where the batch starts.
        from: i64,
        /// Where the batch ends.
        to: i64,
    },
    /// The fragments of a batch do not belong together, or a batch ended before its last fragment.
    #[error("the fragments of a batch do not belong together")]
    Fragments,
    /// A batch of a snapshot outside of one, or the reverse.
    #[error("a snapshot was mixed with other batches")]
    Mixed,
    /// A batch both holds and removes a resource.
    #[error("a batch both holds and removes {} {:?}", .0.kind().as_str_name(), .0.id)]
    Contradiction(ResourceKey),
    /// A resource is newer than the batch that brought it.
    #[error("a resource of revision {revision} came in a batch that leads to {to}")]
    FromTheFuture {
        /// The resource's revision.
        revision: i64,
        /// Where the batch ends.
        to: i64,
    },
    /// A bookmark behind the copy.
    #[error("a bookmark says revision {bookmark}, but the copy is at {cursor}")]
    WentBack {
        /// Where the copy is.
        cursor: i64,
        /// What the bookmark says.
        bookmark: i64,
    },
    /// The copy is not what the server has.
    #[error("the digest of kind {kind} is {actual:#018x}, but the server's is {expected:#018x}: the copy is wrong")]
    DigestMismatch {
        /// The number of the kind.
        kind: i32,
        /// The server's sum.
        expected: u64,
        /// Ours.
        actual: u64,
    },
}

impl ProtocolError {
    /// Whether the copy can no longer be trusted to go on from: only a new snapshot helps.
    pub(super) fn spoils_the_copy(&self) -> bool {
        match self {
            Self::NotBegun
            | Self::UnknownEvent
            | Self::UnknownMode(_)
            | Self::UnknownResource
            | Self::UnreadableResource { .. }
            | Self::WithoutHashes
            | Self::UnknownKind(_)
            | Self::Fragments
            | Self::Mixed => false,
            Self::NothingToResume
            | Self::OutOfOrder { .. }
            | Self::Contradiction(_)
            | Self::FromTheFuture { .. }
            | Self::WentBack { .. }
            | Self::DigestMismatch { .. } => true,
        }
    }
}
