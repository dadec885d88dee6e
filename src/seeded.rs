//! Bugs and faults that the tests plant on purpose, to show that they would find them. Only test builds can plant any:
//! in all others, [`is`] is false when it is compiled.

#[cfg(feature = "seeded-bugs")]
use std::sync::LazyLock;
#[cfg(feature = "seeded-bugs")]
use std::sync::atomic::{AtomicU8, Ordering};

/// A bug or fault that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// None.
    #[cfg(feature = "seeded-bugs")]
    None,
    /// Removals leave no marker, so that a stream that was away never learns of them.
    SkipRemovalMarker,
    /// A bookmark is sent before the batch that it stands for.
    BookmarkBeforeBatch,
    /// A snapshot's revision is read apart from its resources.
    SnapshotRevisionApart,
    /// Usage is acknowledged before it is committed.
    AckBeforeCommit,
    /// What was counted and how far it was counted are committed one after the other.
    WatermarkApart,
    /// A turn of a window loses what is counted in others: each limit has one counter, which a reset sets to zero.
    ZeroAtTurn,
    /// What was added to spend stays in its journal, and is added again.
    SpendAddedTwice,
    /// A batch that comes too early moves the watermark, so that those missing before it look like duplicates.
    AdvanceOnGap,
    /// The file of the database cannot grow any more.
    DiskFull,
    /// It can again.
    DiskFreed,
    /// Revisions are taken from what this replica knows, and not from the head that it locked.
    SequenceInsteadOfCounter,
    /// A revision that another replica wrote is left out when memory follows.
    SkipGap,
    /// A group is published before it is committed.
    PublishBeforeCommit,
    /// Bookmarks are of the head that another replica wrote, before its changes are here.
    BookmarkOfAnotherReplica,
    /// A group whose COMMIT was not answered is decided and written once more, without looking what became of it.
    BlindRetry,
    /// The machine's clock jumps: every other 5 seconds it is an hour ahead.
    ClockJumps,
    /// A stream resumes where the replica is, even if its client shows more.
    BeginBehind,
    /// The streams of a replica that cannot follow the database go on.
    StreamsGoOn,
    /// Its health goes on to say that it serves.
    HealthStaysServing,
    /// It goes on to answer calls.
    CallsAreAnswered,
    /// A replica that cannot read the log is taken to follow the database, since the head could be read.
    SuccessHidesFailure,
    /// Corruption is never proven, so that a replica that finds some goes on trying.
    NeverProven,
}

/// The variable of the environment that plants a bug, by its name, when the process starts.
#[cfg(feature = "seeded-bugs")]
pub const VARIABLE: &str = "TOLLGATE_SEEDED_BUG";

#[cfg(feature = "seeded-bugs")]
static PLANTED: LazyLock<AtomicU8> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).unwrap_or_default();
    let bug = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name).unwrap_or(Bug::None);
    AtomicU8::new(bug as u8)
});

#[cfg(feature = "seeded-bugs")]
impl Bug {
    const ALL: [Self; 23] = [
        Self::None,
        Self::SkipRemovalMarker,
        Self::BookmarkBeforeBatch,
        Self::SnapshotRevisionApart,
        Self::AckBeforeCommit,
        Self::WatermarkApart,
        Self::ZeroAtTurn,
        Self::SpendAddedTwice,
        Self::AdvanceOnGap,
        Self::DiskFull,
        Self::DiskFreed,
        Self::SequenceInsteadOfCounter,
        Self::SkipGap,
        Self::PublishBeforeCommit,
        Self::BookmarkOfAnotherReplica,
        Self::BlindRetry,
        Self::ClockJumps,
        Self::BeginBehind,
        Self::StreamsGoOn,
        Self::HealthStaysServing,
        Self::CallsAreAnswered,
        Self::SuccessHidesFailure,
        Self::NeverProven,
    ];
}

/// Plants `bug` in this process, in place of any other.
#[cfg(feature = "seeded-bugs")]
pub fn plant(bug: Bug) {
    PLANTED.store(bug as u8, Ordering::SeqCst);
}

/// Whether `bug` is planted.
#[cfg(feature = "seeded-bugs")]
pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.load(Ordering::SeqCst) == bug as u8
}

/// Whether `bug` is planted.
#[cfg(not(feature = "seeded-bugs"))]
pub(crate) const fn is(_: Bug) -> bool {
    false
}
