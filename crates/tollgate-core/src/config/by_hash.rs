//! Indexes that are only looked into, by the hash of what is looked for.

use std::cmp::Ordering;
use std::hash::{BuildHasher as _, Hash};
use std::ops::Bound;

use equivalent::Comparable;
use foldhash::fast::RandomState;
use imbl::OrdSet;

/// An index by the hash of keys that its values know themselves. Cloning is cheap.
///
/// A persistent hash map takes 150 bytes and more for an entry, whatever its size; an ordered set of hashes takes 30 beside
/// 16 bytes of value, and finds as fast. Several values may have one hash: the caller says which is meant.
#[derive(Clone)]
pub struct ByHash<V> {
    entries: OrdSet<Entry<V>>,
    hasher: RandomState,
}

/// Ordered by hash, then by value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry<V> {
    hash: u64,
    value: V,
}

/// Any entry with this hash.
struct With(u64);

impl<V> Comparable<Entry<V>> for With {
    fn compare(&self, entry: &Entry<V>) -> Ordering {
        self.0.cmp(&entry.hash)
    }
}

/// A place before all entries with this hash.
struct Before(u64);

impl<V> Comparable<Entry<V>> for Before {
    fn compare(&self, entry: &Entry<V>) -> Ordering {
        self.0.cmp(&entry.hash).then(Ordering::Less)
    }
}

impl<V> equivalent::Equivalent<Entry<V>> for With {
    fn equivalent(&self, entry: &Entry<V>) -> bool {
        self.0 == entry.hash
    }
}

impl<V> equivalent::Equivalent<Entry<V>> for Before {
    fn equivalent(&self, _: &Entry<V>) -> bool {
        false
    }
}

impl<V> Default for ByHash<V> {
    fn default() -> Self {
        Self { entries: OrdSet::new(), hasher: RandomState::default() }
    }
}

impl<V: Ord + Clone> ByHash<V> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All values, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// What `found` makes of the first value under `key` of which it makes something: it has to look whether the value is
    /// meant, since others may have the same hash.
    pub fn find<'a, K: Hash + ?Sized, T>(&'a self, key: &K, found: impl Fn(&'a V) -> Option<T>) -> Option<T> {
        let hash = self.hasher.hash_one(key);
        // Nearly always it is the only one with its hash. Of several, none may be met by this way.
        if let Some(it) = self.entries.get(&With(hash)).and_then(|entry| found(&entry.value)) {
            return Some(it);
        }
        let from = (Bound::Included(Before(hash)), Bound::Unbounded);
        let mut same = self.entries.range(from).take_while(|entry| entry.hash == hash);
        same.find_map(|entry| found(&entry.value))
    }

    /// All values whose keys have the hash of `key`: the caller says which are meant.
    pub fn alike<K: Hash + ?Sized>(&self, key: &K) -> impl Iterator<Item = &V> + use<'_, K, V> {
        let hash = self.hasher.hash_one(key);
        let from = (Bound::Included(Before(hash)), Bound::Unbounded);
        self.entries.range(from).take_while(move |entry| entry.hash == hash).map(|entry| &entry.value)
    }

    /// Adds `value` under `key`; an equal one that is there is replaced.
    pub fn insert<K: Hash + ?Sized>(&mut self, key: &K, value: V) {
        self.entries.insert(Entry { hash: self.hasher.hash_one(key), value });
    }

    /// Takes `value` from under `key`.
    pub fn remove<K: Hash + ?Sized>(&mut self, key: &K, value: V) {
        self.entries.remove(&Entry { hash: self.hasher.hash_one(key), value });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::Hasher;

    use proptest::prelude::*;

    use super::*;

    /// A key with few hashes.
    struct Few(u8);

    impl Hash for Few {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0 % 3).hash(state);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_has_the_same_hash_is_told_apart(steps in proptest::collection::vec((any::<bool>(), 0_u8..60), 0..120)) {
            let (mut index, mut model) = (ByHash::default(), BTreeSet::new());
            for (inserts, key) in steps {
                if inserts {
                    index.insert(&Few(key), key);
                    model.insert(key);
                } else {
                    index.remove(&Few(key), key);
                    model.remove(&key);
                }
                prop_assert_eq!(index.len(), model.len());
            }
            for key in 0..60 {
                let found = index.find(&Few(key), |value| (*value == key).then_some(*value));
                prop_assert_eq!(found, model.get(&key).copied());
            }
        }
    }
}
