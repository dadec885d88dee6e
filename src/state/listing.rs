//! What lists and names are found by, for the resources of one kind.

use imbl::{OrdMap, OrdSet};
use tollgate_core::config::{ByHash, Config};

use super::{Facet, Listed, Name};
use crate::domain::{Id, Stored, Timestamp};

/// A facet that some resource has.
#[derive(Clone, Copy)]
struct Having {
    /// Its number in `by_facet`; never used again.
    number: u64,
    /// How many have it.
    count: usize,
}

/// The indexes of one kind that no decision needs.
#[derive(Clone)]
pub struct Listing<R> {
    by_name: ByHash<Id<R>>,
    by_creation: OrdSet<(Timestamp, Id<R>)>,
    /// By the number of the facet, because a facet is larger than all else of an entry.
    by_facet: OrdSet<(u64, Timestamp, Id<R>)>,
    facets: OrdMap<Facet, Having>,
    /// The number of the next facet that is new.
    next_facet: u64,
}

impl<R> Default for Listing<R> {
    fn default() -> Self {
        Self {
            by_name: ByHash::default(),
            by_creation: OrdSet::new(),
            by_facet: OrdSet::new(),
            facets: OrdMap::new(),
            next_facet: 0,
        }
    }
}

impl<R: Listed> Listing<R> {
    /// The ids of those with this name in `config`.
    pub fn named<'a, 'n>(
        &'a self,
        config: &'a Config,
        name: &'n Name<'n>,
    ) -> impl Iterator<Item = &'a Id<R>> + use<'a, 'n, R> {
        let has =
            |id: &Id<R>| config.get::<R>(id.as_str()).is_some_and(|stored| R::name(stored).as_ref() == Some(name));
        self.by_name.alike(name).filter(move |id| has(id))
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

    /// Puts `after` in the place of `before`.
    pub(super) fn replace(&mut self, before: Option<&Stored<R>>, after: Option<&Stored<R>>) {
        self.index_names(before, after);
        self.index_creation(before, after);
        self.index_facets(before, after);
    }

    /// How many names, creations, facets of resources, and facets there are.
    #[cfg(test)]
    pub(super) fn indexed(&self) -> [usize; 4] {
        [self.by_name.len(), self.by_creation.len(), self.by_facet.len(), self.facets.len()]
    }

    fn index_names(&mut self, before: Option<&Stored<R>>, after: Option<&Stored<R>>) {
        let [had, has] = [before, after].map(|stored| stored.and_then(|it| Some((R::name(it)?, &it.id))));
        if had == has {
            return;
        }
        if let Some((name, id)) = had {
            self.by_name.remove(&name, id.clone());
        }
        if let Some((name, id)) = has {
            self.by_name.insert(&name, id.clone());
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
            facets.into_iter().for_each(|facet| self.unindex_facet(facet, created_at, id));
        }
        if let Some((created_at, id, facets)) = has {
            facets.into_iter().for_each(|facet| self.index_facet(facet, created_at, id));
        }
    }

    fn index_facet(&mut self, facet: Facet, created_at: Timestamp, id: &Id<R>) {
        let Having { number, count } = self.facets.get(&facet).copied().unwrap_or_else(|| {
            self.next_facet += 1;
            Having { number: self.next_facet, count: 0 }
        });
        self.facets.insert(facet, Having { number, count: count + 1 });
        self.by_facet.insert((number, created_at, id.clone()));
    }

    fn unindex_facet(&mut self, facet: Facet, created_at: Timestamp, id: &Id<R>) {
        let Some(Having { number, count }) = self.facets.get(&facet).copied() else { return };
        match count {
            0 | 1 => self.facets.remove(&facet),
            count => self.facets.insert(facet, Having { number, count: count - 1 }),
        };
        self.by_facet.remove(&(number, created_at, id.clone()));
    }
}
