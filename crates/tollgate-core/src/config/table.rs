//! The resources of one kind.

use std::cmp::Ordering;
use std::sync::Arc;

use super::ByHash;
use crate::domain::{Resource, Stored, resource_digest};

/// All resources of one kind, by id.
#[derive(Clone)]
pub struct Table<R> {
    by_id: ByHash<ById<R>>,
    digest: u64,
}

/// A resource, ordered by its id.
struct ById<R>(Arc<Stored<R>>);

impl<R> Clone for ById<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R> Ord for ById<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl<R> PartialOrd for ById<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> PartialEq for ById<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R> Eq for ById<R> {}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { by_id: ByHash::default(), digest: 0 }
    }
}

impl<R: Resource> Table<R> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Stored<R>>> {
        self.by_id.find(id, |ById(stored)| (stored.id.as_str() == id).then_some(stored))
    }

    /// All of them, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        self.by_id.iter().map(|ById(stored)| stored)
    }

    /// The sum of their digests, modulo 2^64.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Puts `after` in the place of `before`, which is what the table has under this id.
    pub(super) fn replace(&mut self, before: Option<&Arc<Stored<R>>>, after: Option<&Arc<Stored<R>>>) {
        let digest = |stored: &Arc<Stored<R>>| resource_digest(R::KIND.number(), stored.id.as_str(), stored.revision);
        self.digest = self.digest.wrapping_sub(before.map_or(0, digest)).wrapping_add(after.map_or(0, digest));
        match (before, after) {
            (_, Some(after)) => self.by_id.insert(after.id.as_str(), ById(Arc::clone(after))),
            (Some(before), None) => self.by_id.remove(before.id.as_str(), ById(Arc::clone(before))),
            (None, None) => {}
        }
    }
}
