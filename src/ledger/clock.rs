//! The time by which things are decided: the database's, read through this machine's clocks, and guarded against jumps.
//!
//! A clock that jumps (set by hand, by a broken time server, by a virtual machine that slept) must not turn every window
//! at once, nor let keys that expired work again. So time goes on by the steady clock of the machine while the wall
//! clock disagrees with it, and only what stays true for a while is believed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::seeded::{self, Bug};

/// How far the wall clock may be off the steady one and still be followed at once.
const DRIFT: Duration = Duration::from_secs(5);
/// How long a jump must last to be believed.
const BELIEVED_AFTER: Duration = Duration::from_secs(60);

/// What the machine's clocks show at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The time of day.
    pub wall: Timestamp,
    /// What the steady clock shows, which knows no time of day and never jumps.
    pub steady: Duration,
}

/// Tells the time. Cloning shares it.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    course: Arc<Mutex<Course>>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        let started = Instant::now();
        Self::new(move || {
            let (now, steady) = (Timestamp::now(), started.elapsed());
            let jumped = seeded::is(Bug::ClockJumps) && steady.as_secs() % 10 >= 5;
            Reading { wall: if jumped { now.plus_micros(3_600_000_000) } else { now }, steady }
        })
    }

    /// Clocks that `read` reads: for simulations and tests.
    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), course: Arc::default() }
    }

    /// The time. It rises from call to call, except when a clock that was wrong for more than a minute is set back.
    pub fn now(&self) -> Timestamp {
        let reading = (self.read)();
        // The lock guards no invariant that a panic could break.
        self.course.lock().unwrap_or_else(PoisonError::into_inner).advance(reading)
    }

    /// Takes the database's clock as the reference: it shows `database` now.
    pub fn refer(&self, database: Timestamp) {
        let reading = (self.read)();
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        course.offset = database.as_micros().saturating_sub(reading.wall.as_micros());
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How time went so far.
#[derive(Default, Debug)]
struct Course {
    /// From this machine's wall clock to the database's, in microseconds.
    offset: i64,
    /// The time that was told last, and the steady clock then.
    told: Option<(Timestamp, Duration)>,
    /// Since when the wall clock disagrees.
    disagrees_since: Option<Duration>,
}

impl Course {
    fn advance(&mut self, reading: Reading) -> Timestamp {
        let wall = reading.wall.plus_micros(self.offset);
        let Some((last, at)) = self.told else {
            self.told = Some((wall, reading.steady));
            return wall;
        };
        let passed = i64::try_from(reading.steady.saturating_sub(at).as_micros()).unwrap_or(i64::MAX);
        let expected = last.plus_micros(passed);
        let off = wall.as_micros().saturating_sub(expected.as_micros());
        let now = if off.unsigned_abs() <= DRIFT.as_micros() as u64 {
            self.disagrees_since = None;
            // Small corrections never turn time back.
            wall.max(last)
        } else {
            let since = *self.disagrees_since.get_or_insert_with(|| {
                tracing::warn!(off_ms = off / 1_000, "the clock jumped; time goes on by the steady clock for a minute");
                reading.steady
            });
            if reading.steady.saturating_sub(since) < BELIEVED_AFTER {
                expected
            } else {
                tracing::warn!(
                    off_ms = off / 1_000,
                    "the clock stayed where it jumped to; it is followed from here on"
                );
                self.disagrees_since = None;
                wall
            }
        };
        self.told = Some((now, reading.steady));
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    /// Time in seconds since the start, by a clock that is `ahead` by so many microseconds at each second.
    fn told(ahead: impl Fn(u64) -> i64, seconds: u64) -> Vec<i64> {
        let mut course = Course::default();
        let reading = |second: u64| Reading {
            wall: Timestamp::from_micros(1_000 * HOUR + second as i64 * 1_000_000 + ahead(second)),
            steady: Duration::from_secs(second),
        };
        (0..seconds).map(|second| (course.advance(reading(second)).as_micros() - 1_000 * HOUR) / 1_000_000).collect()
    }

    #[test]
    fn a_jump_that_goes_back_soon_is_never_seen() {
        for jump in [HOUR, -HOUR] {
            let seen = told(|second| if (100..150).contains(&second) { jump } else { 0 }, 300);
            assert_eq!(seen, (0..300).collect::<Vec<_>>(), "{jump}");
        }
    }

    #[test]
    fn a_jump_that_lasts_is_believed_after_a_minute() {
        for jump in [HOUR, -HOUR] {
            let seen = told(|second| if second >= 100 { jump } else { 0 }, 300);
            let expected = (0..160).chain((160..300).map(|second| second + jump / 1_000_000));
            assert_eq!(seen, expected.collect::<Vec<_>>(), "{jump}");
        }
    }

    #[test]
    fn small_corrections_are_followed_and_never_turn_time_back() {
        let seen = told(|second| if second % 2 == 0 { 3_000_000 } else { 0 }, 6);
        assert_eq!(seen, [3, 3, 5, 5, 7, 7]);
    }

    #[test]
    fn the_database_is_the_reference() {
        let clock = Clock::new(|| Reading { wall: Timestamp::from_micros(5), steady: Duration::ZERO });
        clock.refer(Timestamp::from_micros(HOUR));
        assert_eq!(clock.now(), Timestamp::from_micros(HOUR));
    }
}
