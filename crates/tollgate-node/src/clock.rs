//! The time by which a node decides: the control plane's, as its stream tells it, so that windows turn and keys expire everywhere
//! at once whatever the clock of a node's machine shows.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tollgate_core::domain::Timestamp;
use tollgate_core::proto::v1::watch_config_response::Event;

/// What was told last: the latest of so many is believed. Each comes late by its way through the network, the least late is the
/// nearest.
const TOLD: usize = 8;

/// How late the time may be told, at most, for the time of a commit to be believed before it: where the server's clock was set
/// back, commits go on from times that it has not reached again.
const LATE: i64 = 10_000_000;

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

    /// Takes the time that a message of the stream tells.
    pub(crate) fn hear(&self, event: &Event) {
        let time = |at: &Option<prost_types::Timestamp>| {
            at.as_ref().and_then(|at| Timestamp::from_parts(at.seconds, at.nanos))
        };
        match event {
            Event::Begin(begin) => time(&begin.server_time).into_iter().for_each(|at| self.begin(at)),
            Event::Bookmark(mark) => time(&mark.server_time).into_iter().for_each(|at| self.tell(at)),
            Event::Batch(batch) => time(&batch.commit_time).into_iter().for_each(|at| self.reach(at)),
            Event::Usage(_) | Event::GoAway(_) => {}
        }
    }

    /// Something was committed at this time, so that it is this time at least: windows that began with it, and limits that it
    /// set to zero, count whatever this node does from then on.
    fn reach(&self, committed: Timestamp) {
        let now = self.now().as_micros();
        let mut course = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if committed.as_micros().saturating_sub(now) <= LATE {
            course.last = course.last.max(committed.as_micros());
        }
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
    fn it_is_not_before_what_was_committed() {
        use tollgate_core::proto::v1::{Bookmark, ConfigBatch, WatchBegin};
        let clock = Clock::new();
        let at = |time: Timestamp| {
            let (seconds, nanos) = time.parts();
            Some(prost_types::Timestamp { seconds, nanos })
        };
        let server = Timestamp::now();
        // Told a second late, as by a machine that has much to do.
        clock.hear(&Event::Begin(WatchBegin { server_time: at(server.plus_micros(-1_000_000)), ..Default::default() }));
        assert!(clock.now() < server);
        let batch = |time| Event::Batch(ConfigBatch { commit_time: at(time), ..Default::default() });
        clock.hear(&batch(server));
        assert!(clock.now() >= server);
        // A server whose clock was set back commits in its future.
        clock.hear(&batch(server.plus_micros(HOUR)));
        assert!(clock.now() < server.plus_micros(HOUR / 2));
        clock.hear(&batch(server.plus_micros(-HOUR)));
        clock.hear(&Event::Bookmark(Bookmark { server_time: at(server.plus_micros(5_000_000)), ..Default::default() }));
        assert!(clock.now() >= server.plus_micros(5_000_000));
    }

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
