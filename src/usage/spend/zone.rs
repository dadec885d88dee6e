//! Days and months of a time zone.

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{HOUR_MICROS, hour};
use crate::domain::Timestamp;

/// A time zone by its IANA name. The rules of all zones are a part of the program.
#[derive(Clone, PartialEq, Debug)]
pub struct SpendZone {
    zone: TimeZone,
    name: String,
}

impl SpendZone {
    /// The time zone with this name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        let name = zone.iana_name()?.to_owned();
        Some(Self { zone, name })
    }

    /// Coordinated Universal Time.
    pub fn utc() -> Self {
        Self { zone: TimeZone::UTC, name: "UTC".to_owned() }
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The start of the day `date`; `None` at the ends of time.
    pub fn start_of(&self, date: Date) -> Option<Timestamp> {
        let start = date.to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp::from_micros(start.timestamp().as_microsecond()))
    }

    /// The day that `at` lies in: its start, and that of the next.
    pub fn day(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        self.between(at, |date| (date, date.checked_add(1.day()).unwrap_or(Date::MAX)))
    }

    /// The month that `at` lies in: its start, and that of the next.
    pub fn month(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        self.between(at, |date| {
            let first = date.first_of_month();
            (first, first.checked_add(1.month()).unwrap_or(Date::MAX))
        })
    }

    /// Whether days around `at` begin on whole hours, so that hours make them up.
    pub fn has_whole_hours(&self, at: Timestamp) -> bool {
        let (start, end) = self.day(at);
        [start, end].into_iter().all(|bound| hour(bound) == bound)
    }

    fn between(&self, at: Timestamp, bounds: impl Fn(Date) -> (Date, Date)) -> (Timestamp, Timestamp) {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::MAX);
        let (start, end) = bounds(instant.to_zoned(self.zone.clone()).date());
        let [start, end] = [start, end].map(|date| self.start_of(date).unwrap_or(Timestamp::MAX));
        // At the ends of time.
        if start <= at && at < end { (start, end) } else { (hour(at), hour(at).plus_micros(HOUR_MICROS)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn days_and_months_are_those_of_the_zone() {
        let berlin = SpendZone::named("europe/berlin").unwrap();
        assert_eq!(berlin.name(), "Europe/Berlin");
        // The night in which clocks go back has 25 hours, the one in which they go forward 23.
        let cases = [
            ("2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("2026-03-29T00:30:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-07-31T22:00:00Z", "2026-07-31T22:00:00Z", "2026-08-01T22:00:00Z"),
        ];
        for (instant, start, end) in cases {
            assert_eq!(berlin.day(at(instant)), (at(start), at(end)), "{instant}");
        }
        let march = (at("2026-02-28T23:00:00Z"), at("2026-03-31T22:00:00Z"));
        assert_eq!(berlin.month(at("2026-03-15T00:00:00Z")), march);
        assert_eq!(SpendZone::named("Mars/Olympus"), None);
        let utc = SpendZone::named("UTC").unwrap();
        assert_eq!((utc.name(), &utc), ("UTC", &SpendZone::utc()));
    }

    #[test]
    fn zones_with_other_offsets_than_whole_hours_are_told_apart() {
        let now = at("2026-11-29T00:00:00Z");
        let whole = |name: &str| SpendZone::named(name).unwrap().has_whole_hours(now);
        assert!(whole("UTC") && whole("America/New_York") && whole("Asia/Tokyo"));
        assert!(!whole("Asia/Kolkata") && !whole("Asia/Kathmandu"));
    }

    #[test]
    fn every_instant_has_a_day_and_a_month() {
        for name in ["UTC", "Pacific/Apia", "America/Los_Angeles"] {
            let zone = SpendZone::named(name).unwrap();
            for instant in [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX] {
                for (start, end) in [zone.day(instant), zone.month(instant)] {
                    assert!(start <= instant && instant < end || end == Timestamp::MAX, "{name} {instant}");
                }
            }
        }
    }
}
