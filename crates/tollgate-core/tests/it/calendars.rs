//! Windows of calendars, against a table that Python made (`calendars/table.py`), and as laws over many zones.

use proptest::prelude::*;
use tollgate_core::domain::{Calendar, ResetDuration, Timestamp, Window};

const TABLE: &str = include_str!("calendars/table.txt");

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[test]
fn windows_are_those_of_another_calendar() {
    let mut zones = std::collections::BTreeSet::new();
    for line in TABLE.lines() {
        let parts: Vec<&str> = line.split(' ').collect();
        let [zone, day, month, length, now, start, end] = parts[..] else { panic!("{line}") };
        let calendar = Calendar::new(zone, day.parse().unwrap(), month.parse().unwrap()).unwrap();
        let length = ResetDuration::parse(length).unwrap();
        // From the first instant of the window to its last.
        for instant in [at(now), at(start), at(end).plus_micros(-1)] {
            let window = Window::at(Timestamp::EPOCH, &length, Some(&calendar), instant);
            assert_eq!(window, Window { start: at(start), end: at(end) }, "{line}, at {instant}");
        }
        zones.insert(zone);
    }
    assert_eq!(zones.len(), 11);
}

#[test]
fn a_calendar_has_a_zone_a_day_and_a_month_that_exist() {
    let calendar = Calendar::new("europe/berlin", 7, 4).unwrap();
    let parts = (calendar.time_zone(), calendar.first_day_of_week(), calendar.first_month_of_year());
    assert_eq!(parts, ("Europe/Berlin", 7, 4));
    assert_eq!(Calendar::new("UTC", 1, 1).as_ref(), Some(Calendar::standard()));
    for (zone, day, month) in [("Mars/Olympus", 1, 1), ("", 1, 1), ("UTC", 0, 1), ("UTC", 8, 1), ("UTC", 1, 13)] {
        assert_eq!(Calendar::new(zone, day, month), None, "{zone} {day} {month}");
    }
}

#[test]
fn windows_stay_within_the_years_that_protobuf_has() {
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        let calendar = Calendar::new(zone, 7, 4).unwrap();
        for at in [Timestamp::MIN, Timestamp::MAX] {
            for length in ["1d", "2w", "7M", "3Y"] {
                let length = ResetDuration::parse(length).unwrap();
                let window = Window::at(Timestamp::EPOCH, &length, Some(&calendar), at);
                let range = Timestamp::MIN..=Timestamp::MAX;
                assert!(range.contains(&window.start) && range.contains(&window.end), "{zone} {length} {window:?}");
                assert!(window.start <= at && at <= window.end, "{zone} {length} {at} {window:?}");
            }
        }
    }
}

fn zones() -> Vec<String> {
    jiff::tz::db().available().map(|name| name.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_instant_is_in_two_windows_and_windows_touch(
        zone in proptest::sample::select(zones()),
        (day, month) in (1..=7_u8, 1..=12_u8),
        (count, unit) in (1..10_i64, proptest::sample::select(vec!["d", "w", "M", "Q", "Y"])),
        now in -4_000_000_000_000_000..8_000_000_000_000_000_i64,
    ) {
        let Some(calendar) = Calendar::new(&zone, day, month) else { return Ok(()) };
        let length = ResetDuration::parse(&format!("{count}{unit}")).unwrap();
        let window = |at| Window::at(Timestamp::EPOCH, &length, Some(&calendar), at);
        let now = Timestamp::from_micros(now);
        let own = window(now);
        prop_assert!(own.start <= now && now < own.end, "{:?}", own);
        prop_assert_eq!(window(own.start), own);
        prop_assert_eq!(window(own.end.plus_micros(-1)), own);
        prop_assert_eq!(window(own.end).start, own.end);
        prop_assert_eq!(window(own.start.plus_micros(-1)).end, own.start);
    }
}
