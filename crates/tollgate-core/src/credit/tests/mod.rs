//! The book and the purse against each other: every behaviour of small worlds, and some of large ones.

mod bugs;
mod explore;
mod fleet;
mod laws;
mod scenario;
mod simulate;
mod slots;
mod world;

use std::time::Duration;

use super::{Now, Terms};
use crate::counters::CounterKey;
use crate::domain::{LimitKind, Timestamp};

/// How long the windows of the tests are, in microseconds.
const LENGTH: i64 = 1_000_000_000;

/// A budget in the window with this number.
fn key(window: i64) -> CounterKey {
    let window_start = Timestamp::from_micros(window * LENGTH);
    CounterKey { limit_id: "budget".into(), kind: LimitKind::Budget, window_start }
}

fn terms(window: i64, max: i64) -> Terms {
    Terms { max, ends: Timestamp::from_micros((window + 1) * LENGTH), lease: None, raised_until: None }
}

/// A time in the window with this number.
fn now(window: i64) -> Now {
    Now { at: Timestamp::from_micros(window * LENGTH + 1), elapsed: Duration::ZERO }
}
