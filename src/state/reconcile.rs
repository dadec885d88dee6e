//! How the parts that a client asks for become parts that are stored: limits, and what a key may do with providers and MCP
//! clients (`docs/design/semantics.md §§3, 4`).

use super::Context;
use crate::domain::{
    Budget, LimitId, Limits, McpConfig, Path, Provider, ProviderConfig, ProviderKey, RateDimension, RateLimit,
    ResetDuration, Violations,
};

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
    let claimed = claim(&desired.budgets, budgets, &[&alike], &list, violations);
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
        equal(entry.token(), other.token())
            && equal(entry.request(), other.request())
            && entry.concurrent.is_some() == other.concurrent.is_some()
    };
    let passes: [Pass<'_, RateLimit>; 2] = [&alike, &|_, _| true];
    let claimed = claim(&desired.rate_limits, rate_limits, &passes, &list, violations);
    for (entry, existing) in desired.rate_limits.iter_mut().zip(claimed) {
        settle_rate_limit(entry, existing, cx);
    }
}

/// Completes the desired provider configs of a key, given those it has. One that is kept keeps its id, and so what was used
/// of its limits.
pub(super) fn settle_provider_configs(
    desired: &mut [ProviderConfig],
    before: &[ProviderConfig],
    calendar_aligned: bool,
    list: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let same = |entry: &ProviderConfig, other: &ProviderConfig| entry.provider == other.provider;
    let alike = |entry: &ProviderConfig, other: &ProviderConfig| {
        same(entry, other) && entry.allowed_models == other.allowed_models
    };
    let claimed = claim(desired, before, &[&alike, &same], list, violations);
    for (index, (entry, existing)) in desired.iter_mut().zip(claimed).enumerate() {
        let limits = existing.map(|existing| &existing.limits);
        settle_limits(&mut entry.limits, limits, calendar_aligned, &list.index(index), violations, cx);
        entry.id = existing.map_or_else(|| cx.new_config_id(), |existing| existing.id);
    }
}

/// Completes the desired keys of a provider, given those it has. Their ids are the client's: one without an id takes the place of
/// a key with its name that no other takes, and so keeps what was used of its limits, or is new.
pub(super) fn settle_provider_keys(
    desired: &mut [ProviderKey],
    before: &[ProviderKey],
    calendar_aligned: bool,
    list: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let mut unclaimed: Vec<&ProviderKey> =
        before.iter().filter(|existing| desired.iter().all(|entry| entry.id != existing.id)).collect();
    for (index, entry) in desired.iter_mut().enumerate() {
        let existing = match entry.id.is_empty() {
            true => unclaimed.iter().position(|it| it.name == entry.name).map(|place| unclaimed.remove(place)),
            false => before.iter().find(|existing| existing.id == entry.id),
        };
        let limits = existing.map(|existing| &existing.limits);
        settle_limits(&mut entry.limits, limits, calendar_aligned, &list.index(index), violations, cx);
        if entry.id.is_empty() {
            let new_id = || cx.new_id::<Provider>().as_str().into();
            entry.id = existing.map_or_else(new_id, |existing| existing.id.clone());
        }
    }
}

/// Completes the desired MCP configs of a key, given those it has.
pub(super) fn settle_mcp_configs(
    desired: &mut [McpConfig],
    before: &[McpConfig],
    list: &Path<'_>,
    violations: &mut Violations,
    cx: &mut Context<'_>,
) {
    let same = |entry: &McpConfig, other: &McpConfig| entry.mcp_client == other.mcp_client;
    let claimed = claim(desired, before, &[&same], list, violations);
    for (entry, existing) in desired.iter_mut().zip(claimed) {
        entry.id = existing.map_or_else(|| cx.new_config_id(), |existing| existing.id);
    }
}

/// A part of a resource, in a list that a client sends whole.
trait Part {
    type Id: PartialEq;
    /// The name that messages give it.
    const WHAT: &'static str;

    /// Its id; `None` in a desired state that leaves it out.
    fn id(&self) -> Option<&Self::Id>;
}

impl Part for Budget {
    type Id = LimitId;
    const WHAT: &'static str = "budget";

    fn id(&self) -> Option<&LimitId> {
        (!self.id.is_none()).then_some(&self.id)
    }
}

impl Part for RateLimit {
    type Id = LimitId;
    const WHAT: &'static str = "rate limit";

    fn id(&self) -> Option<&LimitId> {
        (!self.id.is_none()).then_some(&self.id)
    }
}

impl Part for ProviderConfig {
    type Id = i64;
    const WHAT: &'static str = "provider config";

    fn id(&self) -> Option<&i64> {
        (self.id != 0).then_some(&self.id)
    }
}

impl Part for McpConfig {
    type Id = i64;
    const WHAT: &'static str = "MCP config";

    fn id(&self) -> Option<&i64> {
        (self.id != 0).then_some(&self.id)
    }
}

/// Whether a desired part without an id may take the place of an existing one.
type Pass<'a, P> = &'a dyn Fn(&P, &P) -> bool;

/// For each desired part the existing one that it takes the place of. Parts with ids claim first, wherever they stand in
/// the list; of the others in each pass those that are left, in order.
fn claim<'a, P: Part>(
    desired: &[P],
    existing: &'a [P],
    passes: &[Pass<'_, P>],
    list: &Path<'_>,
    violations: &mut Violations,
) -> Vec<Option<&'a P>> {
    let mut unclaimed: Vec<&P> = existing.iter().collect();
    let mut claim = |matches: &dyn Fn(&P) -> bool| {
        unclaimed.iter().position(|other| matches(other)).map(|place| unclaimed.remove(place))
    };
    let mut claimed = Vec::with_capacity(desired.len());
    for (index, part) in desired.iter().enumerate() {
        let found = part.id().and_then(|id| claim(&|other| other.id() == Some(id)));
        if found.is_none() && part.id().is_some() {
            let (twice, what) = (desired.iter().take(index).any(|other| other.id() == part.id()), P::WHAT);
            let why =
                if twice { "is named twice".to_owned() } else { format!("is not the id of a {what} of this owner") };
            violations.add(list.index(index).field("id"), format!("{why}; leave the id out for a new {what}"));
        }
        claimed.push(found);
    }
    for pass in passes {
        for (part, claimed) in desired.iter().zip(&mut claimed) {
            if claimed.is_none() && part.id().is_none() {
                *claimed = claim(&|other| pass(part, other));
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
            desired.usage_reset_at = existing.usage_reset_at.clone();
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
            if desired.dimensions().next().is_some() {
                desired.usage_reset_at = existing.usage_reset_at.clone();
            }
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
