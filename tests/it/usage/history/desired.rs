//! Limits that clients ask for, and what becomes of those that they have before their eyes (`docs/design/semantics.md
//! §3`).

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use tollgate::proto::v1;
use tollgate::proto::v1::LimitKind;

use super::PROVIDERS;
use crate::usage::model::window::{Calendar, Length, Micros};
use crate::usage::model::{Config, Limit};

const LENGTHS: [&str; 11] = ["1d", "2d", "1w", "2w", "1M", "3M", "1Q", "1Y", "7d", "30d", "2Y"];
const ALERTS: [&[i32]; 5] = [&[], &[], &[1_000, 50, 1], &[100], &[300, 95, 90]];
const CLOCK_LENGTHS: [&str; 4] = ["1h", "24h", "90m", "45s"];

/// Limits that a client asks for.
#[derive(Clone, Default)]
pub(super) struct Desired {
    pub(super) budgets: Vec<v1::Budget>,
    pub(super) rate_limits: Vec<v1::RateLimit>,
}

fn length(rng: &mut StdRng) -> String {
    let lengths = if rng.random_bool(0.7) { &LENGTHS[..] } else { &CLOCK_LENGTHS };
    lengths[rng.random_range(0..lengths.len())].to_owned()
}

/// A calendar, if any; of zones whose clocks are never set at midnight.
pub(super) fn calendar(rng: &mut StdRng) -> Option<Calendar> {
    let zones = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"];
    let zone = zones[rng.random_range(0..zones.len())];
    let calendar = Calendar { zone, first_day: rng.random_range(1..8), first_month: rng.random_range(1..13) };
    rng.random_bool(0.5).then_some(calendar)
}

/// A calendar as a client says it.
pub(super) fn said(calendar: Calendar) -> v1::Calendar {
    let Calendar { zone, first_day, first_month } = calendar;
    v1::Calendar {
        time_zone: zone.to_owned(),
        first_day_of_week: first_day.into(),
        first_month_of_year: first_month.into(),
    }
}

/// A length of a budget, which may never end.
fn budget_length(rng: &mut StdRng) -> String {
    if rng.random_bool(0.1) { "never".to_owned() } else { length(rng) }
}

fn alerts(rng: &mut StdRng) -> Vec<i32> {
    ALERTS[rng.random_range(0..ALERTS.len())].to_vec()
}

/// The thresholds of a limit that names these.
fn recorded(named: &[i32]) -> Vec<i32> {
    if named.is_empty() { vec![80, 90, 100] } else { named.to_vec() }
}

/// An increase for a while, and its end.
fn increase(rng: &mut StdRng, now: Micros) -> (f64, Option<prost_types::Timestamp>) {
    if rng.random_bool(0.7) {
        return (0.0, None);
    }
    let until = now + [3_600, 20_000, 86_400, 3_000_000][rng.random_range(0..4)] * 1_000_000;
    (f64::from(rng.random_range(1..60)) / 20_000.0, Some(time(until)))
}

fn time(at: Micros) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.rem_euclid(1_000_000) * 1_000).unwrap();
    prost_types::Timestamp { seconds: at.div_euclid(1_000_000), nanos }
}

fn nanos(usd: f64) -> i64 {
    (usd * 1e9).round() as i64
}

fn budget(rng: &mut StdRng, id: &str, reset_duration: String, now: Micros) -> v1::Budget {
    let max_limit = f64::from(rng.random_range(0..60)) / 20_000.0;
    let (temporary_increase, temporary_increase_until) = increase(rng, now);
    v1::Budget {
        id: id.to_owned(),
        max_limit,
        reset_duration,
        alert_percents: alerts(rng),
        temporary_increase,
        temporary_increase_until,
        ..Default::default()
    }
}

impl Desired {
    pub(super) fn new(rng: &mut StdRng, now: Micros) -> Self {
        Self::instead_of(rng, &[], now)
    }

    /// What a client asks for that has `old` before its eyes.
    pub(super) fn instead_of(rng: &mut StdRng, old: &[Limit], now: Micros) -> Self {
        let mut budgets = Vec::new();
        for limit in old.iter().filter(|limit| limit.kind == LimitKind::Budget) {
            let moved = rng.random_bool(0.3);
            let length = if moved { budget_length(rng) } else { limit.length.text.clone() };
            let mut entry = budget(rng, &limit.id, length, now);
            if rng.random_bool(0.6) {
                entry.max_limit = limit.max as f64 / 1e9;
            }
            // One that has ended may stay.
            if let Some((raised, until)) = limit.raised
                && rng.random_bool(0.5)
            {
                entry.temporary_increase = (raised - limit.max) as f64 / 1e9;
                entry.temporary_increase_until = Some(time(until));
            }
            match rng.random_range(0..10) {
                0..6 => budgets.push(entry),
                6..8 => budgets.push(v1::Budget { id: String::new(), ..entry }),
                _ => {}
            }
        }
        if rng.random_bool(if old.is_empty() { 0.7 } else { 0.2 }) {
            let length = budget_length(rng);
            budgets.push(budget(rng, "", length, now));
        }
        let mut rate_limits = Vec::new();
        let kept = rates(old).into_iter().filter(|_| rng.random_bool(0.85)).collect::<Vec<_>>();
        for old in kept.iter().map(Some).chain(rng.random_bool(if old.is_empty() { 0.7 } else { 0.2 }).then_some(None))
        {
            let [token, request] = old.map_or([None, None], |(_, dimensions)| *dimensions);
            let (token_max_limit, token_reset_duration) = dimension(rng, token, 20_000);
            let (request_max_limit, request_reset_duration) = dimension(rng, request, 40);
            let id = old.filter(|_| rng.random_bool(0.5)).map(|(id, _)| (*id).to_owned()).unwrap_or_default();
            let limit = v1::RateLimit {
                id,
                token_max_limit,
                token_reset_duration,
                request_max_limit,
                request_reset_duration,
                alert_percents: alerts(rng),
                ..Default::default()
            };
            if limit.token_max_limit.or(limit.request_max_limit).is_some() {
                rate_limits.push(limit);
            }
        }
        if rng.random_bool(0.2) {
            rate_limits.reverse();
        }
        Self { budgets, rate_limits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.budgets.is_empty() && self.rate_limits.is_empty()
    }

    /// These limits with the ids that the answer gives them, which must be those of `old` where they go on.
    pub(super) fn answered(
        &self,
        old: &[Limit],
        budgets: &[v1::Budget],
        rate_limits: &[v1::RateLimit],
        aligned: bool,
        at: Micros,
    ) -> Vec<Limit> {
        assert_eq!(budgets.len(), self.budgets.len());
        let mut limits = Vec::new();
        let mut add = |id: &str, kind, (max, raised), text: &str, alerts: &[i32]| {
            let (id, length, alerts) = (id.to_owned(), Length::new(text), recorded(alerts));
            let (anchor, calendar, counted) = (at, Calendar::STANDARD, Default::default());
            limits.push(Limit {
                id,
                kind,
                max,
                raised,
                length,
                anchor,
                aligned,
                calendar,
                alerts,
                counted,
                reset_at: None,
            });
        };
        let mut unclaimed: Vec<&Limit> = old.iter().filter(|it| it.kind == LimitKind::Budget).collect();
        unclaimed.retain(|limit| self.budgets.iter().all(|desired| desired.id != limit.id));
        for (desired, answered) in self.budgets.iter().zip(budgets) {
            let length = Length::new(&desired.reset_duration);
            let claimed = unclaimed.iter().position(|limit| limit.length.same(&length, aligned));
            let id = match claimed {
                _ if !desired.id.is_empty() => desired.id.clone(),
                Some(_) if unclaimed.iter().filter(|it| it.length.same(&length, aligned)).count() > 1 => {
                    answered.id.clone()
                }
                Some(index) => unclaimed.remove(index).id.clone(),
                None => {
                    assert!(old.iter().all(|limit| limit.id != answered.id), "a new budget has the id of an old one");
                    answered.id.clone()
                }
            };
            assert_eq!(answered.id, id, "a budget that is kept keeps its id");
            let max = nanos(desired.max_limit);
            let raised = desired.temporary_increase_until.map(|until| {
                let until = until.seconds * 1_000_000 + i64::from(until.nanos) / 1_000;
                (max + nanos(desired.temporary_increase), until)
            });
            add(&id, LimitKind::Budget, (max, raised), &desired.reset_duration, &desired.alert_percents);
        }
        assert_eq!(rate_limits.len(), self.rate_limits.len());
        let claimed = self.claimed(old, aligned);
        for ((desired, answered), claimed) in self.rate_limits.iter().zip(rate_limits).zip(claimed) {
            let id = &answered.id;
            match claimed {
                Some(claimed) => assert_eq!(*id, claimed, "a rate limit that is kept keeps its id"),
                None => assert!(old.iter().all(|it| it.id != *id), "a new rate limit has the id of an old one"),
            }
            if let (Some(max), Some(text)) = (desired.token_max_limit, &desired.token_reset_duration) {
                add(id, LimitKind::Tokens, (max, None), text, &desired.alert_percents);
            }
            if let (Some(max), Some(text)) = (desired.request_max_limit, &desired.request_reset_duration) {
                add(id, LimitKind::Requests, (max, None), text, &desired.alert_percents);
            }
        }
        limits
    }

    /// The rate limits of `old` that the desired ones take the place of: by id, then those of the same lengths, then in
    /// order.
    fn claimed(&self, old: &[Limit], aligned: bool) -> Vec<Option<String>> {
        let named = |id: &str| self.rate_limits.iter().any(|desired| desired.id == id);
        let mut unclaimed = rates(old);
        unclaimed.retain(|(id, _)| !named(id));
        let mut claimed: Vec<_> =
            self.rate_limits.iter().map(|desired| Some(desired.id.clone()).filter(|id| !id.is_empty())).collect();
        for alike_only in [true, false] {
            for (desired, claimed) in self.rate_limits.iter().zip(&mut claimed) {
                let lengths = [&desired.token_reset_duration, &desired.request_reset_duration];
                let alike = |dimensions: &[Option<&Limit>; 2]| {
                    dimensions.iter().zip(lengths).all(|(old, length)| match (old, length) {
                        (Some(old), Some(length)) => old.length.same(&Length::new(length), aligned),
                        (old, length) => old.is_none() && length.is_none(),
                    })
                };
                if claimed.is_none() {
                    let place = unclaimed.iter().position(|(_, dimensions)| !alike_only || alike(dimensions));
                    *claimed = place.map(|place| unclaimed.remove(place).0.to_owned());
                }
            }
        }
        claimed
    }
}

/// The rate limits among `limits`, each with its dimensions of tokens and of requests.
fn rates(limits: &[Limit]) -> Vec<(&str, [Option<&Limit>; 2])> {
    let mut rates: Vec<(&str, [Option<&Limit>; 2])> = Vec::new();
    for limit in limits.iter().filter(|limit| limit.kind != LimitKind::Budget) {
        let place = usize::from(limit.kind == LimitKind::Requests);
        match rates.iter_mut().find(|(id, _)| *id == limit.id) {
            Some((_, dimensions)) => dimensions[place] = Some(limit),
            None => {
                let mut dimensions = [None, None];
                dimensions[place] = Some(limit);
                rates.push((&limit.id, dimensions));
            }
        }
    }
    rates
}

/// One dimension of a rate limit that a client asks for who has `old` before its eyes.
fn dimension(rng: &mut StdRng, old: Option<&Limit>, most: i64) -> (Option<i64>, Option<String>) {
    if !rng.random_bool(if old.is_some() { 0.8 } else { 0.4 }) {
        return (None, None);
    }
    let kept = old.filter(|_| rng.random_bool(0.7));
    let length = kept.map_or_else(|| length(rng), |old| old.length.text.clone());
    let max = kept.filter(|_| rng.random_bool(0.6)).map_or_else(|| rng.random_range(0..most), |old| old.max);
    (Some(max), Some(length))
}

/// Provider configs that a client asks for who has `old` before its eyes, still without limits. Some leave the id out.
pub(super) fn configs(rng: &mut StdRng, old: &[Config], more: usize) -> Vec<v1::VirtualKeyProviderConfig> {
    let kept: Vec<_> = old.iter().filter(|_| rng.random_bool(0.85)).map(Some).collect();
    let mut configs: Vec<_> =
        kept.into_iter().chain(std::iter::repeat_n(None, more)).map(|old| config(rng, old)).collect();
    if rng.random_bool(0.2) {
        configs.reverse();
    }
    configs
}

fn config(rng: &mut StdRng, old: Option<&Config>) -> v1::VirtualKeyProviderConfig {
    let some = |rng: &mut StdRng, lists: &[&[&str]]| {
        lists.iter().choose(rng).unwrap().iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()
    };
    let allowed = old.filter(|_| rng.random_bool(0.5)).map(|old| old.allowed.clone());
    v1::VirtualKeyProviderConfig {
        id: old.filter(|_| rng.random_bool(0.5)).map_or(0, |old| old.id),
        provider: old.map_or_else(|| PROVIDERS[rng.random_range(0..2)].to_owned(), |old| old.provider.clone()),
        allowed_models: allowed.unwrap_or_else(|| some(rng, &[&["*"], &["gpt-4o"], &["openai/gpt-*", "o3"], &[]])),
        key_ids: some(rng, &[&["*"], &["*"], &[]]),
        blocked_models: some(rng, &[&[], &[], &["o3"], &["openai/gpt-4o"]]),
        ..Default::default()
    }
}

/// The provider configs of `old` that the asked ones take the place of: by id, then those with the same allow list at the
/// same provider, then those of the same provider in order.
pub(super) fn claimed(asked: &[v1::VirtualKeyProviderConfig], old: &[Config]) -> Vec<Option<i64>> {
    let mut unclaimed: Vec<&Config> = old.iter().filter(|old| asked.iter().all(|it| it.id != old.id)).collect();
    let mut claimed: Vec<_> = asked.iter().map(|asked| Some(asked.id).filter(|id| *id != 0)).collect();
    for alike_only in [true, false] {
        for (asked, claimed) in asked.iter().zip(&mut claimed).filter(|(_, claimed)| claimed.is_none()) {
            let alike = |old: &Config| old.allowed == asked.allowed_models || !alike_only;
            let place = unclaimed.iter().position(|old| old.provider == asked.provider && alike(old));
            *claimed = place.map(|place| unclaimed.remove(place).id);
        }
    }
    claimed
}
