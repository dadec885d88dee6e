//! The pricing overrides that match a model, found without looking at those that cannot, and the price of a model.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::counts::Counts;
use super::{Config, PricePlace};
use crate::domain::{Id, ModelPrice, Pattern, PricingOverride, PricingScope, Provider, Stored, Timestamp, bare_model};

type Entries = OrdMap<Entry, Arc<Stored<PricingOverride>>>;
type Entry = (PricingScope, Box<str>, Id<PricingOverride>);

/// The index of the overrides: by scope, then by the name or the beginning of the name of the model.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Index {
    exact: Entries,
    wildcard: Entries,
    /// How many overrides a scope has: most requests are in scopes that have none.
    scopes: Counts<PricingScope>,
}

impl Index {
    fn of(&mut self, pattern: &Pattern) -> &mut Entries {
        match pattern {
            Pattern::Exact(_) => &mut self.exact,
            Pattern::Wildcard(_) => &mut self.wildcard,
        }
    }

    pub(super) fn index(&mut self, stored: &Arc<Stored<PricingOverride>>) {
        self.of(&stored.resource.pattern).insert(entry(stored), Arc::clone(stored));
        self.scopes.index(&stored.resource.scope);
    }

    pub(super) fn unindex(&mut self, stored: &Stored<PricingOverride>) {
        self.of(&stored.resource.pattern).remove(&entry(stored));
        self.scopes.unindex(&stored.resource.scope);
    }
}

fn entry(stored: &Stored<PricingOverride>) -> Entry {
    let (Pattern::Exact(text) | Pattern::Wildcard(text)) = &stored.resource.pattern;
    (stored.resource.scope.clone(), text.clone(), stored.id.clone())
}

impl Config {
    /// The price of `model` at `provider` that holds at `at`: of those that hold, the one that holds since last.
    pub fn model_price(&self, provider: &str, model: &str, at: Timestamp) -> Option<&Arc<Stored<ModelPrice>>> {
        let place =
            |since| -> PricePlace { (Id::<Provider>::new(provider), bare_model(model, provider).into(), since) };
        let mut until_now = self.prices.range(place(None)..=place(Some(at)));
        std::iter::from_fn(|| until_now.next_back()).map(|(_, stored)| stored).find(|it| it.resource.holds_at(at))
    }

    /// The model price at this place.
    pub fn model_price_at(&self, place: &PricePlace) -> Option<&Arc<Stored<ModelPrice>>> {
        self.prices.get(place)
    }

    /// The overrides of `scope` whose pattern matches `model`: the exact ones, then the wildcards, the longest first.
    pub fn overrides_of<'a>(&'a self, scope: &PricingScope, model: &str) -> Vec<&'a Arc<Stored<PricingOverride>>> {
        let mut found = Vec::new();
        if !self.pricing.scopes.any(scope) {
            return found;
        }
        let mut take = |index: &'a Entries, text: &str| {
            let start = (scope.clone(), text.into(), Id::new(""));
            let walk = index.range((Bound::Included(start), Bound::Unbounded));
            let same = walk.take_while(|((other, other_text, _), _)| other == scope && other_text.as_ref() == text);
            found.extend(same.map(|(_, stored)| stored));
        };
        take(&self.pricing.exact, model);
        // Every pattern that is a prefix of the model sorts at or before it. Of the last one there, what it has in common
        // with the model is the longest that another prefix can be.
        let mut rest = model;
        loop {
            let end = (scope.clone(), rest.into(), Id::new("\u{10ffff}"));
            let last = self.pricing.wildcard.get_prev(&end).filter(|((other, ..), _)| other == scope);
            let Some(((_, text, _), _)) = last else { break };
            let common = common(rest, text);
            if common == text.len() {
                take(&self.pricing.wildcard, text);
                let Some((shorter, _)) = text.char_indices().next_back() else { break };
                rest = rest.get(..shorter).unwrap_or_default();
            } else {
                rest = rest.get(..common).unwrap_or_default();
            }
        }
        found
    }
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn common(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(one, _)| one.len_utf8()).sum()
}
