//! Windows: pure functions of (anchor, duration, alignment, time); there is no reset job
//! (`docs/design/semantics.md §2`).

use super::{Calendar, ResetDuration, Timestamp, Unit};

/// A window of time, from its start (inclusive) to its end (exclusive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// The first instant of the window.
    pub start: Timestamp,
    /// The first instant of the next window.
    pub end: Timestamp,
}

impl Window {
    /// The window that `at` lies in: a period of the `calendar` that windows follow, `None` if they are rolling. A length that
    /// cannot follow a calendar is rolling in any case. A window without an end begins at the anchor, and counts what came
    /// before, too.
    pub fn at(anchor: Timestamp, duration: &ResetDuration, calendar: Option<&Calendar>, at: Timestamp) -> Self {
        if duration.unit() == Unit::Never {
            return Self { start: anchor, end: Timestamp::MAX };
        }
        match calendar.and_then(|calendar| calendar.period(duration.unit(), duration.count(), at)) {
            Some((start, end)) => Self { start, end },
            None => Self::lattice(anchor.as_micros(), duration.millis() * 1_000, at),
        }
    }

    /// Whether there is a next window.
    pub fn has_end(&self) -> bool {
        self.end < Timestamp::MAX
    }

    fn lattice(origin: i64, length: i64, at: Timestamp) -> Self {
        let start = origin + (at.as_micros() - origin).div_euclid(length) * length;
        // An answer must not carry a time that protobuf does not have.
        let bounded = |micros| Timestamp::EPOCH.plus_micros(micros);
        Self { start: bounded(start), end: bounded(start.saturating_add(length)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("90s", true, "2026-01-31T10:01:30Z", "2026-01-31T10:01:30Z", "2026-01-31T10:03:00Z"),
            ("24h", true, "2026-02-01T09:59:59Z", "2026-01-31T10:00:00Z", "2026-02-01T10:00:00Z"),
            ("1Q", true, "2026-05-05T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z"),
            ("1Q", false, "2026-05-01T09:59:59Z", "2026-01-31T10:00:00Z", "2026-05-01T10:00:00Z"),
        ] {
            let window = Window::at(anchor, &ResetDuration::parse(duration).unwrap(), calendar(aligned), at(now));
            assert_eq!(window, Window { start: at(start), end: at(end) }, "{duration} {aligned} {now}");
        }
    }

    /// The standard calendar, where windows follow one.
    fn calendar(aligned: bool) -> Option<&'static Calendar> {
        aligned.then(Calendar::standard)
    }

    fn window(start: &str, end: &str) -> Window {
        let midnight = |text: &str| if text.contains('T') { at(text) } else { at(&format!("{text}T00:00:00Z")) };
        Window { start: midnight(start), end: midnight(end) }
    }

    fn length(text: &str) -> ResetDuration {
        ResetDuration::parse(text).unwrap()
    }

    #[test]
    fn a_rolling_month_is_30_days_and_an_aligned_one_that_of_the_calendar() {
        for (anchor, rolling, aligned) in [
            ("2026-01-28T12:00:00Z", "2026-02-27T12:00:00Z", ("2026-01-01", "2026-02-01")),
            ("2026-01-29T12:00:00Z", "2026-02-28T12:00:00Z", ("2026-01-01", "2026-02-01")),
            ("2026-01-30T12:00:00Z", "2026-03-01T12:00:00Z", ("2026-01-01", "2026-02-01")),
            ("2026-01-31T12:00:00Z", "2026-03-02T12:00:00Z", ("2026-01-01", "2026-02-01")),
            ("2028-01-29T12:00:00Z", "2028-02-28T12:00:00Z", ("2028-01-01", "2028-02-01")),
            ("2028-01-30T12:00:00Z", "2028-02-29T12:00:00Z", ("2028-01-01", "2028-02-01")),
            ("2028-01-31T12:00:00Z", "2028-03-01T12:00:00Z", ("2028-01-01", "2028-02-01")),
            ("2028-02-29T12:00:00Z", "2028-03-30T12:00:00Z", ("2028-02-01", "2028-03-01")),
        ] {
            let month = length("1M");
            let now = at(anchor);
            assert_eq!(Window::at(now, &month, None, now), window(anchor, rolling), "{anchor}");
            assert_eq!(Window::at(now, &month, calendar(true), now), window(aligned.0, aligned.1), "{anchor}");
        }
    }

    #[test]
    fn aligned_periods_know_leap_years_and_rolling_ones_do_not() {
        for (duration, aligned, now, start, end) in [
            ("1M", true, "2026-02-28T23:59:59Z", "2026-02-01", "2026-03-01"),
            ("1M", true, "2028-02-29T23:59:59Z", "2028-02-01", "2028-03-01"),
            ("1M", true, "2100-02-28T23:59:59Z", "2100-02-01", "2100-03-01"),
            ("1d", true, "2028-02-29T00:00:00Z", "2028-02-29", "2028-03-01"),
            ("1d", true, "2100-03-01T00:00:00Z", "2100-03-01", "2100-03-02"),
            ("1Y", true, "2028-12-31T12:00:00Z", "2028-01-01", "2029-01-01"),
            ("1Y", false, "2028-12-31T12:00:00Z", "2028-12-31", "2029-12-31"),
            ("1Y", false, "2028-12-30T12:00:00Z", "2028-01-01", "2028-12-31"),
        ] {
            let anchor = at("2028-01-01T00:00:00Z");
            assert_eq!(
                Window::at(anchor, &length(duration), calendar(aligned), at(now)),
                window(start, end),
                "{duration} {now}"
            );
        }
    }

    #[test]
    fn a_week_starts_on_monday() {
        for day in ["23", "24", "25", "26", "27", "28"] {
            let now = at(&format!("2026-11-{day}T23:59:59.999999Z"));
            assert_eq!(
                Window::at(now, &length("1w"), calendar(true), now),
                window("2026-11-23", "2026-11-30"),
                "{day}"
            );
        }
        for (now, start, end) in [
            ("2026-11-22T23:59:59.999999Z", "2026-11-16", "2026-11-23"),
            ("2027-01-01T00:00:00Z", "2026-12-28", "2027-01-04"),
            ("1970-01-01T00:00:00Z", "1969-12-29", "1970-01-05"),
            ("1969-12-28T23:59:59Z", "1969-12-22", "1969-12-29"),
        ] {
            assert_eq!(Window::at(at(now), &length("1w"), calendar(true), at(now)), window(start, end), "{now}");
        }
    }

    #[test]
    fn a_multiplier_counts_from_the_origin_and_not_from_the_anchor() {
        let anchor = at("2026-02-11T11:11:11Z");
        for (duration, now, start, end) in [
            ("3M", "2026-01-01T00:00:00Z", "2026-01-01", "2026-04-01"),
            ("3M", "2026-03-31T23:59:59Z", "2026-01-01", "2026-04-01"),
            ("3M", "2026-12-31T23:59:59Z", "2026-10-01", "2027-01-01"),
            ("6M", "2026-08-15T00:00:00Z", "2026-07-01", "2027-01-01"),
            ("12M", "2026-08-15T00:00:00Z", "2026-01-01", "2027-01-01"),
            ("5M", "1970-06-01T00:00:00Z", "1970-06-01", "1970-11-01"),
            ("3M", "1969-12-31T23:59:59Z", "1969-10-01", "1970-01-01"),
            ("2w", "1970-01-12T00:00:00Z", "1970-01-12", "1970-01-26"),
            ("2w", "2026-11-24T00:00:00Z", "2026-11-16", "2026-11-30"),
            ("2d", "1970-01-02T23:59:59Z", "1970-01-01", "1970-01-03"),
            ("2Y", "2027-06-01T00:00:00Z", "2026-01-01", "2028-01-01"),
        ] {
            assert_eq!(
                Window::at(anchor, &length(duration), calendar(true), at(now)),
                window(start, end),
                "{duration} {now}"
            );
        }
    }

    #[test]
    fn a_window_that_never_ends_is_the_same_at_any_time() {
        let anchor = at("2026-01-31T10:00:00Z");
        for now in [Timestamp::MIN, anchor.plus_micros(-1), anchor, at("2190-01-01T00:00:00Z"), Timestamp::MAX] {
            for aligned in [false, true] {
                let window = Window::at(anchor, &length("never"), calendar(aligned), now);
                assert_eq!(window, Window { start: anchor, end: Timestamp::MAX }, "{now} {aligned}");
            }
        }
    }

    #[test]
    fn windows_stay_within_the_years_that_protobuf_has() {
        for at in [Timestamp::MIN, Timestamp::MAX] {
            for duration in ["90s", "7h", "3d", "2w", "7M", "3Y", "10Y"] {
                for aligned in [false, true] {
                    let window = Window::at(Timestamp::from_micros(1), &length(duration), calendar(aligned), at);
                    let range = Timestamp::MIN..=Timestamp::MAX;
                    assert!(range.contains(&window.start) && range.contains(&window.end), "{duration} {window:?}");
                    assert!(window.start <= at && at <= window.end, "{duration} {window:?}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn windows_follow_one_another_without_gaps(
            anchor in 0..4_000_000_000_000_000_i64,
            now in -60_000_000_000_000_000..200_000_000_000_000_000_i64,
            count in 1..10_i64,
            unit in proptest::sample::select(vec!["s", "h", "d", "w", "M", "Q", "Y"]),
            aligned in any::<bool>(),
        ) {
            let duration = length(&format!("{count}{unit}"));
            let at = |now| Window::at(Timestamp::from_micros(anchor), &duration, calendar(aligned), now);
            let now = Timestamp::from_micros(now);
            let window = at(now);
            prop_assert!(window.start <= now && now < window.end, "{:?}", window);
            prop_assert_eq!(at(window.start), window);
            prop_assert_eq!(at(window.end.plus_micros(-1)), window);
            prop_assert_eq!(at(window.end).start, window.end);
        }
    }
}
