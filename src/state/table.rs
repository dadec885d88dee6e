//! The resources of one kind, with the indexes that lists need.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use super::{Facet, Indexed, Lookup};
use crate::domain::{Id, Stored, Timestamp, resource_digest};

/// A resource and its encoding for the watch stream, made when it is first needed and shared by all streams.
pub struct Slot<R> {
    /// The resource.
    pub stored: Arc<Stored<R>>,
    /// Its encoding, filled by `watch`.
    pub encoded: OnceLock<Bytes>,
}

/// A facet that some resource has.
#[derive(Clone, Copy)]
struct Having {
    /// Its number in `by_facet`; never used again.
    number: u64,
    /// How many have it.
    count: usize,
}

/// All resources of one kind.
#[derive(Clone)]
pub struct Table<R> {
    by_id: Lookup<Id<R>, Arc<Slot<R>>>,
    by_name: OrdMap<Box<str>, Id<R>>,
    by_creation: OrdSet<(Timestamp, Id<R>)>,
    /// By the number of the facet, because a facet is larger than all else of an entry.
    by_facet: OrdSet<(u64, Timestamp, Id<R>)>,
    facets: OrdMap<Facet, Having>,
    /// The number of the next facet that is new.
    next_facet: u64,
    digest: u64,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self {
            by_id: Lookup::default(),
            by_name: OrdMap::new(),
            by_creation: OrdSet::new(),
            by_facet: OrdSet::new(),
            facets: OrdMap::new(),
            next_facet: 0,
            digest: 0,
        }
    }
}

impl<R: Indexed> Table<R> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Slot<R>>> {
        self.by_id.get(id)
    }

    /// The id of the one with this name.
    pub fn named(&self, name: &str) -> Option<&Id<R>> {
        self.by_name.get(name)
    }

    /// All of them, by creation.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        self.by_creation.iter().filter_map(|(_, id)| self.by_id.get(id)).map(|slot| &slot.stored)
    }

    /// How many have this facet.
    pub fn facet_size(&self, facet: &Facet) -> usize {
        self.facets.get(facet).map_or(0, |having| having.count)
    }

    /// Those with this facet, by creation, after `after`.
    pub fn with_facet<'a>(
        &'a self,
        facet: &'a Facet,
        after: &(Timestamp, Id<R>),
    ) -> impl Iterator<Item = (Timestamp, &'a Id<R>)> + use<'a, R> {
        let number = self.facets.get(facet).map(|having| having.number);
        let walk = number.map(|number| {
            let start = (number, after.0, after.1.clone());
            self.by_facet
                .range((std::ops::Bound::Excluded(start), std::ops::Bound::Unbounded))
                .take_while(move |(other, _, _)| *other == number)
                .map(|(_, created_at, id)| (*created_at, id))
        });
        walk.into_iter().flatten()
    }

    /// All of them, by creation, after `after`.
    pub fn by_creation(&self, after: &(Timestamp, Id<R>)) -> impl Iterator<Item = (Timestamp, &Id<R>)> + use<'_, R> {
        self.by_creation
            .range((std::ops::Bound::Excluded(after.clone()), std::ops::Bound::Unbounded))
            .map(|(created_at, id)| (*created_at, id))
    }

    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn insert(&mut self, stored: Arc<Stored<R>>) {
        let id = stored.id.clone();
        if let Some(name) = R::unique_name(&stored) {
            self.by_name.insert(name.into(), id.clone());
        }
        self.by_creation.insert((stored.created_at, id.clone()));
        for facet in R::facets(&stored.resource) {
            let Having { number, count } = self.facets.get(&facet).copied().unwrap_or_else(|| {
                self.next_facet += 1;
                Having { number: self.next_facet, count: 0 }
            });
            self.facets.insert(facet, Having { number, count: count + 1 });
            self.by_facet.insert((number, stored.created_at, id.clone()));
        }
        self.digest = self.digest.wrapping_add(resource_digest(R::KIND.number(), id.as_str(), stored.revision));
        self.by_id.insert(id, Arc::new(Slot { stored, encoded: OnceLock::new() }));
    }

    pub(super) fn remove(&mut self, stored: &Stored<R>) {
        if let Some(name) = R::unique_name(stored)
            && self.by_name.get(name) == Some(&stored.id)
        {
            self.by_name.remove(name);
        }
        self.by_creation.remove(&(stored.created_at, stored.id.clone()));
        for facet in R::facets(&stored.resource) {
            let Some(Having { number, count }) = self.facets.get(&facet).copied() else { continue };
            match count {
                0 | 1 => self.facets.remove(&facet),
                count => self.facets.insert(facet, Having { number, count: count - 1 }),
            };
            self.by_facet.remove(&(number, stored.created_at, stored.id.clone()));
        }
        self.digest = self.digest.wrapping_sub(resource_digest(R::KIND.number(), stored.id.as_str(), stored.revision));
        self.by_id.remove(&stored.id);
    }
}
