//! Bifrost's budgets and rate limits.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::source::Source;
use crate::cli::moving::draft::{Spend, Told, shown};
use crate::cli::moving::money::nano_usd;
use crate::cli::moving::record::Record;
use crate::domain::{ResetDuration, Unit};
use crate::proto::v1;

/// The limits of an owner.
#[derive(Default, Debug)]
pub(super) struct Limits {
    pub(super) budgets: Vec<v1::Budget>,
    pub(super) rate_limits: Vec<v1::RateLimit>,
    pub(super) aligned: bool,
    pub(super) spend: Vec<Spend>,
}

impl Limits {
    /// Adds the limits of an owner, whose id stands in `column` of them. Spend is that of the owner's `provider`, if it has
    /// limits by provider.
    pub(super) fn add(
        &mut self,
        source: &Source,
        owner: &Record,
        column: &'static str,
        provider: &str,
        now: Timestamp,
        told: &mut Told,
    ) {
        let (budgets, rates) = (source.budgets_of(owner, column), source.rate_limits_of(owner, column));
        let aligned = |record: &Record| record.flag("calendar_aligned") == Some(true);
        self.aligned |= aligned(owner) || budgets.iter().chain(&rates).any(aligned);
        for row in budgets {
            self.budget(&row, provider, now, told);
        }
        for row in rates {
            self.rate_limit(&row, told);
        }
    }

    fn budget(&mut self, row: &Record, provider: &str, now: Timestamp, told: &mut Told) {
        let (Some(mut max_limit), Some(text)) = (row.number("max_limit"), row.text("reset_duration")) else {
            return told.impossible("a budget without max_limit or reset_duration is left out");
        };
        let Some(length) = length(&text, told) else { return };
        if let Some(more) = row.number("override_amount").filter(|more| *more > 0.0) {
            match row.text("override_mode").as_deref() {
                Some("forever") => {
                    max_limit += more;
                    told.changed("the override of a budget that holds forever is part of its max_limit");
                }
                _ => told.impossible(
                    "the override of a budget for some windows is left out; give it temporary_increase and \
                     temporary_increase_until",
                ),
            }
        }
        self.window(&length, told);
        let is_same = |other: &v1::Budget| {
            ResetDuration::parse(&other.reset_duration).is_some_and(|it| it.same(&length, self.aligned))
        };
        if self.budgets.iter().any(is_same) {
            return told
                .impossible(format!("a second budget of {length} is left out: an owner has one of each length"));
        }
        let aligned = self.aligned && length.can_align();
        let used = row.number("current_usage").unwrap_or_default();
        let last = row.time("last_reset");
        if used > 0.0 && last.is_some_and(|last| !is_over(&length, aligned, last, now)) {
            let (amount, place) = (nano_usd(used), row.place.clone());
            self.spend.push(Spend { length: length.to_string(), provider: provider.to_owned(), amount, place });
        } else if used > 0.0 {
            told.changed("the window of a budget is over, so that nothing of its spend counts");
        }
        self.budgets.push(v1::Budget { max_limit, reset_duration: length.to_string(), ..Default::default() });
    }

    fn rate_limit(&mut self, row: &Record, told: &mut Told) {
        let of = |metric: &str| row.text("metric").as_deref() == Some(metric);
        let mut limit = |name: &str, metric, there: fn(&v1::RateLimit) -> Option<&String>| {
            let most =
                row.whole(&format!("{name}_max_limit")).or_else(|| row.whole("max_limit").filter(|_| of(metric)))?;
            let text = row.text(&format!("{name}_reset_duration")).or_else(|| row.text("reset_duration"))?;
            let length = length(&text, told)?;
            let mut lengths = self.rate_limits.iter().filter_map(there).filter_map(|it| ResetDuration::parse(it));
            if lengths.any(|other| other.same(&length, self.aligned)) {
                told.impossible(format!(
                    "a second limit on {metric} of {length} is left out: an owner has one of each length"
                ));
                return None;
            }
            self.window(&length, told);
            Some((most, length.to_string()))
        };
        let tokens = limit("token", "tokens", |it| it.token_reset_duration.as_ref()).unzip();
        let requests = limit("request", "requests", |it| it.request_reset_duration.as_ref()).unzip();
        if tokens.0.is_none() && requests.0.is_none() {
            return;
        }
        if ["token_current_usage", "request_current_usage"].iter().any(|name| row.whole(name).unwrap_or_default() > 0) {
            told.changed("what its rate limits have counted begins at 0");
        }
        self.rate_limits.push(v1::RateLimit {
            token_max_limit: tokens.0,
            token_reset_duration: tokens.1,
            request_max_limit: requests.0,
            request_reset_duration: requests.1,
            ..Default::default()
        });
    }

    /// Tells how a window differs from the one there.
    fn window(&self, length: &ResetDuration, told: &mut Told) {
        if !self.aligned || !length.can_align() {
            told.changed("a window that does not follow the calendar begins when the limit is created here");
        } else if length.count() != 1 && length.to_string() != "1Q" {
            told.changed(
                "a window of several days, weeks or months on the calendar has its whole length here; there it ended with each of \
                 them",
            );
        }
    }
}

/// A length as it is written here.
fn length(text: &str, told: &mut Told) -> Option<ResetDuration> {
    let lower = text.to_lowercase();
    let plain = match lower.as_str() {
        "daily" => "1d",
        "weekly" => "1w",
        "monthly" => "1M",
        "yearly" => "1Y",
        _ => text,
    };
    let length = ResetDuration::parse(plain).filter(|length| !length.is_never());
    if length.is_none() {
        told.impossible(format!("a limit of {} is left out; it needs {}", shown(text), ResetDuration::GRAMMAR));
    }
    length
}

/// Whether a window that began at `last` is over.
fn is_over(length: &ResetDuration, aligned: bool, last: Timestamp, now: Timestamp) -> bool {
    if !aligned {
        return now.duration_since(last) >= SignedDuration::from_millis(length.millis());
    }
    let start = start(length, now.to_zoned(TimeZone::UTC).date()).to_zoned(TimeZone::UTC);
    start.is_ok_and(|start| last < start.timestamp())
}

/// The first day of the calendar's period that a day is in: one of its unit, however many of them the length has.
fn start(length: &ResetDuration, day: Date) -> Date {
    match length.unit() {
        Unit::Day => day,
        Unit::Week => day.saturating_sub(i64::from(day.weekday().to_monday_zero_offset()).days()),
        Unit::Month if length.to_string().ends_with('Q') => date(day.year(), (day.month() - 1) / 3 * 3 + 1, 1),
        Unit::Month => day.first_of_month(),
        Unit::Year | Unit::Clock | Unit::Never => day.first_of_year(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_over_when_its_length_or_its_period_is() {
        // A Monday.
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        for (length, aligned, last, expected) in [
            ("1d", true, "2026-11-30T00:00:00Z", false),
            ("1d", true, "2026-11-29T23:00:00Z", true),
            ("1d", false, "2026-11-29T23:00:00Z", false),
            ("1w", true, "2026-11-30T00:00:00Z", false),
            ("1w", true, "2026-11-29T00:00:00Z", true),
            ("1M", true, "2026-11-01T00:00:00Z", false),
            ("1M", true, "2026-10-31T00:00:00Z", true),
            ("1Q", true, "2026-10-01T00:00:00Z", false),
            ("1Y", true, "2025-12-31T00:00:00Z", true),
            ("7d", true, "2026-11-29T23:00:00Z", true),
            ("1h30m", false, "2026-11-30T10:00:00Z", true),
            ("30d", false, "2026-11-01T00:00:00Z", false),
        ] {
            let (length, last) = (ResetDuration::parse(length).unwrap(), last.parse().unwrap());
            assert_eq!(is_over(&length, aligned, last, now), expected, "{length} {aligned} {last}");
        }
    }

    #[test]
    fn lengths_are_written_as_here() {
        let mut told = Told::default();
        for (text, expected) in [("Monthly", Some("1M")), ("1h30m", Some("1h30m")), ("1.5d", None), ("never", None)] {
            assert_eq!(length(text, &mut told).map(|it| it.to_string()).as_deref(), expected, "{text}");
        }
    }
}
