//! How time passes in a history: in small steps, up to turns of the calendar, over them, and far.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::History;
use crate::usage::model::window::Micros;

const SECOND: Micros = 1_000_000;
const HOUR: Micros = 3_600 * SECOND;

fn instant(at: DateTime) -> Micros {
    at.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
}

/// Days on which a turn is near.
pub(super) fn beginning(rng: &mut StdRng) -> Micros {
    let days = [
        date(2027, 12, 31),
        date(2028, 2, 28),
        date(2028, 2, 29),
        date(2026, 3, 31),
        date(2026, 11, 24),
        date(2100, 2, 28),
        date(2026, 6, 28),
    ];
    instant(days[rng.random_range(0..days.len())].at(12, 0, 0, 0)) + rng.random_range(0..12 * HOUR)
}

/// The first instant of the next day, week, month, quarter or year.
fn next_turn(rng: &mut StdRng, now: Micros) -> Micros {
    let today = Timestamp::from_microsecond(now).unwrap().to_zoned(TimeZone::UTC).date();
    let month = today.first_of_month();
    let next = match rng.random_range(0..10) {
        0..4 => today + 1.day(),
        4..6 => today + (7 - i64::from(today.weekday().to_monday_zero_offset())).days(),
        6..8 => month + 1.month(),
        8 => month + (3 - (i64::from(month.month()) - 1) % 3).months(),
        _ => date(today.year() + 1, 1, 1),
    };
    instant(next.at(0, 0, 0, 0))
}

impl History {
    /// Time passes.
    pub(super) fn pass(&mut self) {
        let now = self.model.now;
        let rng = &mut self.rng;
        let passed = match rng.random_range(0..12) {
            0 | 1 => rng.random_range(SECOND..300 * SECOND),
            2 => rng.random_range(HOUR..3 * HOUR),
            // A limit that was made now turns at this time of the day.
            3 => 24 * HOUR,
            // Nearly, where what comes early counts in the next.
            4..7 => next_turn(rng, now) - now - rng.random_range(10..120 * SECOND),
            7..10 => next_turn(rng, now) - now,
            10 => rng.random_range(24 * HOUR..40 * 24 * HOUR),
            _ => rng.random_range(24 * HOUR..400 * 24 * HOUR),
        };
        self.tick(passed.max(SECOND));
    }
}
