//! Many model prices, changed in one revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::rules::check_exists;
use super::{Change, Context, Decision, MAX_CHANGES, Rules as _, State};
use crate::domain::{Error, Kind, ModelPrice, Path, Resource as _, ResourceKey, Stored};

/// Creates or replaces `desired`, no two of which have the same place, and deletes the prices from the source `pruned` that
/// are not among them. A price that is stored as it should be does not change.
///
/// # Errors
/// `MissingReferences` with each price whose provider does not exist; `ChangeTooLarge` if more than [`MAX_CHANGES`] prices would
/// change.
pub fn upsert_prices(
    state: &State,
    cx: &mut Context<'_>,
    desired: &[ModelPrice],
    pruned: Option<&str>,
) -> Result<Decision, Error> {
    let mut missing = Vec::new();
    for (index, price) in desired.iter().enumerate() {
        let list = Path::root("model_prices");
        check_exists(state, &price.provider, &list.index(index).field("provider"), &mut missing);
    }
    if !missing.is_empty() {
        return Err(Error::MissingReferences(missing));
    }
    let mut changes = Vec::new();
    for price in desired {
        let mut price = price.clone();
        price.settle(None, state, cx)?;
        let before = state.config().model_prices_at(&price.place()).first();
        let after = match before {
            Some(before) if before.resource == price => continue,
            Some(before) => cx.changed(before, price),
            None => Arc::new(Stored {
                id: cx.new_id(),
                revision: cx.revision,
                created_at: cx.committed_at,
                updated_at: cx.committed_at,
                resource: price,
            }),
        };
        let before = before.map(|before| ModelPrice::wrap(Arc::clone(before)));
        changes.push(Change { before, after: Some(ModelPrice::wrap(after)) });
    }
    if let Some(source) = pruned {
        let kept: BTreeSet<_> = desired.iter().map(ModelPrice::place).collect();
        let from_source = state.all::<ModelPrice>().filter(|it| *it.resource.source == *source);
        let gone = from_source.filter(|it| !kept.contains(&it.resource.place()));
        changes.extend(gone.map(|it| Change { before: Some(ModelPrice::wrap(Arc::clone(it))), after: None }));
    }
    if changes.len() > MAX_CHANGES {
        let what = "this batch of model prices".to_owned();
        return Err(Error::ChangeTooLarge { what, count: changes.len(), limit: MAX_CHANGES });
    }
    // A batch is about no price more than about the others; a decision without changes has no subject that is looked at.
    let subject = changes.first().map(Change::key);
    let subject = subject.unwrap_or_else(|| ResourceKey { kind: Kind::ModelPrice, id: "".into() });
    Ok(Decision::new(subject, changes))
}
