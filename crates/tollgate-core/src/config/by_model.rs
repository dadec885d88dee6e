//! What is for some models within a scope, found without looking at what is for others.

use std::hash::Hash;
use std::sync::Arc;

use imbl::OrdMap;

use super::Lookup;
use super::alike::{Alike, put, take};
use crate::domain::{ModelPattern, Stored};

/// Resources by the scope and the pattern of models that they are for.
#[derive(Clone, Debug)]
pub(super) struct ByModel<S, R>(Lookup<S, Patterns<R>>);

/// The resources of one scope.
#[derive(Clone, PartialEq, Debug)]
struct Patterns<R> {
    exact: OrdMap<Arc<str>, Alike<R>>,
    prefixes: OrdMap<Arc<str>, Alike<R>>,
}

impl<S, R> Default for ByModel<S, R> {
    fn default() -> Self {
        Self(Lookup::default())
    }
}

impl<S: Hash + Eq, R: PartialEq> PartialEq for ByModel<S, R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> Default for Patterns<R> {
    fn default() -> Self {
        Self { exact: OrdMap::new(), prefixes: OrdMap::new() }
    }
}

impl<R> Patterns<R> {
    fn alike(&mut self, pattern: ModelPattern<'_>) -> (&mut OrdMap<Arc<str>, Alike<R>>, Arc<str>) {
        match pattern {
            ModelPattern::Exact(name) => (&mut self.exact, name.into()),
            ModelPattern::Prefix(prefix) => (&mut self.prefixes, prefix.into()),
        }
    }
}

impl<S: Hash + Eq + Clone, R: Clone> ByModel<S, R> {
    pub(super) fn index(&mut self, scope: &S, pattern: ModelPattern<'_>, stored: &Arc<Stored<R>>) {
        let (map, text) = self.0.entry(scope.clone()).or_default().alike(pattern);
        put(map, text, stored);
    }

    pub(super) fn unindex(&mut self, scope: &S, pattern: ModelPattern<'_>, stored: &Stored<R>) {
        let Some(patterns) = self.0.get_mut(scope) else { return };
        let (map, text) = patterns.alike(pattern);
        take(map, text, stored);
        if patterns.exact.is_empty() && patterns.prefixes.is_empty() {
            self.0.remove(scope);
        }
    }

    /// The resources of exactly this pattern.
    pub(super) fn of(&self, scope: &S, pattern: ModelPattern<'_>) -> &[Arc<Stored<R>>] {
        let alike = self.0.get(scope).and_then(|patterns| match pattern {
            ModelPattern::Exact(name) => patterns.exact.get(name),
            ModelPattern::Prefix(prefix) => patterns.prefixes.get(prefix),
        });
        alike.map_or(&[], |alike| alike)
    }

    /// The resources whose pattern matches a model, given by [`bare_model`](crate::domain::bare_model): the exact ones,
    /// then those of prefixes, the longest first.
    pub(super) fn matching(&self, scope: &S, model: &str) -> Vec<&Arc<Stored<R>>> {
        let mut found = Vec::new();
        let Some(patterns) = self.0.get(scope) else { return found };
        found.extend(patterns.exact.get(model).into_iter().flat_map(|alike| alike.iter()));
        // Every prefix of the model sorts at or before it. Of the last one there, what it has in common with the model is the
        // longest that another prefix can be.
        let mut rest = model;
        while let Some((text, alike)) = patterns.prefixes.get_prev(rest) {
            let common = common(rest, text);
            if common < text.len() {
                rest = rest.get(..common).unwrap_or_default();
                continue;
            }
            found.extend(alike.iter());
            let Some((shorter, _)) = text.char_indices().next_back() else { break };
            rest = rest.get(..shorter).unwrap_or_default();
        }
        found
    }
}

/// How many bytes two texts have in common at their beginning, in whole characters.
fn common(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    same.map(|(one, _)| one.len_utf8()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Id, Timestamp};

    fn stored(id: u8, pattern: &str) -> Arc<Stored<String>> {
        let (created_at, updated_at) = (Timestamp::from_micros(0), Timestamp::from_micros(0));
        Arc::new(Stored {
            id: Id::new(id.to_string()),
            revision: 1,
            created_at,
            updated_at,
            resource: pattern.to_owned(),
        })
    }

    /// What a look at each of them finds, in the order that is promised.
    fn scanned<'a>(all: &'a [(u8, Arc<Stored<String>>)], scope: u8, model: &str) -> Vec<&'a Arc<Stored<String>>> {
        let matches = |pattern: &str| ModelPattern::of(pattern, "").matches(model);
        let there = all.iter().filter(|(other, it)| *other == scope && matches(&it.resource));
        let mut found: Vec<_> = there.map(|(_, it)| it).collect();
        found.sort_by_key(|it| match ModelPattern::of(&it.resource, "") {
            ModelPattern::Exact(_) => (0, 0, it.id.clone()),
            ModelPattern::Prefix(prefix) => (1, usize::MAX - prefix.len(), it.id.clone()),
        });
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_index_finds_what_a_look_at_each_finds(
            steps in vec((0..20_u8, 0..2_u8, "[abü]{0,4}\\*?"), 0..60),
            models in vec("[abü]{0,5}", 1..20),
        ) {
            let (mut index, mut all) = (ByModel::<u8, String>::default(), Vec::<(u8, Arc<Stored<String>>)>::new());
            for (id, scope, pattern) in steps {
                // What is there goes; what is not comes.
                match all.iter().position(|(_, it)| it.id.as_str() == id.to_string()) {
                    Some(place) => {
                        let (scope, it) = all.swap_remove(place);
                        index.unindex(&scope, ModelPattern::of(&it.resource, ""), &it);
                    }
                    None => {
                        let it = stored(id, &pattern);
                        index.index(&scope, ModelPattern::of(&pattern, ""), &it);
                        all.push((scope, it));
                    }
                }
            }
            for (scope, model) in (0..2).flat_map(|scope| models.iter().map(move |model| (scope, model))) {
                prop_assert_eq!(index.matching(&scope, model), scanned(&all, scope, model), "{}", model);
            }
            for (scope, it) in std::mem::take(&mut all) {
                index.unindex(&scope, ModelPattern::of(&it.resource, ""), &it);
            }
            prop_assert_eq!(index, ByModel::default(), "nothing is left of what is gone");
        }
    }
}
