//! Limits and calendars as clients may send them.

use super::*;

fn durations(aligned: bool) -> Vec<&'static str> {
    let of_calendar: &[&str] =
        if aligned { &["1d", "7d", "1w", "2w", "30d", "1M", "1Y", "05d"] } else { &["1w", "1M", "1Y"] };
    [of_calendar, &["1Q", "1500ms", "90s", "1h30m", "24h", "05h", "0h10m"]].concat()
}

fn alert_percents() -> impl Strategy<Value = Vec<i32>> {
    subsequence(vec![1, 50, 80, 90, 100, 250, 1_000], 0..=4).prop_shuffle()
}

pub(super) fn budgets(aligned: bool) -> impl Strategy<Value = Vec<v1::Budget>> {
    // Around 9e6 dollars a nano-dollar is about as much as one step of a double.
    let max_limit = prop_oneof![1e-9..1.0, 1.0..9.2e9, 8.3e6..9.1e6, select(vec![0.0, 0.1 + 0.2, 6e-10, 9.2e9])];
    let increase = option::of((prop_oneof![1e-9..1.0, 1.0..9.2e9], time(NOW_SECONDS + 1..4_000_000_000)));
    let parts = (max_limit, increase, alert_percents(), 0..=3, 0..=2, any::<f64>(), any::<i64>());
    let budget = parts.prop_map(|(max_limit, increase, alert_percents, enforcement, reserve, current_usage, nanos)| {
        v1::Budget {
            max_limit,
            temporary_increase: increase.as_ref().map_or(0.0, |(increase, _)| *increase),
            temporary_increase_until: increase.map(|(_, until)| until),
            alert_percents,
            current_usage,
            max_limit_nano_usd: nanos,
            enforcement,
            reserve,
            owner: Some(v1::budget::Owner::TeamId("another".to_owned())),
            ..Default::default()
        }
    });
    let lengths = subsequence([&durations(aligned)[..], &["never"]].concat(), 0..=3).prop_shuffle();
    (lengths, vec(budget, 3), any::<bool>()).prop_map(move |(lengths, budgets, flag)| {
        let with = |(length, budget): (&str, v1::Budget)| v1::Budget {
            reset_duration: length.to_owned(),
            calendar_aligned: aligned && flag,
            ..budget
        };
        lengths.into_iter().zip(budgets).map(with).collect()
    })
}

pub(super) fn rate_limits(aligned: bool) -> impl Strategy<Value = Vec<v1::RateLimit>> {
    let dimensions = || {
        let lengths = subsequence(durations(aligned), 3).prop_shuffle();
        (lengths, vec(option::of(0..=i64::MAX), 0..=3)).prop_map(|(lengths, maxima)| {
            let with = |(max, length): (Option<i64>, &str)| max.map(|max| (max, length.to_owned()));
            maxima.into_iter().zip(lengths).map(with).collect::<Vec<_>>()
        })
    };
    // In an entry of its own, or in one that limits something else.
    let slots = option::of((any::<bool>(), 0..=i64::MAX));
    let parts = (dimensions(), dimensions(), slots, alert_percents(), 0..=3, 0..=2, any::<i64>());
    parts.prop_map(|(tokens, requests, slots, alert_percents, enforcement, reserve, used)| {
        let both = tokens.into_iter().zip(requests).filter(|(token, request)| token.is_some() || request.is_some());
        let limits = both.map(|(token, request)| {
            let (token_max_limit, token_reset_duration) = token.unzip();
            let (request_max_limit, request_reset_duration) = request.unzip();
            v1::RateLimit {
                reserve: if token_max_limit.is_some() { reserve } else { 0 },
                token_max_limit,
                token_reset_duration,
                request_max_limit,
                request_reset_duration,
                token_current_usage: used,
                enforcement,
                alert_percents: alert_percents.clone(),
                ..Default::default()
            }
        });
        let mut limits: Vec<_> = limits.collect();
        if let Some((alone, max)) = slots {
            let own = v1::RateLimit { enforcement, concurrent_request_current_usage: used, ..Default::default() };
            if alone || limits.is_empty() {
                limits.push(own);
            }
            limits.iter_mut().last().unwrap().concurrent_request_max_limit = Some(max);
        }
        limits
    })
}

pub(super) fn calendar() -> impl Strategy<Value = Option<v1::Calendar>> {
    let zone = select(vec!["", "UTC", "Europe/Berlin", "asia/kolkata", "America/Havana"]);
    option::of((zone, 0..=7, 0..=12).prop_map(|(zone, first_day_of_week, first_month_of_year)| v1::Calendar {
        time_zone: zone.to_owned(),
        first_day_of_week,
        first_month_of_year,
    }))
}

pub(super) type Limits = ((bool, Option<v1::Calendar>), Vec<v1::Budget>, Vec<v1::RateLimit>);

pub(super) fn limits() -> impl Strategy<Value = Limits> {
    any::<bool>().prop_flat_map(|aligned| ((Just(aligned), calendar()), budgets(aligned), rate_limits(aligned)))
}

pub(super) type OfSeveral = ((bool, Option<v1::Calendar>), Vec<(Vec<v1::Budget>, Vec<v1::RateLimit>)>);

/// The limits of several owners that follow one calendar.
pub(super) fn limits_of_several(count: usize) -> impl Strategy<Value = OfSeveral> {
    any::<bool>().prop_flat_map(move |aligned| {
        ((Just(aligned), calendar()), vec((budgets(aligned), rate_limits(aligned)), count))
    })
}
