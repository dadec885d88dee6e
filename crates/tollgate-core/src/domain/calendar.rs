//! Calendars that windows follow (`docs/design/semantics.md §2`).

use std::fmt;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{Timestamp, Unit};

/// Where days, weeks and years begin. The rules of all time zones are a part of the program.
#[derive(Clone, PartialEq, Debug)]
pub struct Calendar {
    /// The time zone, with its name; `None` for Coordinated Universal Time.
    zone: Option<(TimeZone, Box<str>)>,
    /// From 1, Monday, to 7.
    first_day_of_week: u8,
    /// From 1, January, to 12.
    first_month_of_year: u8,
}

const DAY_MICROS: i64 = 86_400_000_000;
/// The last Monday up to 1970-01-01, in days from then.
const MONDAY: i64 = -3;

impl Calendar {
    /// The name of Coordinated Universal Time.
    pub const UTC_NAME: &'static str = "UTC";

    /// The calendar of owners without one: Coordinated Universal Time, weeks from Monday, years from January.
    pub fn standard() -> &'static Self {
        static STANDARD: Calendar = Calendar { zone: None, first_day_of_week: 1, first_month_of_year: 1 };
        &STANDARD
    }

    /// The calendar of the time zone with this IANA name, with the numbers of the day (1 is Monday) and the month that weeks
    /// and years begin with; `None` if there is no such zone, day or month.
    pub fn new(time_zone: &str, first_day_of_week: u8, first_month_of_year: u8) -> Option<Self> {
        let zone = match time_zone {
            Self::UTC_NAME => None,
            name => {
                let zone = TimeZone::get(name).ok()?;
                let name = zone.iana_name()?.into();
                Some((zone, name))
            }
        };
        let possible = (1..=7).contains(&first_day_of_week) && (1..=12).contains(&first_month_of_year);
        possible.then_some(Self { zone, first_day_of_week, first_month_of_year })
    }

    /// The IANA name of the time zone.
    pub fn time_zone(&self) -> &str {
        self.zone.as_ref().map_or(Self::UTC_NAME, |(_, name)| name)
    }

    /// The day that weeks begin with: 1 is Monday.
    pub fn first_day_of_week(&self) -> u8 {
        self.first_day_of_week
    }

    /// The month that years begin with: 1 is January.
    pub fn first_month_of_year(&self) -> u8 {
        self.first_month_of_year
    }

    /// The period of `count` units that `at` lies in: its first instant, and that of the next. `None` for units that no
    /// calendar has.
    pub(super) fn period(&self, unit: Unit, count: i64, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match unit {
            Unit::Day => Some(self.days(0, count, at)),
            Unit::Week => {
                let first = (MONDAY + i64::from(self.first_day_of_week) - 1).rem_euclid(7);
                // The last such day up to 1970-01-01.
                let origin = if first == 0 { 0 } else { first - 7 };
                Some(self.days(origin, count * 7, at))
            }
            Unit::Month => Some(self.months(count, at)),
            Unit::Year => Some(self.months(count * 12, at)),
            Unit::Clock | Unit::Never => None,
        }
    }

    /// Periods of so many days, counted from the day `origin`.
    fn days(&self, origin: i64, count: i64, at: Timestamp) -> (Timestamp, Timestamp) {
        let day = match &self.zone {
            None => at.as_micros().div_euclid(DAY_MICROS),
            Some((zone, _)) => number(date(zone, at)),
        };
        let first = origin + (day - origin).div_euclid(count) * count;
        (self.start_of_day(first), self.start_of_day(first + count))
    }

    /// Periods of so many months. Whole quarters are counted from the first month of the year, others from January.
    fn months(&self, count: i64, at: Timestamp) -> (Timestamp, Timestamp) {
        let date = match &self.zone {
            None => instant(at).to_zoned(TimeZone::UTC).date(),
            Some((zone, _)) => date(zone, at),
        };
        let origin = if count % 3 == 0 { i64::from(self.first_month_of_year) - 1 } else { 0 };
        let month = (i64::from(date.year()) - 1970) * 12 + i64::from(date.month()) - 1;
        let first = origin + (month - origin).div_euclid(count) * count;
        (self.start_of_month(first), self.start_of_month(first + count))
    }

    /// The first instant of the day with this number.
    fn start_of_day(&self, day: i64) -> Timestamp {
        match &self.zone {
            None => Timestamp::EPOCH.plus_micros(day.saturating_mul(DAY_MICROS)),
            Some((zone, _)) => {
                let date = EPOCH.checked_add(day.days()).ok();
                date.and_then(|date| start(zone, date)).unwrap_or_else(|| end_of_time(day))
            }
        }
    }

    /// The first instant of a month, counted from January 1970.
    fn start_of_month(&self, month: i64) -> Timestamp {
        let year = i16::try_from(1970 + month.div_euclid(12)).unwrap_or(i16::MAX);
        let date = Date::new(year, (month.rem_euclid(12) + 1) as i8, 1).ok();
        let start = |date| match &self.zone {
            None => start(&TimeZone::UTC, date),
            Some((zone, _)) => start(zone, date),
        };
        date.and_then(start).unwrap_or_else(|| end_of_time(month))
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);

/// An instant of jiff, whose last is a day before the last of protobuf.
fn instant(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or(jiff::Timestamp::MAX)
}

/// For what lies outside of the calendar's years.
fn end_of_time(number: i64) -> Timestamp {
    if number < 0 { Timestamp::MIN } else { Timestamp::MAX }
}

/// The day that `at` lies in. A day begins once: where clocks go back over midnight, it goes on.
fn date(zone: &TimeZone, at: Timestamp) -> Date {
    let date = instant(at).to_zoned(zone.clone()).date();
    match date.tomorrow() {
        Ok(next) if start(zone, next).is_some_and(|start| start <= at) => next,
        Ok(_) | Err(_) => date,
    }
}

/// The number of a day, counted from 1970-01-01.
fn number(date: Date) -> i64 {
    // No two dates are too far apart to be counted in days.
    EPOCH.until(date).map_or(0, |span| i64::from(span.get_days()))
}

/// The first instant of a day.
fn start(zone: &TimeZone, date: Date) -> Option<Timestamp> {
    let midnight = zone.to_ambiguous_zoned(date.at(0, 0, 0, 0));
    let first = match midnight.offset() {
        // Of the days that midnight is skipped in: when the clocks go forward.
        AmbiguousOffset::Gap { .. } => {
            let before = midnight.earlier().ok()?.timestamp();
            zone.following(before).next()?.timestamp()
        }
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => midnight.earlier().ok()?.timestamp(),
    };
    Some(Timestamp::EPOCH.plus_micros(first.as_microsecond()))
}

/// As an owner has it, for people.
impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.time_zone(), self.first_day_of_week, self.first_month_of_year)
    }
}
