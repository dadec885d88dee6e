//! Lists: which resources a page holds. Pages are keyset pages, so that each costs the same wherever it lies.

use std::ops::Bound;
use std::sync::Arc;

use super::{Facet, Indexed, State};
use crate::domain::{
    Budget, Customer, Id, Kind, LimitId, LimitOwner, Limits, ModelConfig, ProviderGovernance, RateLimit, Stored, Team,
    Timestamp, VirtualKey,
};

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

/// Where a limit lies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LimitPlace {
    /// In a customer.
    Customer(Id<Customer>),
    /// In a team.
    Team(Id<Team>),
    /// In a virtual key.
    VirtualKey(Id<VirtualKey>),
    /// In a provider config of a virtual key.
    ProviderConfig(Id<VirtualKey>, i64),
    /// In a model config.
    ModelConfig(Id<ModelConfig>),
    /// In the governance of a provider.
    ProviderGovernance(Id<ProviderGovernance>),
}

impl LimitPlace {
    /// The id of the resource that the limits are part of.
    pub fn resource_id(&self) -> &str {
        match self {
            Self::Customer(id) => id.as_str(),
            Self::Team(id) => id.as_str(),
            Self::VirtualKey(id) | Self::ProviderConfig(id, _) => id.as_str(),
            Self::ModelConfig(id) => id.as_str(),
            Self::ProviderGovernance(id) => id.as_str(),
        }
    }

    /// Who owns the limits that lie here.
    pub fn owner(&self) -> LimitOwner {
        match self {
            Self::Customer(id) => LimitOwner::Customer(id.clone()),
            Self::Team(id) => LimitOwner::Team(id.clone()),
            Self::VirtualKey(id) => LimitOwner::VirtualKey(id.clone()),
            Self::ProviderConfig(_, id) => LimitOwner::ProviderConfig(*id),
            Self::ModelConfig(id) => LimitOwner::ModelConfig(id.clone()),
            Self::ProviderGovernance(id) => LimitOwner::Provider(Id::new(id.shared())),
        }
    }

    /// The limits that lie here, and whether they are calendar-aligned.
    pub fn limits<'a>(&self, state: &'a State) -> Option<(&'a Limits, bool)> {
        match self {
            Self::Customer(id) => {
                state.get::<Customer>(id.as_str()).map(|s| (&s.resource.limits, s.resource.calendar_aligned))
            }
            Self::Team(id) => state.get::<Team>(id.as_str()).map(|s| (&s.resource.limits, s.resource.calendar_aligned)),
            Self::VirtualKey(id) => {
                state.get::<VirtualKey>(id.as_str()).map(|s| (&s.resource.limits, s.resource.calendar_aligned))
            }
            Self::ProviderConfig(key_id, id) => state.get::<VirtualKey>(key_id.as_str()).and_then(|s| {
                let config = s.resource.provider_configs.iter().find(|config| config.id == *id)?;
                Some((&config.limits, s.resource.calendar_aligned))
            }),
            Self::ModelConfig(id) => {
                state.get::<ModelConfig>(id.as_str()).map(|s| (&s.resource.limits, s.resource.calendar_aligned))
            }
            Self::ProviderGovernance(id) => {
                state.get::<ProviderGovernance>(id.as_str()).map(|s| (&s.resource.limits, s.resource.calendar_aligned))
            }
        }
    }
}

impl State {
    /// The resources of kind `R` that match, by creation and id.
    pub fn list<R: Indexed>(&self, query: &Query) -> Page<Arc<Stored<R>>> {
        let table = R::table(self);
        let after = match &query.after {
            Some((created_at, id)) => (*created_at, Id::new(Arc::clone(id))),
            None => (Timestamp::from_micros(i64::MIN), Id::new("")),
        };
        let start = (Timestamp::from_micros(i64::MIN), Id::new(""));
        // The rarest facet is walked; the others are checked on each.
        let narrowest = query.facets.iter().min_by_key(|facet| table.facet_size(facet));
        let matches = |id: &&Id<R>| {
            let Some(slot) = table.get(id.as_str()) else { return false };
            let others = query.facets.iter().filter(|facet| Some(*facet) != narrowest);
            let facets = if query.facets.len() > 1 { R::facets(&slot.stored.resource) } else { Vec::new() };
            let searched =
                query.search.as_ref().is_none_or(|part| R::searched(&slot.stored).to_lowercase().contains(part));
            others.into_iter().all(|facet| facets.contains(facet)) && searched
        };
        let walk = |from: &(Timestamp, Id<R>)| -> Box<dyn Iterator<Item = &Id<R>> + '_> {
            match narrowest {
                Some(facet) => Box::new(table.with_facet(facet, from).map(|(_, id)| id)),
                None => Box::new(table.by_creation(from).map(|(_, id)| id)),
            }
        };
        let mut found = walk(&after).filter(matches).take(query.limit + 1).collect::<Vec<_>>();
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        let total = match (&query.search, query.facets.as_slice()) {
            (None, []) => table.len(),
            (None, [facet]) => table.facet_size(facet),
            _ => walk(&start).filter(matches).count(),
        };
        let items =
            found.into_iter().filter_map(|id| table.get(id.as_str())).map(|slot| Arc::clone(&slot.stored)).collect();
        Page { items, more, total }
    }

    /// The budgets of `owners` (of all if empty), by creation and id.
    pub fn list_budgets(&self, owners: &[LimitOwner], query: &Query) -> Page<(LimitPlace, bool, Budget)> {
        let of = |limits: &Limits, id: &LimitId| limits.budgets.iter().find(|budget| budget.id == *id).cloned();
        let all = |limits: &Limits| limits.budgets.iter().map(|b| (b.created_at, b.id.clone())).collect();
        self.list_limits(&self.budgets, owners, query, of, all)
    }

    /// The rate limits of `owners` (of all if empty), by creation and id.
    pub fn list_rate_limits(&self, owners: &[LimitOwner], query: &Query) -> Page<(LimitPlace, bool, RateLimit)> {
        let of = |limits: &Limits, id: &LimitId| limits.rate_limit.as_deref().filter(|limit| limit.id == *id).cloned();
        let all =
            |limits: &Limits| limits.rate_limit.iter().map(|limit| (limit.created_at, limit.id.clone())).collect();
        self.list_limits(&self.rate_limits, owners, query, of, all)
    }

    /// Where the limit with this id lies, among which limits, and whether these are calendar-aligned.
    pub(super) fn limit_place(&self, id: &LimitId) -> Option<(LimitPlace, &Limits, bool)> {
        self.limit_places.find(id, |key| {
            let place = match key.kind {
                Kind::Customer => LimitPlace::Customer(Id::new(Arc::clone(&key.id))),
                Kind::Team => LimitPlace::Team(Id::new(Arc::clone(&key.id))),
                Kind::VirtualKey => {
                    let stored = self.get::<VirtualKey>(&key.id)?;
                    let mut configs = stored.resource.provider_configs.iter();
                    match configs.find(|config| config.limits.has(id)) {
                        Some(config) => LimitPlace::ProviderConfig(stored.id.clone(), config.id),
                        None => LimitPlace::VirtualKey(stored.id.clone()),
                    }
                }
                Kind::ModelConfig => LimitPlace::ModelConfig(Id::new(Arc::clone(&key.id))),
                Kind::ProviderGovernance => LimitPlace::ProviderGovernance(Id::new(Arc::clone(&key.id))),
                // These have no limits.
                Kind::Provider | Kind::McpClient | Kind::RoutingRule | Kind::PricingOverride => return None,
            };
            let (limits, aligned) = place.limits(self)?;
            limits.has(id).then_some((place, limits, aligned))
        })
    }

    /// Where the limits of an owner lie. A provider config is found by walking the keys: its id alone does not tell.
    fn place_of(&self, owner: &LimitOwner) -> Option<LimitPlace> {
        match owner {
            LimitOwner::Customer(id) => Some(LimitPlace::Customer(id.clone())),
            LimitOwner::Team(id) => Some(LimitPlace::Team(id.clone())),
            LimitOwner::VirtualKey(id) => Some(LimitPlace::VirtualKey(id.clone())),
            LimitOwner::ProviderConfig(id) => self
                .virtual_keys
                .iter()
                .find(|stored| stored.resource.provider_configs.iter().any(|config| config.id == *id))
                .map(|stored| LimitPlace::ProviderConfig(stored.id.clone(), *id)),
            LimitOwner::ModelConfig(id) => Some(LimitPlace::ModelConfig(id.clone())),
            LimitOwner::Provider(id) => Some(LimitPlace::ProviderGovernance(Id::new(id.shared()))),
        }
    }

    fn list_limits<L>(
        &self,
        index: &imbl::OrdSet<(Timestamp, LimitId)>,
        owners: &[LimitOwner],
        query: &Query,
        of: impl Fn(&Limits, &LimitId) -> Option<L>,
        all: impl Fn(&Limits) -> Vec<(Timestamp, LimitId)>,
    ) -> Page<(LimitPlace, bool, L)> {
        let after =
            query.after.as_ref().map_or((Timestamp::from_micros(i64::MIN), LimitId::none()), |(created_at, id)| {
                (*created_at, id.as_ref().into())
            });
        let (mut items, total): (Vec<_>, usize) = match owners {
            [] => {
                let walk = index.range((Bound::Excluded(after), Bound::Unbounded));
                let found = walk.take(query.limit + 1).filter_map(|(_, id)| {
                    let (place, limits, aligned) = self.limit_place(id)?;
                    of(limits, id).map(|limit| (place, aligned, limit))
                });
                (found.collect(), index.len())
            }
            [owner, rest @ ..] => {
                // Owners are ANDed, and a limit has one owner: two different ones match nothing.
                let place = if rest.iter().all(|other| other == owner) { self.place_of(owner) } else { None };
                let lies = place.and_then(|place| place.limits(self).map(|(limits, aligned)| (place, limits, aligned)));
                let Some((place, limits, aligned)) = lies else {
                    return Page { items: Vec::new(), more: false, total: 0 };
                };
                let mut ids = all(limits);
                ids.sort();
                let page = ids.iter().filter(|id| **id > after).take(query.limit + 1);
                let found = page.filter_map(|(_, id)| of(limits, id).map(|limit| (place.clone(), aligned, limit)));
                (found.collect(), ids.len())
            }
        };
        let more = items.len() > query.limit;
        items.truncate(query.limit);
        Page { items, more, total }
    }
}
