//! Budgets and rate limits.

use super::holding::{enforcement, reserve, reserved, said};
use super::text::{self, timestamp};
use super::{Form, increase, parse_timestamp, threshold};
use crate::domain::{
    Budget, Calendar, LimitOwner, Limits, NanoUsd, Path, RateDimension, RateLimit, Reserve, ResetDuration, Timestamp,
    Violations, Window,
};
use crate::proto::v1;

/// The desired limits of an owner.
pub(super) fn parse(
    budgets: Vec<v1::Budget>,
    rate_limits: Vec<v1::RateLimit>,
    calendar_aligned: bool,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Limits {
    let list = path.field("budgets");
    text::count(budgets.len(), &list, violations);
    let mut parsed: Vec<Budget> = Vec::with_capacity(budgets.len());
    for (index, message) in budgets.into_iter().enumerate() {
        let path = list.index(index);
        let Some(budget) = budget(message, calendar_aligned, &path, violations) else { continue };
        if let Some(other) =
            parsed.iter().find(|other| other.reset_duration.same(&budget.reset_duration, calendar_aligned))
        {
            let text = format!(
                "is {:?}, as long as {:?} of another budget; an owner has one budget of each length",
                budget.reset_duration.to_string(),
                other.reset_duration.to_string()
            );
            violations.add(path.field("reset_duration"), text);
        }
        parsed.push(budget);
    }
    let rate_limits = self::rate_limits(rate_limits, calendar_aligned, &path.field("rate_limits"), violations);
    Limits { budgets: parsed.into(), rate_limits: rate_limits.into() }
}

fn rate_limits(
    messages: Vec<v1::RateLimit>,
    calendar_aligned: bool,
    list: &Path<'_>,
    violations: &mut Violations,
) -> Vec<RateLimit> {
    text::count(messages.len(), list, violations);
    let mut parsed: Vec<RateLimit> = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let path = list.index(index);
        let Some(limit) = rate_limit(message, &path, violations) else { continue };
        if limit.concurrent.is_some() && parsed.iter().any(|other| other.concurrent.is_some()) {
            let text = "is set in another rate limit too; an owner has one limit on requests that are open at once";
            violations.add(path.field("concurrent_request_max_limit"), text);
        }
        for (of, field, what) in [
            (RateLimit::token as fn(&RateLimit) -> Option<&RateDimension>, "token_reset_duration", "LLM tokens"),
            (RateLimit::request, "request_reset_duration", "requests"),
        ] {
            let Some(length) = of(&limit).map(|dimension| &dimension.reset_duration) else { continue };
            let mut lengths = parsed.iter().filter_map(of).map(|dimension| &dimension.reset_duration);
            if let Some(other) = lengths.find(|other| other.same(length, calendar_aligned)) {
                let text = format!(
                    "is {:?}, as long as {:?} of another rate limit; an owner has one limit on {what} of each length",
                    length.to_string(),
                    other.to_string()
                );
                violations.add(path.field(field), text);
            }
        }
        parsed.push(limit);
    }
    parsed
}

fn budget(message: v1::Budget, calendar_aligned: bool, path: &Path<'_>, violations: &mut Violations) -> Option<Budget> {
    let field = path.field("max_limit");
    let max_limit = NanoUsd::limit_from_usd(message.max_limit);
    if max_limit.is_none() {
        let max = NanoUsd::MAX_USD;
        let text = format!(
            "is {}; must be 0 for a lock, or a number of US dollars of at least a nano-dollar (1e-9) and at most {max:e}",
            message.max_limit
        );
        violations.add(field, text);
    }
    // An entry with an id may come from an answer, where the flag is output only.
    if message.calendar_aligned && !calendar_aligned && message.id.is_empty() {
        let text = "is set, but alignment is a property of the owner; set calendar_aligned on the owner instead";
        violations.add(path.field("calendar_aligned"), text);
    }
    let id = text::bounded(&message.id, 128, false, &path.field("id"), violations);
    let alert_percents = threshold::parse(message.alert_percents, &path.field("alert_percents"), violations);
    let temporary_increase =
        increase::parse(message.temporary_increase, message.temporary_increase_until, path, violations);
    let field = path.field("reset_duration");
    let reset_duration = duration(&message.reset_duration, &field, true, violations)?;
    let enforcement = enforcement(message.enforcement, path, violations)?;
    let reserve = reserve(message.reserve, path, violations)?;
    let epoch = Timestamp::EPOCH;
    Some(Budget {
        id: id.as_ref().into(),
        max_limit: max_limit?,
        temporary_increase: temporary_increase.map(Box::new),
        reset_duration,
        enforcement,
        reserve,
        alert_percents,
        usage_reset_at: None,
        anchor: epoch,
        created_at: epoch,
        updated_at: epoch,
    })
}

fn rate_limit(message: v1::RateLimit, path: &Path<'_>, violations: &mut Violations) -> Option<RateLimit> {
    let is_empty = message.token_max_limit.is_none()
        && message.token_reset_duration.is_none()
        && message.request_max_limit.is_none()
        && message.request_reset_duration.is_none()
        && message.concurrent_request_max_limit.is_none();
    let concurrent = message.concurrent_request_max_limit;
    if let Some(max) = concurrent.filter(|max| *max < 0) {
        let text = format!("is {max}; must be at least 0, where 0 is a lock, or absent for no limit");
        violations.add(path.field("concurrent_request_max_limit"), text);
    }
    let mut dimension = |max: Option<i64>, length: Option<String>, [max_field, length_field]: [&str; 2]| {
        let (max_path, length_path) = (path.field(max_field), path.field(length_field));
        if let Some(max) = max
            && max < 0
        {
            violations
                .add(max_path, format!("is {max}; must be at least 0, where 0 is a lock, or absent for no limit"));
        }
        let parsed = length.as_deref().and_then(|text| duration(text, &length_path, false, violations));
        match (max, length.is_some()) {
            (Some(max_limit), true) => {
                Some(RateDimension { max_limit, reset_duration: parsed?, anchor: Timestamp::EPOCH })
            }
            (Some(_), false) => {
                violations.add(length_path, format!("is absent, but {max_field} is set; a limit needs its duration"));
                None
            }
            (None, true) => {
                violations.add(max_path, format!("is absent, but {length_field} is set; a duration needs its limit"));
                None
            }
            (None, false) => None,
        }
    };
    let token =
        dimension(message.token_max_limit, message.token_reset_duration, ["token_max_limit", "token_reset_duration"]);
    let request = dimension(
        message.request_max_limit,
        message.request_reset_duration,
        ["request_max_limit", "request_reset_duration"],
    );
    let id = text::bounded(&message.id, 128, false, &path.field("id"), violations);
    let alert_percents = threshold::parse(message.alert_percents, &path.field("alert_percents"), violations);
    if token.is_none() && request.is_none() {
        if is_empty {
            let text = "limits nothing; set token_max_limit, request_max_limit or concurrent_request_max_limit, or leave the \
                        entry out";
            violations.add(path, text);
        }
        concurrent?;
        if !alert_percents.are_usual() {
            let text = "is set, but nothing is recorded of requests that are open at once, which alone the entry limits; leave \
                        it out";
            violations.add(path.field("alert_percents"), text);
        }
    }
    let enforcement = enforcement(message.enforcement, path, violations)?;
    let reserve = reserve(message.reserve, path, violations)?;
    if reserve == Reserve::WorstCase && message.token_max_limit.is_none() {
        let text = "is WORST_CASE, but the entry does not limit LLM tokens, of which alone more or less is held; set \
                    token_max_limit, or leave it out";
        violations.add(path.field("reserve"), text);
    }
    let epoch = Timestamp::EPOCH;
    Some(RateLimit {
        id: id.as_ref().into(),
        token,
        request,
        concurrent,
        enforcement,
        reserve,
        alert_percents,
        usage_reset_at: None,
        created_at: epoch,
        updated_at: epoch,
    })
}

/// Takes over what a client cannot say of the limits that were parsed of the same messages.
pub(super) fn recall(
    limits: &mut Limits,
    budgets: &[v1::Budget],
    rate_limits: &[v1::RateLimit],
    path: &Path<'_>,
    violations: &mut Violations,
) {
    let list = path.field("budgets");
    for (index, (budget, message)) in limits.budgets.iter_mut().zip(budgets).enumerate() {
        let path = list.index(index);
        // The double of a large amount is not exact.
        budget.max_limit = NanoUsd::from_nanos(message.max_limit_nano_usd);
        if !(0..=NanoUsd::MAX.nanos()).contains(&message.max_limit_nano_usd) {
            violations.add(path.field("max_limit_nano_usd"), "is no amount that a budget may have");
        }
        if let Some(increase) = &mut budget.temporary_increase {
            increase.amount = NanoUsd::from_nanos(message.temporary_increase_nano_usd);
            if !(1..=NanoUsd::MAX.nanos()).contains(&message.temporary_increase_nano_usd) {
                let text = "is no amount that a budget may be raised by";
                violations.add(path.field("temporary_increase_nano_usd"), text);
            }
        }
        text::reference(&message.id, &path.field("id"), violations);
        budget.anchor = text::required_time(message.anchor, &path.field("anchor"), violations);
        budget.usage_reset_at = reset_at(message.usage_reset_at, &path, violations);
        budget.created_at = text::required_time(message.created_at, &path.field("created_at"), violations);
        budget.updated_at = text::required_time(message.updated_at, &path.field("updated_at"), violations);
    }
    let list = path.field("rate_limits");
    for (index, (limit, message)) in limits.rate_limits.iter_mut().zip(rate_limits).enumerate() {
        let path = list.index(index);
        text::reference(&message.id, &path.field("id"), violations);
        limit.created_at = text::required_time(message.created_at, &path.field("created_at"), violations);
        limit.updated_at = text::required_time(message.updated_at, &path.field("updated_at"), violations);
        limit.usage_reset_at = reset_at(message.usage_reset_at, &path, violations);
        for (dimension, anchor, field) in [
            (&mut limit.token, message.token_anchor, "token_anchor"),
            (&mut limit.request, message.request_anchor, "request_anchor"),
        ] {
            if let Some(dimension) = dimension {
                dimension.anchor = text::required_time(anchor, &path.field(field), violations);
            }
        }
    }
}

/// The length of a window. Only that of a budget `may_never_end`.
fn duration(text: &str, path: &Path<'_>, may_never_end: bool, violations: &mut Violations) -> Option<ResetDuration> {
    let duration = ResetDuration::parse(text).filter(|duration| may_never_end || !duration.is_never());
    if duration.is_none() {
        let shown: String = text.chars().take(64).collect();
        let never = if may_never_end { "; or \"never\"" } else { "" };
        violations.add(path, format!("is {shown:?}; must be {}{never}", ResetDuration::GRAMMAR));
    }
    duration
}

/// The limits of an owner as messages.
pub(super) fn render(
    limits: &Limits,
    owner: &LimitOwner,
    calendar: Option<&Calendar>,
    form: Form,
) -> (Vec<v1::Budget>, Vec<v1::RateLimit>) {
    let budgets = limits.budgets.iter().map(|budget| render_budget(budget, owner, calendar, form));
    let rate_limits = limits.rate_limits.iter().map(|limit| render_rate_limit(limit, owner, calendar, form));
    (budgets.collect(), rate_limits.collect())
}

/// A budget as a message. Its window follows the `calendar`, if there is one and its length can.
pub fn render_budget(budget: &Budget, owner: &LimitOwner, calendar: Option<&Calendar>, form: Form) -> v1::Budget {
    let window = window(budget.anchor, &budget.reset_duration, calendar, form);
    let increase = budget.temporary_increase.as_deref();
    let effective = match form {
        Form::Answer(now) => budget.effective_max_limit(now),
        Form::Stream | Form::Log => NanoUsd::default(),
    };
    v1::Budget {
        id: budget.id.to_string(),
        max_limit: budget.max_limit.usd(),
        max_limit_nano_usd: budget.max_limit.nanos(),
        temporary_increase: increase.map_or(0.0, |increase| increase.amount.usd()),
        temporary_increase_until: increase.map(|increase| timestamp(increase.until)),
        temporary_increase_nano_usd: increase.map_or(0, |increase| increase.amount.nanos()),
        effective_max_limit: effective.usd(),
        effective_max_limit_nano_usd: effective.nanos(),
        reset_duration: budget.reset_duration.to_string(),
        enforcement: said(budget.enforcement, form),
        reserve: reserved(budget.reserve, form),
        usage_reset_at: budget.usage_reset_at.as_deref().map(|at| timestamp(*at)),
        calendar_aligned: calendar.is_some() && budget.reset_duration.can_align(),
        current_usage: 0.0,
        current_usage_nano_usd: 0,
        last_reset: window.map(|window| timestamp(window.start)),
        next_reset: window.filter(Window::has_end).map(|window| timestamp(window.end)),
        anchor: window.is_none().then(|| timestamp(budget.anchor)),
        alert_percents: threshold::render(&budget.alert_percents, form),
        created_at: Some(timestamp(budget.created_at)),
        updated_at: Some(timestamp(budget.updated_at)),
        owner: Some(owner.into()),
    }
}

/// A rate limit as a message. Its windows follow the `calendar`, if there is one and their lengths can.
pub fn render_rate_limit(
    limit: &RateLimit,
    owner: &LimitOwner,
    calendar: Option<&Calendar>,
    form: Form,
) -> v1::RateLimit {
    let window = |dimension: &Option<RateDimension>| {
        let dimension = dimension.as_ref()?;
        window(dimension.anchor, &dimension.reset_duration, calendar, form)
    };
    let (token, request) = (window(&limit.token), window(&limit.request));
    let anchor = |dimension: &Option<RateDimension>| match form {
        Form::Answer(_) => None,
        Form::Stream | Form::Log => dimension.as_ref().map(|dimension| timestamp(dimension.anchor)),
    };
    let length = |dimension: &Option<RateDimension>| dimension.as_ref().map(|d| d.reset_duration.to_string());
    v1::RateLimit {
        id: limit.id.to_string(),
        token_max_limit: limit.token.as_ref().map(|dimension| dimension.max_limit),
        token_reset_duration: length(&limit.token),
        request_max_limit: limit.request.as_ref().map(|dimension| dimension.max_limit),
        request_reset_duration: length(&limit.request),
        token_current_usage: 0,
        token_last_reset: token.map(|window| timestamp(window.start)),
        token_next_reset: token.map(|window| timestamp(window.end)),
        request_current_usage: 0,
        request_last_reset: request.map(|window| timestamp(window.start)),
        request_next_reset: request.map(|window| timestamp(window.end)),
        token_anchor: anchor(&limit.token),
        request_anchor: anchor(&limit.request),
        concurrent_request_max_limit: limit.concurrent,
        concurrent_request_current_usage: 0,
        enforcement: said(limit.enforcement, form),
        reserve: match limit.token {
            Some(_) => reserved(limit.reserve, form),
            None => v1::Reserve::Unspecified.into(),
        },
        usage_reset_at: limit.usage_reset_at.as_deref().map(|at| timestamp(*at)),
        // Nothing is recorded of requests that are open at once.
        alert_percents: match limit.dimensions().next() {
            Some(_) => threshold::render(&limit.alert_percents, form),
            None => Vec::new(),
        },
        calendar_aligned: calendar.is_some()
            && limit.dimensions().next().is_some()
            && limit.dimensions().all(|dimension| dimension.reset_duration.can_align()),
        created_at: Some(timestamp(limit.created_at)),
        updated_at: Some(timestamp(limit.updated_at)),
        owner: Some(owner.into()),
    }
}

/// The window of an answer; the stream and the log carry the anchor instead.
fn window(anchor: Timestamp, duration: &ResetDuration, calendar: Option<&Calendar>, form: Form) -> Option<Window> {
    match form {
        Form::Answer(now) => Some(Window::at(anchor, duration, calendar, now)),
        Form::Stream | Form::Log => None,
    }
}

/// When usage was set to zero, if it was.
fn reset_at(
    time: Option<prost_types::Timestamp>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Box<Timestamp>> {
    optional_time(time, &path.field("usage_reset_at"), violations).map(Box::new)
}

/// The time of a client, if it gave one.
pub(super) fn optional_time(
    time: Option<prost_types::Timestamp>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    time.and_then(|time| parse_timestamp(&time, path, violations))
}
