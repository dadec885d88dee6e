//! Windows as `docs/design/semantics.md §2` tells them, by the calendar of jiff and nothing of the product.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// Microseconds since 1970.
pub(crate) type Micros = i64;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3_600 * SECOND;

/// The length of a window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Length {
    pub(crate) text: String,
    count: i64,
    unit: char,
}

/// Where days, weeks and years begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Calendar {
    pub(crate) zone: &'static str,
    /// 1 is Monday.
    pub(crate) first_day: i8,
    /// 1 is January.
    pub(crate) first_month: i8,
}

impl Calendar {
    pub(crate) const STANDARD: Self = Self { zone: "UTC", first_day: 1, first_month: 1 };

    /// The first instant of a day; of zones whose clocks are never set at midnight.
    fn midnight(&self, date: Date) -> Micros {
        date.to_zoned(self.time_zone()).unwrap().timestamp().as_microsecond()
    }

    fn time_zone(&self) -> TimeZone {
        TimeZone::get(self.zone).unwrap()
    }
}

impl Length {
    /// Reads an integer and one of `s m h d w M Q Y`, or `never`.
    pub(crate) fn new(text: &str) -> Self {
        if text == "never" {
            return Self { text: text.to_owned(), count: 1, unit: '∞' };
        }
        let (count, unit) = text.split_at(text.len() - 1);
        Self { text: text.to_owned(), count: count.parse().unwrap(), unit: unit.chars().next().unwrap() }
    }

    fn micros(&self) -> i64 {
        self.count
            * match self.unit {
                's' => SECOND,
                'm' => 60 * SECOND,
                'h' => 3_600 * SECOND,
                'd' => DAY,
                'w' => 7 * DAY,
                'M' => 30 * DAY,
                'Q' => 90 * DAY,
                'Y' => 365 * DAY,
                '∞' => return Micros::MAX,
                unit => panic!("no unit {unit}"),
            }
    }

    pub(crate) fn can_align(&self) -> bool {
        "dwMQY".contains(self.unit)
    }

    /// Whether both are one length to an owner of this alignment.
    pub(crate) fn same(&self, other: &Self, aligned: bool) -> bool {
        let unit = |length: &Self| match length.unit {
            'Q' => 'M',
            unit if length.can_align() => unit,
            _ => 'h',
        };
        self.micros() == other.micros() && (!aligned || unit(self) == unit(other))
    }

    /// The start of the window that `at` lies in, and that of the next.
    pub(crate) fn window(&self, anchor: Micros, calendar: Option<&Calendar>, at: Micros) -> (Micros, Micros) {
        if self.unit == '∞' {
            return (anchor, Micros::MAX);
        }
        let Some(calendar) = calendar.filter(|_| self.can_align()) else {
            let passed = i128::from(at) - i128::from(anchor);
            let start = anchor + (passed.div_euclid(self.micros().into()) * i128::from(self.micros())) as i64;
            return (start, start + self.micros());
        };
        let today = Timestamp::from_microsecond(at).unwrap().to_zoned(calendar.time_zone()).date();
        let (start, end) = match self.unit {
            'd' => self.days(date(1970, 1, 1), today, 1),
            'w' => {
                let mut first = date(1970, 1, 1);
                while first.weekday().to_monday_one_offset() != calendar.first_day {
                    first = first.yesterday().unwrap();
                }
                self.days(first, today, 7)
            }
            'M' => self.months(today, 1, calendar),
            'Q' => self.months(today, 3, calendar),
            'Y' => self.months(today, 12, calendar),
            unit => panic!("{unit} cannot align"),
        };
        (calendar.midnight(start), calendar.midnight(end))
    }

    fn days(&self, origin: Date, today: Date, each: i64) -> (Date, Date) {
        let length = self.count * each;
        let passed = i64::from(origin.until(today).unwrap().get_days());
        let start = origin + (passed - passed.rem_euclid(length)).days();
        (start, start + length.days())
    }

    fn months(&self, today: Date, each: i64, calendar: &Calendar) -> (Date, Date) {
        let length = self.count * each;
        let month = (i64::from(today.year()) - 1970) * 12 + i64::from(today.month()) - 1;
        let first = if length % 3 == 0 { i64::from(calendar.first_month) - 1 } else { 0 };
        let back = (month - first).rem_euclid(length);
        let start = today.first_of_month() - back.months();
        (start, start + length.months())
    }
}
