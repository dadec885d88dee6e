//! Windows as `docs/design/semantics.md §2` tells them, by the calendar of jiff and nothing of the product.

use jiff::civil::{Date, Weekday, date};
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
    pub(crate) fn window(&self, anchor: Micros, aligned: bool, at: Micros) -> (Micros, Micros) {
        if self.unit == '∞' {
            return (anchor, Micros::MAX);
        }
        if !aligned || !self.can_align() {
            let passed = i128::from(at) - i128::from(anchor);
            let start = anchor + (passed.div_euclid(self.micros().into()) * i128::from(self.micros())) as i64;
            return (start, start + self.micros());
        }
        let today = Timestamp::from_microsecond(at).unwrap().to_zoned(TimeZone::UTC).date();
        let (start, end) = match self.unit {
            'd' => self.days(date(1970, 1, 1), today, 1),
            'w' => {
                let monday = date(1969, 12, 29);
                assert_eq!(monday.weekday(), Weekday::Monday);
                self.days(monday, today, 7)
            }
            'M' => self.months(today, 1),
            'Q' => self.months(today, 3),
            'Y' => self.months(today, 12),
            unit => panic!("{unit} cannot align"),
        };
        (midnight(start), midnight(end))
    }

    fn days(&self, origin: Date, today: Date, each: i64) -> (Date, Date) {
        let length = self.count * each;
        let passed = i64::from(origin.until(today).unwrap().get_days());
        let start = origin + (passed - passed.rem_euclid(length)).days();
        (start, start + length.days())
    }

    fn months(&self, today: Date, each: i64) -> (Date, Date) {
        let length = self.count * each;
        let month = (i64::from(today.year()) - 1970) * 12 + i64::from(today.month()) - 1;
        let back = month.rem_euclid(length);
        let start = today.first_of_month() - back.months();
        (start, start + length.months())
    }
}

fn midnight(date: Date) -> Micros {
    date.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
}
