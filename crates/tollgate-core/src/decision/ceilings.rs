//! Ceilings of teams and customers, which hold for the keys below them (`docs/design/semantics.md §§4, 8`).

use super::{Caller, Verdict};
use crate::domain::ModelCeiling;

/// A customer or a team above a key.
struct Above<'a> {
    /// Its kind, as explanations have it.
    what: &'static str,
    name: &'a str,
    is_active: bool,
    ceiling: &'a ModelCeiling,
    /// The verdict on a request if it is not active.
    inactive: Verdict,
}

/// The customer of a caller and its team, as far as it has them.
fn above<'a>(caller: Caller<'a>) -> impl Iterator<Item = Above<'a>> {
    let customer = caller.customer.map(|customer| Above {
        what: "customer",
        name: &customer.resource.name,
        is_active: customer.resource.is_active,
        ceiling: &customer.resource.model_ceiling,
        inactive: Verdict::CustomerInactive,
    });
    let team = caller.team.map(|team| Above {
        what: "team",
        name: &team.resource.name,
        is_active: team.resource.is_active,
        ceiling: &team.resource.model_ceiling,
        inactive: Verdict::TeamInactive,
    });
    customer.into_iter().chain(team)
}

/// The verdict on the caller's requests, with its reason, if its customer or its team is not active.
pub(super) fn inactive(caller: Caller<'_>) -> Option<(Verdict, String)> {
    let Above { what, name, inactive, .. } = above(caller).find(|above| !above.is_active)?;
    Some((inactive, format!("{what} {name:?} is not active; set its is_active to let its keys work")))
}

/// Why the caller's customer or team forbids the provider, if one does.
pub(super) fn forbids_provider(caller: Caller<'_>, provider: &str) -> Option<String> {
    let Above { what, name, .. } = above(caller).find(|above| !above.ceiling.allows_provider(provider))?;
    Some(format!("{what} {name:?} forbids provider {provider:?}; see allowed_providers of its model_ceiling"))
}

/// Why the caller's customer or team forbids the model of the provider, if one does.
pub(super) fn forbids_model(caller: Caller<'_>, provider: &str, model: &str) -> Option<String> {
    let Above { what, name, .. } = above(caller).find(|above| !above.ceiling.allows_model(provider, model))?;
    let see = "see allowed_models and blocked_models of its model_ceiling";
    Some(format!("{what} {name:?} forbids model {model:?} of {provider:?}; {see}"))
}
