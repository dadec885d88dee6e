//! The range of time that spend is listed for, and its periods.

use crate::domain::{Path, Timestamp, Violations};
use crate::proto::v1::SpendGranularity;
use crate::usage::{HOUR_MICROS, SpendCalendar, SpendZone, hour};
use crate::wire::parse_timestamp;

/// The most periods of a range.
const MAX_PERIODS: i64 = 25_000;

/// A range, in periods.
pub(super) struct Range {
    calendar: SpendCalendar,
    /// The time zone of days and months.
    pub(super) zone: SpendZone,
    granularity: SpendGranularity,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Range {
    /// All time.
    pub(super) fn new(calendar: SpendCalendar, zone: SpendZone, granularity: SpendGranularity) -> Self {
        Self { calendar, zone, granularity, from: Timestamp::MIN, to: Timestamp::MAX }
    }

    /// The part of it between `from` and `to`, as a client asks for it: the present month up to now by default.
    pub(super) fn between(
        self,
        from: Option<&prost_types::Timestamp>,
        to: Option<&prost_types::Timestamp>,
        now: Timestamp,
        violations: &mut Violations,
    ) -> Self {
        let mut found = Violations::new();
        let mut bound = |field, time: Option<&prost_types::Timestamp>, default: Timestamp| {
            let at = time.and_then(|time| parse_timestamp(time, &Path::root(field), &mut found)).unwrap_or(default);
            if hour(at) != at {
                found.add(Path::root(field), format!("is {at}; must be on a whole hour"));
            }
            at
        };
        let from = bound("from", from, self.zone.month(now).0);
        let to = bound("to", to, hour(now).plus_micros(HOUR_MICROS));
        let range = Self { from, to, ..self };
        if from >= to {
            found.add(Path::root("to"), format!("is {to}; must be later than from, which is {from}"));
        }
        if found.is_empty() {
            range.check(&mut found);
        }
        violations.append(found);
        range
    }

    /// Adds what makes the sums of its periods impossible to tell.
    fn check(&self, violations: &mut Violations) {
        let Self { calendar, zone: _, granularity, from, to } = self;
        let least = match granularity {
            SpendGranularity::Unspecified => i64::MAX,
            SpendGranularity::Hour => 1,
            SpendGranularity::Day => 23,
            SpendGranularity::Month => 28 * 24,
        };
        if (to.as_micros() - from.as_micros()) / HOUR_MICROS > least.saturating_mul(MAX_PERIODS) {
            let text = format!("makes more than {MAX_PERIODS} periods of the range; ask for a shorter range");
            violations.add(Path::root("granularity"), text);
            return;
        }
        let joined = |at: Timestamp| at < calendar.joined_until && calendar.zone.day(at).0 != at;
        for (field, bound) in [("from", *from), ("to", *to)] {
            if joined(bound) {
                let text = format!(
                    "is {bound}; before {} spend is kept by days of {} only: must be the start of \
                                    one, or later",
                    calendar.joined_until,
                    calendar.zone.name()
                );
                violations.add(Path::root(field), text);
            }
        }
        let mut start = *from;
        while start < *to {
            let (_, end) = self.period(start);
            if hour(end) != end {
                let text =
                    format!("has days that do not begin on a whole hour of UTC, as {end}; spend is kept by hours");
                return violations.add(Path::root("time_zone"), text);
            }
            if end < *to && joined(end) {
                let text = format!(
                    "makes periods that begin at {end}; before {} spend is kept by days of {} only: ask for these, or \
                     for a later range",
                    calendar.joined_until,
                    calendar.zone.name()
                );
                let field = if *granularity == SpendGranularity::Hour { "granularity" } else { "time_zone" };
                return violations.add(Path::root(field), text);
            }
            start = end;
        }
    }

    /// The period that `at` lies in, as far as it belongs to the range: its start and its end.
    pub(super) fn period(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let (start, end) = match self.granularity {
            SpendGranularity::Unspecified => (self.from, self.to),
            SpendGranularity::Hour => (hour(at), hour(at).plus_micros(HOUR_MICROS)),
            SpendGranularity::Day => self.zone.day(at),
            SpendGranularity::Month => self.zone.month(at),
        };
        (start.max(self.from), end.min(self.to))
    }
}
