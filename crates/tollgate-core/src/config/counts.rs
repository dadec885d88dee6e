//! How many resources there are of each sort, so that a look-up of what most requests have none of ends at once.

use std::hash::Hash;

use super::Lookup;

/// Counts by `K`; what is not there counts 0.
#[derive(Clone, Debug)]
pub(super) struct Counts<K>(Lookup<K, usize>);

impl<K: Hash + Eq> PartialEq for Counts<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Lookup::default())
    }
}

impl<K: Clone + Eq + Hash> Counts<K> {
    pub(super) fn any(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn index(&mut self, key: &K) {
        *self.0.entry(key.clone()).or_insert(0) += 1;
    }

    pub(super) fn unindex(&mut self, key: &K) {
        match self.0.get_mut(key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(key)),
        }
    }
}
