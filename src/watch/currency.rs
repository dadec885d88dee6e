//! Whether what this replica has in memory may be shown, and how old it may be.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::seeded::{self, Bug};

/// Whether this replica follows the database. Clones share it; the server sets it, streams and calls ask it.
#[derive(Clone)]
pub struct Currency {
    /// Cancelled when the replica stops following; replaced when it follows again.
    lost: Arc<ArcSwap<CancellationToken>>,
    age: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Currency {
    /// Of a replica that follows, whose last contact with the database was as long ago as `age` says.
    pub fn new(age: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { lost: Arc::default(), age: Arc::new(age) }
    }

    /// Says whether the replica follows. Streams end when it does not any more.
    pub fn set(&self, follows: bool) {
        match (self.is_current(), follows) {
            (true, false) => self.lost.load().cancel(),
            (false, true) => self.lost.store(Arc::default()),
            (true, true) | (false, false) => {}
        }
    }

    /// Whether the replica follows.
    pub fn is_current(&self) -> bool {
        !self.lost.load().is_cancelled()
    }

    /// Is cancelled when the replica stops following.
    pub(super) fn lost(&self) -> CancellationToken {
        if seeded::is(Bug::StreamsGoOn) {
            return CancellationToken::new();
        }
        // Of its own: what all streams look at each time would go from one core to the other each time.
        self.lost.load().child_token()
    }

    /// How long ago the last contact with the database was.
    pub(super) fn age(&self) -> Duration {
        (self.age)()
    }
}
