//! The resources of one kind, with the indexes that lists need.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use super::by_hash::ByHash;
use super::{Facet, Indexed};
use crate::domain::{Id, Stored, Timestamp, resource_digest};

/// A resource and its encoding for the watch stream, made when it is first needed and shared by all streams.
pub struct Slot<R> {
    /// The resource.
    pub stored: Arc<Stored<R>>,
    /// Its encoding, filled by `watch`.
    pub encoded: OnceLock<Bytes>,
}

/// Ordered by id.
impl<R> Ord for Slot<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.stored.id.cmp(&other.stored.id)
    }
}

impl<R> PartialOrd for Slot<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> PartialEq for Slot<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R> Eq for Slot<R> {}

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
    by_id: ByHash<Arc<Slot<R>>>,
    by_name: ByHash<Id<R>>,
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
            by_id: ByHash::default(),
            by_name: ByHash::default(),
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
        self.len() == 0
    }

    /// The one with this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Slot<R>>> {
        self.by_id.find(id, |slot| (slot.stored.id.as_str() == id).then_some(slot))
    }

    /// The id of the one with this name.
    pub fn named(&self, name: &str) -> Option<&Id<R>> {
        let has = |id: &Id<R>| self.get(id.as_str()).is_some_and(|slot| R::unique_name(&slot.stored) == Some(name));
        self.by_name.find(name, |id| has(id).then_some(id))
    }

    /// All of them, by creation.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        self.by_creation.iter().filter_map(|(_, id)| self.get(id.as_str())).map(|slot| &slot.stored)
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

    /// Puts `after` in the place of `before`, and returns its slot.
    pub(super) fn replace(
        &mut self,
        before: Option<&Stored<R>>,
        after: Option<&Arc<Stored<R>>>,
    ) -> Option<Arc<Slot<R>>> {
        self.index_names(before, after.map(AsRef::as_ref));
        self.index_creation(before, after.map(AsRef::as_ref));
        self.index_facets(before, after.map(AsRef::as_ref));
        let digest = |stored: &Stored<R>| resource_digest(R::KIND.number(), stored.id.as_str(), stored.revision);
        self.digest = self.digest.wrapping_sub(before.map_or(0, digest)).wrapping_add(after.map_or(0, |it| digest(it)));
        match (before, after) {
            (_, Some(after)) => {
                let slot = Arc::new(Slot { stored: Arc::clone(after), encoded: OnceLock::new() });
                self.by_id.insert(after.id.as_str(), Arc::clone(&slot));
                Some(slot)
            }
            (Some(before), None) => {
                if let Some(slot) = self.get(before.id.as_str()).cloned() {
                    self.by_id.remove(before.id.as_str(), slot);
                }
                None
            }
            (None, None) => None,
        }
    }

    /// How many names, creations, facets of resources, and facets there are.
    #[cfg(test)]
    pub(super) fn indexed(&self) -> [usize; 4] {
        [self.by_name.len(), self.by_creation.len(), self.by_facet.len(), self.facets.len()]
    }

    fn index_names(&mut self, before: Option<&Stored<R>>, after: Option<&Stored<R>>) {
        let [had, has] = [before, after].map(|stored| stored.and_then(|it| Some((R::unique_name(it)?, &it.id))));
        if had == has {
            return;
        }
        if let Some((name, id)) = had {
            self.by_name.remove(name, id.clone());
        }
        if let Some((name, id)) = has {
            self.by_name.insert(name, id.clone());
        }
    }

    fn index_creation(&mut self, before: Option<&Stored<R>>, after: Option<&Stored<R>>) {
        let [had, has] = [before, after].map(|stored| stored.map(|it| (it.created_at, &it.id)));
        if had == has {
            return;
        }
        if let Some((created_at, id)) = had {
            self.by_creation.remove(&(created_at, id.clone()));
        }
        if let Some((created_at, id)) = has {
            self.by_creation.insert((created_at, id.clone()));
        }
    }

    fn index_facets(&mut self, before: Option<&Stored<R>>, after: Option<&Stored<R>>) {
        let [had, has] =
            [before, after].map(|stored| stored.map(|it| (it.created_at, &it.id, R::facets(&it.resource))));
        if had == has {
            return;
        }
        if let Some((created_at, id, facets)) = had {
            facets.into_iter().for_each(|facet| self.leave_facet(facet, created_at, id));
        }
        if let Some((created_at, id, facets)) = has {
            facets.into_iter().for_each(|facet| self.enter_facet(facet, created_at, id));
        }
    }

    fn enter_facet(&mut self, facet: Facet, created_at: Timestamp, id: &Id<R>) {
        let Having { number, count } = self.facets.get(&facet).copied().unwrap_or_else(|| {
            self.next_facet += 1;
            Having { number: self.next_facet, count: 0 }
        });
        self.facets.insert(facet, Having { number, count: count + 1 });
        self.by_facet.insert((number, created_at, id.clone()));
    }

    fn leave_facet(&mut self, facet: Facet, created_at: Timestamp, id: &Id<R>) {
        let Some(Having { number, count }) = self.facets.get(&facet).copied() else { return };
        match count {
            0 | 1 => self.facets.remove(&facet),
            count => self.facets.insert(facet, Having { number, count: count - 1 }),
        };
        self.by_facet.remove(&(number, created_at, id.clone()));
    }
}
