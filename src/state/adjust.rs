//! Corrections of what limits have counted.

use std::sync::Arc;

use tollgate_core::config::LimitPlace;
use tollgate_core::counters::Adjustment;

use super::{Change, Context, Decision, Rules, State};
use crate::domain::{
    Customer, Error, Id, LimitId, LimitKind, ModelConfig, Path, Provider, ProviderGovernance, Team, Violations,
    VirtualKey,
};

/// Adds `delta` to what a limit has counted in its current window, which never falls below 0. The owner changes with it, so
/// that the correction is audited; what changes nothing is none.
///
/// # Errors
/// `Invalid` if the limit does not count `kind`, or cannot count so much; `NoLimit`.
pub fn adjust(
    state: &State,
    cx: &Context<'_>,
    limit_id: &LimitId,
    kind: LimitKind,
    delta: i64,
    reason: &str,
) -> Result<Decision, Error> {
    let no_limit = || Error::NoLimit(limit_id.to_string().into());
    let (place, ..) = state.config().limit_place(limit_id).ok_or_else(no_limit)?;
    let mut violations = Violations::new();
    let counts = state.config().limit(limit_id, kind).filter(|limit| limit.kind != LimitKind::Concurrency);
    let Some(limit) = counts else {
        violations.add(Path::root("kind"), "is no unit that this limit counts; name one that it has a ceiling for");
        return Err(violations.into());
    };
    let key = limit.counter(cx.now);
    let before = state.usage().get(&key).used;
    let Some(used) = before.checked_add(delta) else {
        violations.add(Path::root("delta"), "would overflow what the limit can count; adjust by less");
        return Err(violations.into());
    };
    let used = used.max(0);
    let change = match &place {
        LimitPlace::Customer(id) => touch::<Customer>(state, cx, id),
        LimitPlace::Team(id) => touch::<Team>(state, cx, id),
        LimitPlace::VirtualKey(id) | LimitPlace::ProviderConfig(id, _) => touch::<VirtualKey>(state, cx, id),
        LimitPlace::ModelConfig(id) => touch::<ModelConfig>(state, cx, id),
        LimitPlace::ProviderGovernance(id) => touch::<ProviderGovernance>(state, cx, id),
        LimitPlace::ProviderKey(id, _) => touch::<Provider>(state, cx, id),
    };
    let change = change.ok_or_else(no_limit)?;
    let (subject, changes) = (change.key(), if used == before { Vec::new() } else { vec![change] });
    let adjustment = Some(Adjustment { key, delta, before, used, reason: reason.into() });
    Ok(Decision { adjustment, ..Decision::new(subject, changes) })
}

/// The resource changed into itself, by a revision.
fn touch<R: Rules>(state: &State, cx: &Context<'_>, id: &Id<R>) -> Option<Change> {
    let before = state.config().get::<R>(id.as_str())?;
    let after = R::wrap(cx.changed(before, before.resource.clone()));
    Some(Change { before: Some(R::wrap(Arc::clone(before))), after: Some(after) })
}
