//! The first resources of a store.

use super::{Context, Decision, State, create, upsert_prices};
use crate::domain::{BUILT_IN, Error, Id, ModelPrice, Provider, ResourceKey};

impl State {
    /// The built-in providers that are not there.
    pub fn missing_providers(&self) -> impl Iterator<Item = &'static str> {
        BUILT_IN.into_iter().filter(|name| self.config().get::<Provider>(name).is_none())
    }
}

/// Creates the built-in providers that are missing and, in a store that has no revision yet, `prices` of their models.
///
/// # Errors
/// `MissingReferences` with each price whose provider is not built in.
pub fn furnish(state: &State, cx: &mut Context<'_>, prices: &[ModelPrice]) -> Result<Decision, Error> {
    let (mut changes, mut furnished) = (Vec::new(), state.clone());
    for name in state.missing_providers() {
        changes.extend(create(state, cx, Some(name), &Provider { built_in: true, ..Provider::default() })?.changes);
    }
    if state.revision() == 0 {
        // A price names its provider.
        changes.iter().filter_map(|change| change.after.as_ref()).for_each(|provider| furnished.put(provider));
        changes.extend(upsert_prices(&furnished, cx, prices, None)?.changes);
    }
    Ok(Decision::new(ResourceKey::of(&Id::<Provider>::new(BUILT_IN[0])), changes))
}
