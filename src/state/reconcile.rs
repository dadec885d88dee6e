//! How the limits that a client asks for become limits that are stored (`docs/design/semantics.md §3`).

use super::Context;
use crate::domain::{Budget, Limits, Path, RateDimension, RateLimit, Violations};

/// Completes the desired limits of an owner, given those it has: an entry with an id changes that budget in place;
/// one without takes the unclaimed budget of the same length, or is new; what nobody claims is gone. A dimension
/// of the rate limit that is kept keeps its window.
pub(super) fn settle_limits(
    desired: &mut Limits,
    before: Option<&Limits>,
    calendar_aligned: bool,
    path: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let existing = before.map_or(&[][..], |limits| &limits.budgets);
    settle_budgets(&mut desired.budgets, existing, calendar_aligned, path, violations, cx);
    let existing = before.and_then(|limits| limits.rate_limit.as_deref());
    if let Some(rate_limit) = &mut desired.rate_limit {
        settle_rate_limit(rate_limit, existing, cx);
    }
}

fn settle_budgets(
    desired: &mut [Budget],
    existing: &[Budget],
    calendar_aligned: bool,
    path: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let mut unclaimed: Vec<&Budget> = existing.iter().collect();
    let mut claim = |matches: &dyn Fn(&Budget) -> bool| {
        unclaimed.iter().position(|budget| matches(budget)).map(|index| unclaimed.swap_remove(index))
    };
    // Entries with ids claim first, wherever they stand in the list.
    let by_id: Vec<Option<&Budget>> = desired
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            if entry.id.is_none() {
                return None;
            }
            let found = claim(&|budget| budget.id == entry.id);
            if found.is_none() {
                let twice = desired[..index].iter().any(|other| other.id == entry.id);
                let what = if twice { "is named twice" } else { "is not the id of a budget of this owner" };
                let list = path.field("budgets");
                let item = list.index(index);
                violations.add(item.field("id"), format!("{what}; leave the id out for a new budget"));
            }
            found
        })
        .collect();
    for (entry, by_id) in desired.iter_mut().zip(by_id) {
        let found = match by_id {
            None if entry.id.is_none() => {
                claim(&|budget| budget.reset_duration.same(&entry.reset_duration, calendar_aligned))
            }
            found => found,
        };
        match found {
            Some(budget) => {
                entry.id = budget.id.clone();
                entry.anchor = budget.anchor;
                entry.created_at = budget.created_at;
                entry.updated_at = budget.updated_at;
                if entry != budget {
                    entry.updated_at = cx.committed_at;
                }
            }
            None => {
                entry.id = cx.new_limit_id();
                entry.anchor = cx.now;
                entry.created_at = cx.committed_at;
                entry.updated_at = cx.committed_at;
            }
        }
    }
}

fn settle_rate_limit(desired: &mut RateLimit, existing: Option<&RateLimit>, cx: &mut Context<'_>) {
    let settle = |desired: &mut Option<RateDimension>, existing: Option<&RateDimension>| {
        if let Some(dimension) = desired {
            dimension.anchor = existing.map_or(cx.now, |existing| existing.anchor);
        }
    };
    settle(&mut desired.token, existing.and_then(|limit| limit.token.as_ref()));
    settle(&mut desired.request, existing.and_then(|limit| limit.request.as_ref()));
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
