//! When the control plane was heard last, and confirmed the copy.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Kept by the follower, read by whoever asks the node how it stands.
#[derive(Default)]
pub(crate) struct Contact(Mutex<Times>);

#[derive(Clone, Copy, Default)]
struct Times {
    heard: Option<Instant>,
    confirmed: Option<Instant>,
}

impl Contact {
    /// The copy that a node starts with was confirmed then.
    pub(crate) fn starting_with(confirmed: Option<Instant>) -> Self {
        Self(Mutex::new(Times { heard: None, confirmed }))
    }

    /// The control plane sent something.
    pub(crate) fn heard(&self) {
        self.change(|times| times.heard = Some(Instant::now()));
    }

    /// The copy is what the control plane has.
    pub(crate) fn confirmed(&self) {
        self.change(|times| times.confirmed = Some(Instant::now()));
    }

    /// The time since the control plane sent something.
    pub(crate) fn heard_ago(&self) -> Option<Duration> {
        self.times().heard.map(|at| at.elapsed())
    }

    /// The time since the copy was confirmed.
    pub(crate) fn confirmed_ago(&self) -> Option<Duration> {
        self.times().confirmed.map(|at| at.elapsed())
    }

    fn change(&self, change: impl FnOnce(&mut Times)) {
        // Each time stands for itself: a panic leaves nothing half done.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn times(&self) -> Times {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
