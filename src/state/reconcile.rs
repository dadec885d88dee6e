//! How the limits that a client asks for become limits that are stored (`docs/design/semantics.md §3`).

use super::Context;
use crate::domain::{Budget, LimitId, Limits, Path, RateDimension, RateLimit, ResetDuration, Violations};

/// Completes the desired limits of an owner, given those it has: an entry with an id changes that limit in place; one
/// without takes an unclaimed one that is like it, or is new; what nobody claims is gone. What is kept of a limit keeps
/// its window.
pub(super) fn settle_limits(
    desired: &mut Limits,
    before: Option<&Limits>,
    calendar_aligned: bool,
    path: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let (budgets, rate_limits) = before.map_or_else(Default::default, |it| (&it.budgets[..], &it.rate_limits[..]));
    let same = |one: &ResetDuration, other: &ResetDuration| one.same(other, calendar_aligned);

    let list = path.field("budgets");
    let alike = |entry: &Budget, other: &Budget| same(&entry.reset_duration, &other.reset_duration);
    let claimed = claim(&desired.budgets, budgets, |it| &it.id, &[&alike], (&list, "budget"), violations);
    for ((index, entry), existing) in desired.budgets.iter_mut().enumerate().zip(claimed) {
        let (new, old) = (&entry.temporary_increase, existing.map(|existing| &existing.temporary_increase));
        if let Some(increase) = new
            && old != Some(new)
            && increase.until <= cx.now
        {
            let text = format!("is {}, which is not in the future; leave the increase out to end it", increase.until);
            violations.add(list.index(index).field("temporary_increase_until"), text);
        }
        settle_budget(entry, existing, cx);
    }

    let list = path.field("rate_limits");
    let equal = |one: Option<&RateDimension>, other: Option<&RateDimension>| match (one, other) {
        (Some(one), Some(other)) => same(&one.reset_duration, &other.reset_duration),
        (one, other) => one.is_none() && other.is_none(),
    };
    let alike = |entry: &RateLimit, other: &RateLimit| {
        equal(entry.token(), other.token()) && equal(entry.request(), other.request())
    };
    let passes: [Pass<'_, RateLimit>; 2] = [&alike, &|_, _| true];
    let claimed = claim(&desired.rate_limits, rate_limits, |it| &it.id, &passes, (&list, "rate limit"), violations);
    for (entry, existing) in desired.rate_limits.iter_mut().zip(claimed) {
        settle_rate_limit(entry, existing, cx);
    }
}

/// Whether a desired entry without an id may take an existing one.
type Pass<'a, L> = &'a dyn Fn(&L, &L) -> bool;

/// For each desired entry the existing one that it takes the place of. Entries with ids claim first, wherever they stand
/// in the list; of the others in each pass those that are left, in order.
fn claim<'a, L>(
    desired: &[L],
    existing: &'a [L],
    id: impl Fn(&L) -> &LimitId,
    passes: &[Pass<'_, L>],
    (list, what): (&Path<'_>, &str),
    violations: &mut Violations,
) -> Vec<Option<&'a L>> {
    let mut unclaimed: Vec<&L> = existing.iter().collect();
    let mut claim = |matches: &dyn Fn(&L) -> bool| {
        unclaimed.iter().position(|other| matches(other)).map(|place| unclaimed.remove(place))
    };
    let mut claimed = Vec::with_capacity(desired.len());
    for (index, entry) in desired.iter().enumerate() {
        let named = !id(entry).is_none();
        let found = if named { claim(&|other| id(other) == id(entry)) } else { None };
        if named && found.is_none() {
            let twice = desired.iter().take(index).any(|other| id(other) == id(entry));
            let why =
                if twice { "is named twice".to_owned() } else { format!("is not the id of a {what} of this owner") };
            violations.add(list.index(index).field("id"), format!("{why}; leave the id out for a new {what}"));
        }
        claimed.push(found);
    }
    for pass in passes {
        for (entry, claimed) in desired.iter().zip(&mut claimed) {
            if claimed.is_none() && id(entry).is_none() {
                *claimed = claim(&|other| pass(entry, other));
            }
        }
    }
    claimed
}

fn settle_budget(desired: &mut Budget, existing: Option<&Budget>, cx: &mut Context<'_>) {
    match existing {
        Some(existing) => {
            desired.id = existing.id.clone();
            desired.anchor = existing.anchor;
            desired.created_at = existing.created_at;
            desired.updated_at = existing.updated_at;
            if desired != existing {
                desired.updated_at = cx.committed_at;
            }
        }
        None => {
            desired.id = cx.new_limit_id();
            desired.anchor = cx.now;
            desired.created_at = cx.committed_at;
            desired.updated_at = cx.committed_at;
        }
    }
}

fn settle_rate_limit(desired: &mut RateLimit, existing: Option<&RateLimit>, cx: &mut Context<'_>) {
    let settle = |desired: &mut Option<RateDimension>, existing: Option<&RateDimension>| {
        if let Some(dimension) = desired {
            dimension.anchor = existing.map_or(cx.now, |existing| existing.anchor);
        }
    };
    settle(&mut desired.token, existing.and_then(RateLimit::token));
    settle(&mut desired.request, existing.and_then(RateLimit::request));
    match existing {
        Some(existing) => {
            desired.id = existing.id.clone();
            desired.created_at = existing.created_at;
            desired.updated_at = existing.updated_at;
            if desired != existing {
                desired.updated_at = cx.committed_at;
            }
        }
        None => {
            desired.id = cx.new_limit_id();
            desired.created_at = cx.committed_at;
            desired.updated_at = cx.committed_at;
        }
    }
}
