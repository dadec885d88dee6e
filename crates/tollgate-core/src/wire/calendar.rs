//! Calendars.

use super::text::timestamp;
use crate::domain::{Calendar, Path, ResetDuration, Timestamp, Violations, Window};
use crate::proto::v1;

/// The calendar of an owner, if it names one.
pub(super) fn parse(
    message: Option<v1::Calendar>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Box<Calendar>> {
    let v1::Calendar { time_zone, first_day_of_week, first_month_of_year } = message?;
    let zone = if time_zone.is_empty() { Calendar::UTC_NAME } else { &time_zone };
    let zone_is_known = Calendar::new(zone, 1, 1).is_some();
    if !zone_is_known {
        let shown: String = zone.chars().take(64).collect();
        let text =
            format!("is {shown:?}, which is no time zone; must be an IANA name such as \"Europe/Berlin\", or empty");
        violations.add(path.field("time_zone"), text);
    }
    let day = u8::try_from(first_day_of_week).ok().filter(|day| *day <= 7);
    if day.is_none() {
        violations.add(path.field("first_day_of_week"), "is unknown; must be a value of DayOfWeek");
    }
    let month = u8::try_from(first_month_of_year).ok().filter(|month| *month <= 12);
    if month.is_none() {
        let text = format!("is {first_month_of_year}; must be from 1 (January) to 12, or 0 for January");
        violations.add(path.field("first_month_of_year"), text);
    }
    Calendar::new(zone, day?.max(1), month?.max(1)).map(Box::new)
}

/// A calendar as a message.
pub(super) fn render(calendar: &Calendar) -> v1::Calendar {
    v1::Calendar {
        time_zone: calendar.time_zone().to_owned(),
        first_day_of_week: calendar.first_day_of_week().into(),
        first_month_of_year: calendar.first_month_of_year().into(),
    }
}

/// The calendar that windows follow as far as their owner alone tells; `None` if they are rolling.
pub(super) fn own(calendar_aligned: bool, calendar: Option<&Calendar>) -> Option<&Calendar> {
    calendar_aligned.then(|| calendar.unwrap_or(Calendar::standard()))
}

/// Lets the windows of answers follow the calendar of whom their owner belongs to.
pub fn follow(calendar: &Calendar, now: Timestamp, budgets: &mut [v1::Budget], rate_limits: &mut [v1::RateLimit]) {
    let window = |length: Option<&str>| {
        let length = ResetDuration::parse(length?).filter(ResetDuration::can_align)?;
        let Window { start, end } = Window::at(now, &length, Some(calendar), now);
        Some((Some(timestamp(start)), Some(timestamp(end))))
    };
    for budget in budgets {
        if let Some(window) = window(Some(&budget.reset_duration)) {
            (budget.last_reset, budget.next_reset) = window;
        }
    }
    for limit in rate_limits {
        if let Some(window) = window(limit.token_reset_duration.as_deref()) {
            (limit.token_last_reset, limit.token_next_reset) = window;
        }
        if let Some(window) = window(limit.request_reset_duration.as_deref()) {
            (limit.request_last_reset, limit.request_next_reset) = window;
        }
    }
}
