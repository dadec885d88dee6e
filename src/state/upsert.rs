//! A resource that is to be there: created, or changed if one like it is there already.

use super::decide::refused_or;
use super::{Context, Decision, Reset, Rules, State, create, update};
use crate::domain::{Error, Kind, ResourceKey, Stored, Violations};

/// A resource that is to be there.
pub struct Desired<'a, R> {
    /// Its id or path, or the name of a kind whose name is the id; `None` if it is found by what it says of itself.
    pub id: Option<&'a str>,
    /// Whether the id is the name, so that it can be created with it.
    pub named_by_id: bool,
    /// The revision that it is expected to have, or 0.
    pub expected: i64,
    /// Whether it may be created only, and not be there already.
    pub is_new: bool,
    /// The resource as it describes itself, as far as that can be read: it is found by that.
    pub known_as: Option<&'a R>,
    /// The resource that is created if there is none like it.
    pub created: &'a dyn Fn() -> Result<R, Violations>,
}

/// Creates what is desired, or changes the resource that is like it into what `merge` makes of it.
///
/// # Errors
/// As in the module's description.
pub fn upsert<R: Rules>(
    state: &State,
    cx: &mut Context<'_>,
    desired: &Desired<'_, R>,
    merge: impl Fn(Option<&Stored<R>>) -> Result<R, Violations>,
) -> Result<Decision, Error> {
    let existing = match (desired.id, desired.known_as) {
        (Some(id), _) => {
            let found = state.find::<R>(id);
            if found.is_none() && !desired.named_by_id {
                return Err(refused_or(&merge, Error::NotFound { kind: R::KIND, id: id.into() }));
            }
            found
        }
        (None, Some(known_as)) => {
            let mut known_as = known_as.clone();
            known_as.share(state);
            known_as.like(state)?
        }
        (None, None) => None,
    };
    if let Some(existing) = existing {
        if desired.is_new {
            let by = if desired.id.is_some() && !desired.named_by_id { "id" } else { name_field(R::KIND) };
            return Err(refused_or(&merge, there_already(R::KIND, by, ResourceKey::of(&existing.id))));
        }
        return update(state, cx, existing.id.as_str(), desired.expected, Reset::default(), merge);
    }
    let resource = (desired.created)()?;
    if desired.expected != 0 {
        let key = ResourceKey { kind: R::KIND, id: desired.id.unwrap_or_default().into() };
        return Err(Error::RevisionMismatch { key, expected: desired.expected, actual: 0 });
    }
    create(state, cx, desired.id, &resource)
}

/// The field by which a resource of a kind is found without its id.
const fn name_field(kind: Kind) -> &'static str {
    match kind {
        Kind::ModelConfig => "model_name",
        Kind::ModelPrice => "model",
        _ => "name",
    }
}

/// A resource that was to be created is there: `field` tells what it has in common with the desired one.
pub fn there_already(kind: Kind, field: &str, holder: ResourceKey) -> Error {
    Error::AlreadyExists { field: format!("{kind}.{field}"), holder }
}
