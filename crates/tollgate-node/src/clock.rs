//! The time by which a node decides: the control plane's, as its stream tells it, so that windows turn and keys expire everywhere
//! at once whatever the clock of a node's machine shows.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tollgate_core::domain::Timestamp;

/// What was told last: the latest of so many is believed. Each comes late by its way through the network, the least late is the
/// nearest.
const TOLD: usize = 8;

/// Tells the time. It goes on by the machine's steady clock, which nobody can set, and never goes back.
pub(crate) struct Clock(Mutex<Course>);

struct Course {
    began: Instant,
    /// The time at which the steady clock began, in microseconds, as it was told each time.
    origins: VecDeque<i64>,
    /// The latest that anybody was told, in microseconds.
    last: i64,
}

impl Clock {
    /// The machine's time, until the control plane tells another.
    pub(crate) fn new() -> Self {
        let origins = VecDeque::from([Timestamp::now().as_micros()]);
        Self(Mutex::new(Course { began: Instant::now(), origins, last: i64::MIN }))
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        // The lock guards no invariant that a panic could break.
        let mut course = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = course.elapsed();
        let origin = course.origins.iter().copied().max().unwrap_or_default();
        course.last = course.last.max(origin.saturating_add(elapsed));
        Timestamp::from_micros(course.last)
    }

    /// A stream begins, perhaps at another server: it is this time there, and what was told before is of no account.
    pub(crate) fn begin(&self, server: Timestamp) {
        let mut course = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        course.origins.clear();
        course.tell(server);
    }

    /// It is this time at the server.
    pub(crate) fn tell(&self, server: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tell(server);
    }
}

impl Course {
    fn tell(&mut self, server: Timestamp) {
        let origin = server.as_micros().saturating_sub(self.elapsed());
        if self.origins.len() == TOLD {
            self.origins.pop_front();
        }
        self.origins.push_back(origin);
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn it_is_the_servers_time_and_never_goes_back() {
        let clock = Clock::new();
        let machine = Timestamp::now();
        let ahead = machine.plus_micros(HOUR);
        clock.begin(ahead);
        let now = clock.now();
        assert!(now >= ahead && now < ahead.plus_micros(HOUR));
        // What came later came slower.
        clock.tell(ahead.plus_micros(-1_000_000));
        assert!(clock.now() >= now);
        // Another server is behind: the time stands until that one is there too.
        clock.begin(machine);
        let stands = clock.now();
        assert!(stands >= now && stands < ahead.plus_micros(HOUR));
        assert_eq!(clock.now(), stands);
        // What was told long ago is of no account: the server's clock was set.
        for _ in 0..TOLD {
            clock.tell(machine.plus_micros(HOUR * 3));
        }
        assert!(clock.now() >= machine.plus_micros(HOUR * 3));
    }
}
