//! Lists: which resources a page holds. Pages are keyset pages, so that each costs the same wherever it lies.

use std::ops::Bound;
use std::sync::Arc;

use tollgate_core::config::LimitPlace;

use super::{Facet, Listed, State};
use crate::domain::{Budget, Calendar, Id, LimitId, LimitOwner, Limits, RateLimit, Stored, Timestamp};

/// What a list asks for. All that is given must match.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Properties that are indexed.
    pub facets: Vec<Facet>,
    /// Part of the name, in lower case.
    pub search: Option<String>,
    /// After this one: its creation and id.
    pub after: Option<(Timestamp, Arc<str>)>,
    /// At most so many.
    pub limit: usize,
}

/// What a list answers.
pub struct Page<T> {
    /// What is on the page.
    pub items: Vec<T>,
    /// Whether there is more.
    pub more: bool,
    /// How many there are on all pages.
    pub total: usize,
}

/// Before everything that was created.
fn first<R>() -> (Timestamp, Id<R>) {
    (Timestamp::from_micros(i64::MIN), Id::new(""))
}

impl State {
    /// All resources of kind `R`, by creation and id.
    pub fn all<R: Listed>(&self) -> impl Iterator<Item = &Arc<Stored<R>>> {
        let ids = R::listing(self).by_creation(&first()).map(|(_, id)| id);
        ids.filter_map(|id| self.config.get(id.as_str()))
    }

    /// The resources of kind `R` that match, by creation and id.
    pub fn list<R: Listed>(&self, query: &Query) -> Page<Arc<Stored<R>>> {
        let (listing, config) = (R::listing(self), &self.config);
        let after = match &query.after {
            Some((created_at, id)) => (*created_at, Id::new(Arc::clone(id))),
            None => first(),
        };
        let start = first();
        // The rarest facet is walked; the others are checked on each.
        let narrowest = query.facets.iter().min_by_key(|facet| listing.facet_size(facet));
        let matches = |id: &&Id<R>| {
            let Some(stored) = config.get::<R>(id.as_str()) else { return false };
            let others = query.facets.iter().filter(|facet| Some(*facet) != narrowest);
            let facets = if query.facets.len() > 1 { R::facets(&stored.resource) } else { Vec::new() };
            let searched = query.search.as_ref().is_none_or(|part| R::searched(stored).to_lowercase().contains(part));
            others.into_iter().all(|facet| facets.contains(facet)) && searched
        };
        let walk = |from: &(Timestamp, Id<R>)| -> Box<dyn Iterator<Item = &Id<R>> + '_> {
            match narrowest {
                Some(facet) => Box::new(listing.with_facet(facet, from).map(|(_, id)| id)),
                None => Box::new(listing.by_creation(from).map(|(_, id)| id)),
            }
        };
        let mut found = walk(&after).filter(matches).take(query.limit + 1).collect::<Vec<_>>();
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let total = match (&query.search, query.facets.as_slice()) {
            (None, []) => config.count::<R>(),
            (None, [facet]) => listing.facet_size(facet),
            _ => walk(&start).filter(matches).count(),
        };
        let items = found.into_iter().filter_map(|id| config.get(id.as_str())).map(Arc::clone).collect();
        Page { items, more, total }
    }

    /// The budgets of `owners` (of all if empty), by creation and id.
    pub fn list_budgets(&self, owners: &[LimitOwner], query: &Query) -> Page<(LimitPlace, Option<Calendar>, Budget)> {
        let of = |limits: &Limits, id: &LimitId| limits.budgets.iter().find(|budget| budget.id == *id).cloned();
        let all = |limits: &Limits| limits.budgets.iter().map(|b| (b.created_at, b.id.clone())).collect();
        self.list_limits(&self.listings.budgets, owners, query, of, all)
    }

    /// The rate limits of `owners` (of all if empty), by creation and id.
    pub fn list_rate_limits(
        &self,
        owners: &[LimitOwner],
        query: &Query,
    ) -> Page<(LimitPlace, Option<Calendar>, RateLimit)> {
        let of = |limits: &Limits, id: &LimitId| limits.rate_limits.iter().find(|limit| limit.id == *id).cloned();
        let all =
            |limits: &Limits| limits.rate_limits.iter().map(|limit| (limit.created_at, limit.id.clone())).collect();
        self.list_limits(&self.listings.rate_limits, owners, query, of, all)
    }

    fn list_limits<L>(
        &self,
        index: &imbl::OrdSet<(Timestamp, LimitId)>,
        owners: &[LimitOwner],
        query: &Query,
        of: impl Fn(&Limits, &LimitId) -> Option<L>,
        all: impl Fn(&Limits) -> Vec<(Timestamp, LimitId)>,
    ) -> Page<(LimitPlace, Option<Calendar>, L)> {
        let after =
            query.after.as_ref().map_or((Timestamp::from_micros(i64::MIN), LimitId::none()), |(created_at, id)| {
                (*created_at, id.as_ref().into())
            });
        let (mut items, total): (Vec<_>, usize) = match owners {
            [] => {
                let walk = index.range((Bound::Excluded(after), Bound::Unbounded));
                let found = walk.take(query.limit + 1).filter_map(|(_, id)| {
                    let (place, limits, calendar) = self.config.limit_place(id)?;
                    of(limits, id).map(|limit| (place, calendar.cloned(), limit))
                });
                (found.collect(), index.len())
            }
            [owner, rest @ ..] => {
                // Owners are ANDed, and a limit has one owner: two different ones match nothing.
                let place = if rest.iter().all(|other| other == owner) { self.config.place_of(owner) } else { None };
                let lies = place
                    .and_then(|place| place.limits(&self.config).map(|(limits, calendar)| (place, limits, calendar)));
                let Some((place, limits, calendar)) = lies else {
                    return Page { items: Vec::new(), more: false, total: 0 };
                };
                let mut ids = all(limits);
                ids.sort();
                let page = ids.iter().filter(|id| **id > after).take(query.limit + 1);
                let found =
                    page.filter_map(|(_, id)| of(limits, id).map(|limit| (place.clone(), calendar.cloned(), limit)));
                (found.collect(), ids.len())
            }
        };
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        Page { items, more, total }
    }
}
