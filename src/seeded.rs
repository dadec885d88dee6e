//! Bugs that the tests plant on purpose, to show that they would find them. Compiled into test builds only.

use std::sync::atomic::{AtomicU8, Ordering};

/// A bug that can be planted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// None.
    None,
    /// Removals leave no marker, so that a stream that was away never learns of them.
    SkipRemovalMarker,
    /// A bookmark is sent before the batch that it stands for.
    BookmarkBeforeBatch,
    /// A snapshot's revision is read apart from its resources.
    SnapshotRevisionApart,
    /// Revisions are taken from what this replica knows, and not from the head that it locked.
    SequenceInsteadOfCounter,
    /// A revision that another replica wrote is left out when memory follows.
    SkipGap,
    /// A group is published before it is committed.
    PublishBeforeCommit,
}

static PLANTED: AtomicU8 = AtomicU8::new(Bug::None as u8);

/// Plants `bug` in this process, in place of any other.
pub fn plant(bug: Bug) {
    PLANTED.store(bug as u8, Ordering::SeqCst);
}

pub(crate) fn is(bug: Bug) -> bool {
    PLANTED.load(Ordering::SeqCst) == bug as u8
}
