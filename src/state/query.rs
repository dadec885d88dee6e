//! Lists: which resources a page holds. Pages are keyset pages, so that each costs the same wherever it lies.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
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

/// How many resources can be gone through in the time that looking one up takes.
const LOOK_UP: usize = 8;

/// Of those of `all` that match, the first after `after` by creation and id, one more than the page has; and how many match.
/// `all` come in any order, so that memory can be read in the order in which it lies: with a million, that is what takes long.
fn scan<'a, R: Listed + 'a>(
    all: impl Iterator<Item = &'a Arc<Stored<R>>>,
    query: &Query,
    after: &(Timestamp, Id<R>),
) -> (Vec<Arc<Stored<R>>>, usize) {
    let mut lowered = String::new();
    let mut page: BinaryHeap<Placed<'a, R>> = BinaryHeap::new();
    let mut total = 0;
    for stored in all {
        let searched = query.search.as_ref().is_none_or(|part| is_in(part, R::searched(stored), &mut lowered));
        if !searched || !has_all(&stored.resource, &query.facets) {
            continue;
        }
        total += 1;
        let placed = Placed(stored);
        if placed.place() <= (after.0, &after.1) {
            continue;
        }
        if page.len() <= query.limit {
            page.push(placed);
        } else if let Some(mut last) = page.peek_mut()
            && placed < *last
        {
            *last = placed;
        }
    }
    (page.into_sorted_vec().into_iter().map(|Placed(stored)| Arc::clone(stored)).collect(), total)
}

/// A resource by its place in lists.
struct Placed<'a, R>(&'a Arc<Stored<R>>);

impl<'a, R> Placed<'a, R> {
    fn place(&self) -> (Timestamp, &'a Id<R>) {
        (self.0.created_at, &self.0.id)
    }
}

impl<R> Ord for Placed<'_, R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl<R> PartialOrd for Placed<'_, R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> PartialEq for Placed<'_, R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R> Eq for Placed<'_, R> {}

fn has_all<R: Listed>(resource: &R, facets: &[Facet]) -> bool {
    if facets.is_empty() {
        return true;
    }
    let has = R::facets(resource);
    facets.iter().all(|facet| has.contains(facet))
}

/// Whether `text` in lower case contains `part`. `lowered` is room to write it in.
fn is_in(part: &str, text: &str, lowered: &mut String) -> bool {
    if !text.is_ascii() {
        return text.to_lowercase().contains(part);
    }
    lowered.clear();
    lowered.push_str(text);
    lowered.make_ascii_lowercase();
    lowered.contains(part)
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
        // The rarest facet is walked; the others are checked on each.
        let narrowest = query.facets.iter().min_by_key(|facet| listing.facet_size(facet));
        let indexed = |ids: &mut dyn Iterator<Item = &Id<R>>| {
            ids.take(query.limit + 1).filter_map(|id| config.get::<R>(id.as_str())).cloned().collect::<Vec<_>>()
        };
        let (mut items, total) = match (&query.search, query.facets.as_slice(), narrowest) {
            (None, [], _) => (indexed(&mut listing.by_creation(&after).map(|(_, id)| id)), config.count::<R>()),
            (None, [facet], _) => {
                let found = indexed(&mut listing.with_facet(facet, &after).map(|(_, id)| id));
                (found, listing.facet_size(facet))
            }
            (_, _, Some(facet)) if listing.facet_size(facet) < config.count::<R>() / LOOK_UP => {
                let start = first();
                let ids = listing.with_facet(facet, &start).map(|(_, id)| id);
                scan(ids.filter_map(|id| config.get(id.as_str())), query, &after)
            }
            _ => scan(config.all(), query, &after),
        };
        let more = items.len() > query.limit;
        items.truncate(query.limit);
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

#[cfg(test)]
mod tests {
    use tollgate_testkit::world::{World, key};

    use super::*;
    use crate::domain::{KeyOwner, Resource as _, VirtualKey};
    use crate::proto::v1;
    use crate::state::Head;

    /// Keys of few names, creations and owners, so that many are alike.
    fn state() -> (State, Vec<Arc<Stored<VirtualKey>>>) {
        let mut world = World::new();
        let base = world.add::<VirtualKey>(v1::VirtualKey { is_active: Some(true), ..key(Vec::new()) });
        let names = ["Straße", "STRASSE 7", "İstanbul", "istanbul", "ΣΊΣΥΦΟΣ", "plain", "PLAIN 2", "other"];
        let numbered = |number: usize| {
            let owner = [None, Some("a"), Some("b")][number % 3].map(|id| KeyOwner::Team(Id::new(id)));
            let is_active = !number.is_multiple_of(5);
            let name = names[number % names.len()].into();
            let resource = VirtualKey { name, owner, is_active, ..base.resource.clone() };
            let created_at = Timestamp::from_micros((number as i64 * 37) % 11);
            let revision = number as i64 + 1;
            Arc::new(Stored {
                id: Id::new(format!("{:02}", (number * 13) % 90)),
                revision,
                created_at,
                resource,
                ..*base
            })
        };
        let keys: Vec<_> = (0..90).map(numbered).collect();
        let head = Head { revision: 90, ..State::of(&world).head().clone() };
        let state = State::restore(head, keys.iter().cloned().map(VirtualKey::wrap), [], []);
        (state, keys)
    }

    #[test]
    fn pages_have_what_matches_in_order_however_it_is_found() {
        let (state, mut keys) = state();
        keys.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        let facets = [vec![], vec![Facet::Active(false)], vec![Facet::Team("a".into())]];
        let facets = facets.into_iter().chain([
            vec![Facet::Active(true), Facet::Team("b".into())],
            vec![Facet::Active(false), Facet::Team("a".into())],
            vec![Facet::Team("a".into()), Facet::Team("b".into())],
        ]);
        let parts = ["", "stra", "ß", "i\u{307}", "istanbul", "σίσ", "plain", "plain 2", "é", "nothing like it"];
        for (facets, limit) in facets.flat_map(|facets| [1, 7, 200].map(|limit| (facets.clone(), limit))) {
            for search in parts.iter().map(|part| Some((*part).to_owned())).chain([None]) {
                let matches = |key: &&Arc<Stored<VirtualKey>>| {
                    let has = VirtualKey::facets(&key.resource);
                    let name = key.resource.name.to_lowercase();
                    facets.iter().all(|facet| has.contains(facet)) && search.iter().all(|part| name.contains(part))
                };
                let expected: Vec<_> = keys.iter().filter(matches).cloned().collect();
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let query = Query { facets: facets.clone(), search: search.clone(), after, limit };
                    let page = state.list::<VirtualKey>(&query);
                    assert_eq!(page.total, expected.len(), "{query:?}");
                    assert!(page.items.len() <= limit);
                    after = page.items.last().map(|last| (last.created_at, last.id.shared()));
                    found.extend(page.items);
                    if !page.more {
                        break;
                    }
                }
                assert!(found == expected, "{facets:?} {search:?}");
            }
        }
    }
}
