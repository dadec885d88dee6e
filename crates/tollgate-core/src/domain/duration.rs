//! Lengths of windows, in the grammar of the API (`docs/design/semantics.md §1`).

use std::fmt;

/// What a length of a window is counted in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    /// Hours, minutes, seconds and milliseconds: never calendar-aligned.
    Clock,
    /// Days of 24 hours.
    Day,
    /// Weeks of 7 days, from Monday.
    Week,
    /// Months: of the calendar if aligned, else of 30 days.
    Month,
    /// Years: of the calendar if aligned, else of 365 days.
    Year,
    /// One window without an end.
    Never,
}

impl Unit {
    /// One of it in milliseconds, a month being 30 days and a year 365.
    const fn millis(self) -> i64 {
        match self {
            Self::Clock => 1,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 30 * DAY,
            Self::Year => 365 * DAY,
            Self::Never => i64::MAX,
        }
    }
}

/// The length of a window, with the client's spelling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResetDuration(Spelling);

/// There are several a key: 16 bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Spelling {
    /// The one that unit and count give.
    Plain(Unit, i64),
    /// Another one.
    Own(Box<(Unit, i64, Box<str>)>),
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl ResetDuration {
    /// The grammar without [`NEVER`](Self::NEVER), for messages to people.
    pub const GRAMMAR: &'static str = "an integer and one of d, w, M, Q, Y (day, week, month, quarter, year) such as \"1d\" or \"3M\", or \
         hours, minutes, seconds and milliseconds such as \"1h30m\", \"90s\" or \"1500ms\"; from 1 second to 10 years";
    /// The length of a window without an end.
    pub const NEVER: &'static str = "never";
    /// One window without an end.
    pub const ENDLESS: &'static Self = &Self(Spelling::Plain(Unit::Never, 1));
    /// The shortest window, in milliseconds.
    pub const MIN_MILLIS: i64 = SECOND;
    /// The longest window, in milliseconds: 10 years of 365 days.
    pub const MAX_MILLIS: i64 = 10 * 365 * DAY;

    /// Reads `text`; `None` if it is not of the grammar or out of range.
    pub fn parse(text: &str) -> Option<Self> {
        if text == Self::NEVER {
            return Some(Self(Spelling::Plain(Unit::Never, 1)));
        }
        let counted = || integer(&text[..text.len() - 1]);
        let (unit, count) = match text.as_bytes().last()? {
            b'd' => (Unit::Day, counted()?),
            b'w' => (Unit::Week, counted()?),
            b'M' => (Unit::Month, counted()?),
            b'Q' => (Unit::Month, counted()?.checked_mul(3)?),
            b'Y' => (Unit::Year, counted()?),
            _ => (Unit::Clock, Self::clock(text)?),
        };
        if !(Self::MIN_MILLIS..=Self::MAX_MILLIS).contains(&count.checked_mul(unit.millis())?) {
            return None;
        }
        let plain = Self(Spelling::Plain(unit, count));
        let own = || Self(Spelling::Own(Box::new((unit, count, text.into()))));
        Some(if plain.to_string() == text { plain } else { own() })
    }

    /// Hours, minutes, seconds and milliseconds, each at most once and in this order.
    fn clock(text: &str) -> Option<i64> {
        let mut rest = text;
        let mut total: i64 = 0;
        let mut next_unit = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let suffix_len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (suffix, after) = after.split_at(suffix_len);
            let (order, millis) = match suffix {
                "h" => (0, HOUR),
                "m" => (1, MINUTE),
                "s" => (2, SECOND),
                "ms" => (3, 1),
                _ => return None,
            };
            if order < next_unit {
                return None;
            }
            next_unit = order + 1;
            total = total.checked_add(integer(number)?.checked_mul(millis)?)?;
            rest = after;
        }
        Some(total)
    }

    /// What it is counted in.
    pub fn unit(&self) -> Unit {
        match &self.0 {
            Spelling::Plain(unit, _) => *unit,
            Spelling::Own(own) => own.0,
        }
    }

    /// How many of [`Self::unit`]; milliseconds for [`Unit::Clock`].
    pub fn count(&self) -> i64 {
        match &self.0 {
            Spelling::Plain(_, count) => *count,
            Spelling::Own(own) => own.1,
        }
    }

    /// Its length in milliseconds, a month being 30 days and a year 365; the greatest number if it never ends.
    pub fn millis(&self) -> i64 {
        self.count() * self.unit().millis()
    }

    /// Whether its windows can follow the calendar.
    pub fn can_align(&self) -> bool {
        match self.unit() {
            Unit::Clock | Unit::Never => false,
            Unit::Day | Unit::Week | Unit::Month | Unit::Year => true,
        }
    }

    /// Whether its window has no end.
    pub fn is_never(&self) -> bool {
        self.unit() == Unit::Never
    }

    /// Whether this and `other` are the same length to an owner with this alignment.
    pub fn same(&self, other: &Self, calendar_aligned: bool) -> bool {
        self.millis() == other.millis() && (!calendar_aligned || self.unit() == other.unit())
    }
}

/// As the client wrote it.
impl fmt::Display for ResetDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, suffix) = match &self.0 {
            Spelling::Own(own) => return f.write_str(&own.2),
            Spelling::Plain(Unit::Never, _) => return f.write_str(Self::NEVER),
            Spelling::Plain(Unit::Day, count) => (*count, "d"),
            Spelling::Plain(Unit::Week, count) => (*count, "w"),
            Spelling::Plain(Unit::Month, count) => (*count, "M"),
            Spelling::Plain(Unit::Year, count) => (*count, "Y"),
            Spelling::Plain(Unit::Clock, millis) if millis % HOUR == 0 => (millis / HOUR, "h"),
            Spelling::Plain(Unit::Clock, millis) if millis % MINUTE == 0 => (millis / MINUTE, "m"),
            Spelling::Plain(Unit::Clock, millis) if millis % SECOND == 0 => (millis / SECOND, "s"),
            Spelling::Plain(Unit::Clock, millis) => (*millis, "ms"),
        };
        write!(f, "{count}{suffix}")
    }
}

fn integer(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar_takes_what_it_says_and_nothing_else() {
        let millis = |text| ResetDuration::parse(text).map(|duration| duration.millis());
        for (text, expected) in [
            ("1d", DAY),
            ("24h", DAY),
            ("2w", 14 * DAY),
            ("3M", 90 * DAY),
            ("1Y", 365 * DAY),
            ("10Y", 3650 * DAY),
            ("1h30m", 90 * MINUTE),
            ("90s", 90 * SECOND),
            ("1500ms", 1500),
            ("1m", MINUTE),
            ("1h1m1s1ms", HOUR + MINUTE + SECOND + 1),
            ("1Q", 90 * DAY),
            ("40Q", 3600 * DAY),
            ("never", i64::MAX),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "d",
            "1",
            "-1d",
            "+1d",
            "1.5d",
            " 1d",
            "1d ",
            "1d1h",
            "0s",
            "999ms",
            "11Y",
            "1D",
            "1y",
            "30m1h",
            "1h1h",
            "1é",
            "99999999999999999999d",
            "1 h",
            "monthly",
            "41Q",
            "1q",
            "9223372036854775807Q",
            "Never",
            "1never",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn it_takes_no_more_memory_than_it_says() {
        assert_eq!(size_of::<ResetDuration>(), 16);
    }

    #[test]
    fn equal_lengths_differ_by_unit_only_when_aligned() {
        let week = ResetDuration::parse("1w").unwrap();
        let days = ResetDuration::parse("7d").unwrap();
        assert!(week.same(&days, false));
        assert!(!week.same(&days, true));
    }

    #[test]
    fn spellings_of_one_length_are_one_duration_and_keep_their_spelling() {
        for (one, other, rolling, aligned) in [
            ("24h", "1d", true, false),
            ("1d", "01d", true, true),
            ("168h", "1w", true, false),
            ("14d", "2w", true, false),
            ("30d", "1M", true, false),
            ("3M", "90d", true, false),
            ("365d", "1Y", true, false),
            ("1h30m", "90m", true, true),
            ("60s", "1m", true, true),
            ("1000ms", "1s", true, true),
            ("12M", "1Y", false, false),
            ("1Q", "3M", true, true),
            ("4Q", "12M", true, true),
            ("never", "never", true, true),
            ("never", "10Y", false, false),
            ("4w", "1M", false, false),
            ("1m", "1M", false, false),
        ] {
            let parsed = [one, other].map(|text| ResetDuration::parse(text).unwrap());
            assert_eq!(parsed.each_ref().map(ToString::to_string), [one, other]);
            assert_eq!(parsed[0].same(&parsed[1], false), rolling, "{one} {other} rolling");
            assert_eq!(parsed[0].same(&parsed[1], true), aligned, "{one} {other} aligned");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_taken_is_shown_as_it_was_written(text in "[0-9]{0,3}(h|m|s|ms|d|w|M|Q|Y|é)?([0-9]{1,3}(m|s|ms|d))?|never") {
            if let Some(duration) = ResetDuration::parse(&text) {
                prop_assert_eq!(duration.to_string(), text);
                let range = ResetDuration::MIN_MILLIS..=ResetDuration::MAX_MILLIS;
                prop_assert!(duration.is_never() || range.contains(&duration.millis()));
                prop_assert!(duration.count() > 0);
            }
        }
    }
}
