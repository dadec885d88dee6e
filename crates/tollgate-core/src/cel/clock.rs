//! Parts of times, as the clocks and calendars of a time zone show them.

use jiff::civil::DateTime;

/// A part of a time. Those that CEL counts from 0 are months and days of the year, of the month and of the week, of which
/// Sunday is the first; a date counts from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    FullYear,
    Month,
    DayOfYear,
    DayOfMonth,
    Date,
    DayOfWeek,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

impl Part {
    /// The part that a function yields.
    pub(super) fn named(function: &str) -> Option<Self> {
        Some(match function {
            "getFullYear" => Self::FullYear,
            "getMonth" => Self::Month,
            "getDayOfYear" => Self::DayOfYear,
            "getDayOfMonth" => Self::DayOfMonth,
            "getDate" => Self::Date,
            "getDayOfWeek" => Self::DayOfWeek,
            "getHours" => Self::Hours,
            "getMinutes" => Self::Minutes,
            "getSeconds" => Self::Seconds,
            "getMilliseconds" => Self::Milliseconds,
            _ => return None,
        })
    }

    /// This part of a time of the calendar.
    pub(super) fn of(self, at: DateTime) -> i64 {
        i64::from(match self {
            Self::FullYear => at.year(),
            Self::Month => i16::from(at.month()) - 1,
            Self::DayOfYear => at.day_of_year() - 1,
            Self::DayOfMonth => i16::from(at.day()) - 1,
            Self::Date => i16::from(at.day()),
            Self::DayOfWeek => i16::from(at.weekday().to_sunday_zero_offset()),
            Self::Hours => i16::from(at.hour()),
            Self::Minutes => i16::from(at.minute()),
            Self::Seconds => i16::from(at.second()),
            Self::Milliseconds => at.millisecond(),
        })
    }
}
