//! Windows: pure functions of (anchor, duration, alignment, time); there is no reset job (`semantics.md` §2).

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{ResetDuration, Timestamp, Unit};

/// A window of time, from its start (inclusive) to its end (exclusive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The first instant of the window.
    pub start: Timestamp,
    /// The first instant of the next window.
    pub end: Timestamp,
}

const DAY_MICROS: i64 = 86_400_000_000;
/// Days from Monday 1969-12-29, from which weeks are counted, to 1970-01-01.
const WEEK_ORIGIN_DAYS: i64 = 3;

impl Window {
    /// The window that `at` lies in.
    pub fn at(anchor: Timestamp, duration: &ResetDuration, calendar_aligned: bool, at: Timestamp) -> Self {
        let count = duration.count();
        match (calendar_aligned, duration.unit()) {
            (false, _) | (true, Unit::Clock) => Self::lattice(anchor.as_micros(), duration.millis() * 1_000, at),
            (true, Unit::Day) => Self::lattice(0, count * DAY_MICROS, at),
            (true, Unit::Week) => Self::lattice(-WEEK_ORIGIN_DAYS * DAY_MICROS, count * 7 * DAY_MICROS, at),
            (true, Unit::Month) => Self::months(count, at),
            (true, Unit::Year) => Self::months(count * 12, at),
        }
    }

    fn lattice(origin: i64, length: i64, at: Timestamp) -> Self {
        let start = origin + (at.as_micros() - origin).div_euclid(length) * length;
        Self { start: Timestamp::from_micros(start), end: Timestamp::EPOCH.plus_micros(start.saturating_add(length)) }
    }

    fn months(count: i64, at: Timestamp) -> Self {
        let month = month_of(at).div_euclid(count) * count;
        Self { start: start_of_month(month), end: start_of_month(month + count) }
    }
}

/// The month of `at`, counted from January 1970.
fn month_of(at: Timestamp) -> i64 {
    match jiff::Timestamp::from_microsecond(at.as_micros()) {
        Ok(instant) => {
            let date = instant.to_zoned(TimeZone::UTC).date();
            (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1
        }
        Err(_) => 0,
    }
}

fn start_of_month(month: i64) -> Timestamp {
    let year = i16::try_from(1970 + month.div_euclid(12)).unwrap_or(i16::MAX);
    Date::new(year, (month.rem_euclid(12) + 1) as i8, 1)
        .and_then(|date| date.to_zoned(TimeZone::UTC))
        .map_or(Timestamp::MAX, |zoned| Timestamp::from_micros(zoned.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn windows_follow_their_origin() {
        let anchor = at("2026-01-31T10:00:00Z");
        for (duration, aligned, now, start, end) in [
            ("1d", true, "2026-03-01T12:00:00Z", "2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("1w", true, "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("2w", true, "1970-01-01T00:00:00Z", "1969-12-29T00:00:00Z", "1970-01-12T00:00:00Z"),
            ("1M", true, "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
            ("3M", true, "2026-05-05T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"),
            ("1Y", true, "2026-12-31T23:59:59.999999Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("3Y", true, "2026-05-05T00:00:00Z", "2024-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("1M", false, "2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z", "2026-04-01T10:00:00Z"),
            ("1M", false, "2026-03-02T09:59:59Z", "2026-01-31T10:00:00Z", "2026-03-02T10:00:00Z"),
            ("90s", false, "2026-01-31T10:01:30Z", "2026-01-31T10:01:30Z", "2026-01-31T10:03:00Z"),
        ] {
            let window = Window::at(anchor, &ResetDuration::parse(duration).unwrap(), aligned, at(now));
            assert_eq!(window, Window { start: at(start), end: at(end) }, "{duration} {aligned} {now}");
        }
    }
}
