//! Configuration as it was at an earlier revision.

use std::collections::HashMap;
use std::sync::Arc;

use super::apply::{Outcome, Working, alike, decided, fate, on_kind, rank};
use super::{Change, Children, Context, Decision, Rules, State, delete};
use crate::domain::{
    AnyResource, Customer, Error, Kind, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider, ResourceKey,
    RoutingRule, Stored, Team, Token, VirtualKey, Webhook,
};

/// Makes each of `resources` what it was, `None` if it was not there. Those that were deleted come back with their ids and
/// secrets, and with limits in which nothing is counted. Access tokens stay as they are: one that was revoked never works
/// again.
///
/// # Errors
/// As for single resources: what is missing, taken, or named by others.
pub fn roll_back(
    state: &State,
    cx: &mut Context<'_>,
    resources: &[(ResourceKey, Option<AnyResource>)],
) -> Result<Decision, Error> {
    let mut working = Working::new(state);
    let mut order: Vec<_> = resources.iter().filter(|(key, _)| key.kind != Kind::Token).collect();
    order.sort_by_key(|(key, _)| rank(key.kind));
    let mut changed = Vec::new();
    for (key, was) in &order {
        let (before, Some(was)) = (working.before(key), was) else { continue };
        let after = on_kind!(was, stored => again(stored, before.as_ref(), cx));
        if before.as_ref().is_some_and(|before| alike(before, &after)) {
            continue;
        }
        working.stage(&[Change { before, after: Some(after) }]);
        changed.push(key);
    }
    for (key, was) in order.iter().rev() {
        if was.is_none() && working.state.config().any(key).is_some() {
            let decision = end(&working.state, cx, key)?;
            working.stage(&decision.changes);
        }
    }
    let mut missing = Vec::new();
    for key in &changed {
        match working.check_references(key) {
            Err(Error::MissingReferences(mut found)) => missing.append(&mut found),
            other => other?,
        }
    }
    if !missing.is_empty() {
        return Err(Error::MissingReferences(missing));
    }
    for key in changed {
        working.check_free(key, cx)?;
    }
    let changes = working.net()?;
    let outcomes = changes.iter().map(|change| Outcome { key: change.key(), fate: fate(change) }).collect();
    Ok(decided(changes, outcomes))
}

/// The resource as it was, stored now. What was set to zero since stays so.
fn again<R: Rules>(was: &Stored<R>, before: Option<&AnyResource>, cx: &Context<'_>) -> AnyResource {
    let before = before.and_then(R::unwrap);
    let id = before.map_or_else(|| was.id.clone(), |before| before.id.clone());
    let (revision, updated_at) = (cx.revision, cx.committed_at);
    let mut again = Stored { id, revision, updated_at, ..was.clone() };
    if let Some(before) = before {
        keep_resets(&mut again.resource, &mut before.resource.clone());
    }
    R::wrap(Arc::new(again))
}

/// Gives limits the times at which the same limits of `living` were set to zero last.
fn keep_resets<R: Rules>(resource: &mut R, living: &mut R) {
    let mut resets = HashMap::new();
    for limits in living.limits_mut() {
        resets.extend(limits.budgets.iter_mut().map(|limit| (limit.id.clone(), limit.usage_reset_at.take())));
        resets.extend(limits.rate_limits.iter_mut().map(|limit| (limit.id.clone(), limit.usage_reset_at.take())));
    }
    for limits in resource.limits_mut() {
        let budgets = limits.budgets.iter_mut().map(|limit| (&limit.id, &mut limit.usage_reset_at));
        let rate_limits = limits.rate_limits.iter_mut().map(|limit| (&limit.id, &mut limit.usage_reset_at));
        for (id, usage_reset_at) in budgets.chain(rate_limits) {
            *usage_reset_at = resets.remove(id).unwrap_or_default();
        }
    }
}

/// Deletes what was not there, with what goes with it. What still belongs to it keeps it.
fn end(state: &State, cx: &mut Context<'_>, key: &ResourceKey) -> Result<Decision, Error> {
    fn of<R: Rules>(state: &State, cx: &mut Context<'_>, key: &ResourceKey) -> Result<Decision, Error> {
        delete::<R>(state, cx, &key.id, 0, Children::Refuse)
    }
    match key.kind {
        Kind::Customer => of::<Customer>(state, cx, key),
        Kind::Team => of::<Team>(state, cx, key),
        Kind::VirtualKey => of::<VirtualKey>(state, cx, key),
        Kind::RoutingRule => of::<RoutingRule>(state, cx, key),
        Kind::ModelConfig => of::<ModelConfig>(state, cx, key),
        Kind::ProviderGovernance => super::ungovern(state, &key.id, 0),
        Kind::PricingOverride => of::<PricingOverride>(state, cx, key),
        Kind::Provider => of::<Provider>(state, cx, key),
        Kind::McpClient => of::<McpClient>(state, cx, key),
        Kind::ModelPrice => of::<ModelPrice>(state, cx, key),
        Kind::Webhook => of::<Webhook>(state, cx, key),
        Kind::Token => of::<Token>(state, cx, key),
    }
}
