//! All resources in memory, and the pure functions that decide what becomes of them.
//!
//! `State` is immutable once published, but for what was counted: its maps are persistent, so that a clone costs nothing and
//! readers never meet a writer. `decide` turns commands into changes, `State::apply` turns changes into the next state. The ledger calls
//! both; `watch` and `api` read. Nothing here knows of protobuf, of SQL or of a runtime.

mod by_hash;
mod counters;
mod counts;
mod decide;
mod dimension;
mod facet;
mod head;
mod marks;
mod pricing;
mod query;
mod reconcile;
mod routing;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod usage;

use std::sync::Arc;

use by_hash::ByHash;
use imbl::{OrdMap, OrdSet};

use crate::domain::{
    AnyResource, Customer, Id, Kind, LimitId, LimitKind, McpClient, ModelConfig, PricingOverride, Provider,
    ProviderGovernance, ProviderKey, ResourceKey, RoutingRule, Scope, Sha256Hash, Stored, Team, Timestamp, VirtualKey,
};
use crate::seeded::{self, Bug};

pub use counters::{Counter, CounterKey, CounterKeys, Counters};
pub use decide::{Change, Context, Decision, MAX_CHANGES, create, delete, govern, rotate, take_over, ungovern, update};
pub(crate) use dimension::add_dimensions;
pub use dimension::{Dimension, dimensions};
pub use facet::{Facet, Indexed};
pub use head::{Chain, Head, Op};
pub use marks::{AnySlot, Mark, Marked};
pub use query::{LimitPlace, Page, Query};
pub use routing::RuleOrder;
pub use rules::Rules;
pub use table::{Slot, Table};
pub use usage::{Amount, Crossing, FormerKey, Moved, THRESHOLDS, Tally, UsageMoves, settle_usage};

/// Everything at one revision.
#[derive(Clone)]
pub struct State {
    head: Head,
    customers: Table<Customer>,
    teams: Table<Team>,
    virtual_keys: Table<VirtualKey>,
    routing_rules: Table<RoutingRule>,
    model_configs: Table<ModelConfig>,
    provider_governance: Table<ProviderGovernance>,
    pricing_overrides: Table<PricingOverride>,
    providers: Table<Provider>,
    mcp_clients: Table<McpClient>,
    /// What happened last to each resource.
    marks: marks::Marks,
    /// First 8 bytes of the chain at each revision after the compacted one.
    chain_prefixes: imbl::Vector<u64>,
    /// Both secrets of every key: the current and the one before.
    secrets: ByHash<Id<VirtualKey>>,
    /// Which provider has the provider key of an id.
    provider_keys: OrdMap<Box<str>, Id<Provider>>,
    /// All budgets and rate limits, by creation.
    budgets: OrdSet<(Timestamp, LimitId)>,
    rate_limits: OrdSet<(Timestamp, LimitId)>,
    /// Which resource each of them is a part of.
    limit_places: ByHash<ResourceKey>,
    /// The routing rules in the order in which they are looked at.
    routing: routing::Order,
    /// The model configs by what they are unique on.
    models: Lookup<ModelPlace, Arc<Stored<ModelConfig>>>,
    /// How many model configs a scope has: most requests are in scopes that have none.
    model_scopes: counts::Counts<Scope>,
    /// The pricing overrides by what they match.
    pricing: pricing::Index,
    /// What was counted against the limits of all of these.
    usage: Counters,
}

/// A map that is only looked into: cloning is cheap, and it has no order.
type Lookup<K, V> = imbl::GenericHashMap<K, V, foldhash::fast::RandomState, imbl::shared_ptr::DefaultSharedPtr>;

/// What a model config is unique on.
pub type ModelPlace = (Scope, Box<str>, Option<Id<Provider>>);

impl State {
    /// The state of a store that was read whole.
    pub fn restore(
        head: Head,
        resources: impl IntoIterator<Item = AnyResource>,
        chain_prefixes: impl IntoIterator<Item = u64>,
        removed: impl IntoIterator<Item = (i64, ResourceKey)>,
    ) -> Self {
        let mut state = Self {
            head,
            customers: Table::default(),
            teams: Table::default(),
            virtual_keys: Table::default(),
            routing_rules: Table::default(),
            model_configs: Table::default(),
            provider_governance: Table::default(),
            pricing_overrides: Table::default(),
            providers: Table::default(),
            mcp_clients: Table::default(),
            marks: marks::Marks::default(),
            chain_prefixes: chain_prefixes.into_iter().collect(),
            secrets: ByHash::default(),
            provider_keys: OrdMap::new(),
            budgets: OrdSet::new(),
            rate_limits: OrdSet::new(),
            limit_places: ByHash::default(),
            routing: routing::Order::default(),
            models: Lookup::default(),
            model_scopes: counts::Counts::default(),
            pricing: pricing::Index::default(),
            usage: Counters::default(),
        };
        for resource in resources {
            state.replace(None, Some(&resource));
        }
        for (revision, key) in removed {
            state.marks.remove(revision, key);
        }
        state
    }

    /// What was counted.
    pub fn usage(&self) -> &Counters {
        &self.usage
    }

    /// What was counted, to be changed. Usage takes no revision.
    pub fn usage_mut(&mut self) -> &mut Counters {
        &mut self.usage
    }

    /// Where the store stands.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.head.revision
    }

    /// The resource with this id.
    pub fn get<R: Indexed>(&self, id: &str) -> Option<&Arc<Stored<R>>> {
        R::table(self).get(id).map(|slot| &slot.stored)
    }

    /// The resource with this key.
    pub fn any(&self, key: &ResourceKey) -> Option<AnyResource> {
        fn of<R: Indexed>(state: &State, id: &str) -> Option<AnyResource> {
            state.get::<R>(id).map(|stored| R::wrap(Arc::clone(stored)))
        }
        match key.kind {
            Kind::Customer => of::<Customer>(self, &key.id),
            Kind::Team => of::<Team>(self, &key.id),
            Kind::VirtualKey => of::<VirtualKey>(self, &key.id),
            Kind::RoutingRule => of::<RoutingRule>(self, &key.id),
            Kind::ModelConfig => of::<ModelConfig>(self, &key.id),
            Kind::ProviderGovernance => of::<ProviderGovernance>(self, &key.id),
            Kind::PricingOverride => of::<PricingOverride>(self, &key.id),
            Kind::Provider => of::<Provider>(self, &key.id),
            Kind::McpClient => of::<McpClient>(self, &key.id),
        }
    }

    /// How many resources of kind `R` there are.
    pub fn count<R: Indexed>(&self) -> usize {
        R::table(self).len()
    }

    /// The key that `secret` belongs to, and whether it is the secret before the last rotation. The end of a grace
    /// period takes no revision: it is found out here.
    pub fn key_by_secret(&self, secret: &Sha256Hash, now: Timestamp) -> Option<(&Arc<Stored<VirtualKey>>, bool)> {
        let stored = self.secret_holder(secret)?;
        if stored.resource.secret.sha256 == *secret {
            return Some((stored, false));
        }
        let in_grace = stored.resource.previous_secret.as_ref().is_some_and(|previous| now < previous.expires_at);
        in_grace.then_some((stored, true))
    }

    /// The key that has `secret`, or had it before the last rotation.
    fn secret_holder(&self, secret: &Sha256Hash) -> Option<&Arc<Stored<VirtualKey>>> {
        self.secrets.find(secret, |id| {
            let stored = self.get::<VirtualKey>(id.as_str())?;
            stored.resource.secrets().any(|has| has == secret).then_some(stored)
        })
    }

    /// The provider key with this id and its provider.
    pub fn provider_key(&self, id: &str) -> Option<(&Id<Provider>, &ProviderKey)> {
        let provider_id = self.provider_keys.get(id)?;
        let provider = self.get::<Provider>(provider_id.as_str())?;
        provider.resource.keys.iter().find(|key| key.id.as_ref() == id).map(|key| (provider_id, key))
    }

    /// The limits of a model within a scope: of exactly this model and provider, where `*` and `None` are every one.
    pub fn model_config(&self, place: &ModelPlace) -> Option<&Arc<Stored<ModelConfig>>> {
        self.models.get(place)
    }

    /// What the limit with this id allows of `kind`.
    pub fn limit(&self, limit_id: &LimitId, kind: LimitKind) -> Option<Dimension<'_>> {
        let (place, limits, aligned) = self.limit_place(limit_id)?;
        let mut found = Vec::with_capacity(4);
        add_dimensions(&place.owner(), limits, aligned, &mut found);
        found.into_iter().find(|dimension| dimension.limit_id == *limit_id && dimension.kind == kind)
    }

    /// Whether any model config is for this scope.
    pub fn has_model_configs(&self, scope: &Scope) -> bool {
        self.model_scopes.any(scope)
    }

    /// What happened after revision `after`, in order of revision: each resource once, at its last change.
    pub fn changed_since(&self, after: i64) -> impl Iterator<Item = &Marked> {
        self.marks.since(after)
    }

    /// First 8 bytes of the chain at `revision`; `None` if it is compacted or was never reached.
    pub fn chain_prefix(&self, revision: i64) -> Option<u64> {
        if revision == self.head.compacted_revision {
            return Some(self.head.compacted_chain.prefix());
        }
        let index = usize::try_from(revision.checked_sub(self.head.compacted_revision + 1)?).ok()?;
        self.chain_prefixes.get(index).copied()
    }

    /// The digest of all resources of a kind (`watch.md`, Messages).
    pub fn digest(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Customer => self.customers.digest(),
            Kind::Team => self.teams.digest(),
            Kind::VirtualKey => self.virtual_keys.digest(),
            Kind::RoutingRule => self.routing_rules.digest(),
            Kind::ModelConfig => self.model_configs.digest(),
            Kind::ProviderGovernance => self.provider_governance.digest(),
            Kind::PricingOverride => self.pricing_overrides.digest(),
            Kind::Provider => self.providers.digest(),
            Kind::McpClient => self.mcp_clients.digest(),
        }
    }

    /// Applies the changes of one revision and moves the head there. `head.revision` is the next revision; its chain is set
    /// by [`State::seal`] if it is not known yet.
    pub fn apply(&mut self, changes: &[Change], head: Head) {
        debug_assert_eq!(head.revision, self.head.revision + 1);
        self.chain_prefixes.push_back(head.chain.prefix());
        self.head = head;
        for change in changes {
            self.replace(change.before.as_ref(), change.after.as_ref());
        }
    }

    /// Sets the chain of the head, which takes in what was answered once the changes were applied.
    pub fn seal(&mut self, chain: Chain) {
        self.chain_prefixes.pop_back();
        self.chain_prefixes.push_back(chain.prefix());
        self.head.chain = chain;
    }

    /// Goes on to a later `head` of the same history in one step: with the starts of the chains of the revisions in between
    /// and of the head, the resources that these changed as they are at the head, and what they removed with the revisions
    /// of the removals.
    pub fn advance(
        &mut self,
        head: Head,
        chain_prefixes: impl IntoIterator<Item = u64>,
        resources: impl IntoIterator<Item = AnyResource>,
        removed: impl IntoIterator<Item = (i64, ResourceKey)>,
    ) {
        self.chain_prefixes.extend(chain_prefixes);
        let (resources, removed): (Vec<_>, Vec<_>) = (resources.into_iter().collect(), removed.into_iter().collect());
        // All leave before any enters: one may have taken what another was unique by.
        for key in resources.iter().map(AnyResource::key).chain(removed.iter().map(|(_, key)| key.clone())) {
            let before = self.any(&key);
            self.replace(before.as_ref(), None);
        }
        for resource in &resources {
            self.replace(None, Some(resource));
        }
        for (revision, key) in removed {
            // What came and went in between is marked too: a watcher may have seen it at another replica.
            self.marks.remove(revision, key);
        }
        let compacted = (head.compacted_revision, head.compacted_chain);
        let before = (self.head.compacted_revision, self.head.compacted_chain);
        self.head = Head { compacted_revision: before.0, compacted_chain: before.1, ..head };
        if compacted != before {
            let head = Head { compacted_revision: compacted.0, compacted_chain: compacted.1, ..self.head.clone() };
            self.compact(head);
        }
    }

    /// Forgets removals up to `head.compacted_revision`, from which watchers can no longer resume.
    pub fn compact(&mut self, head: Head) {
        let dropped = usize::try_from(head.compacted_revision - self.head.compacted_revision).unwrap_or(0);
        self.chain_prefixes = self.chain_prefixes.skip(dropped.min(self.chain_prefixes.len()));
        self.marks.compact(self.head.compacted_revision, head.compacted_revision);
        self.head = head;
    }

    fn replace(&mut self, before: Option<&AnyResource>, after: Option<&AnyResource>) {
        let Some(any) = after.or(before) else { return };
        match any {
            AnyResource::Customer(_) => self.replace_typed::<Customer>(before, after),
            AnyResource::Team(_) => self.replace_typed::<Team>(before, after),
            AnyResource::VirtualKey(_) => self.replace_typed::<VirtualKey>(before, after),
            AnyResource::RoutingRule(_) => self.replace_typed::<RoutingRule>(before, after),
            AnyResource::ModelConfig(_) => self.replace_typed::<ModelConfig>(before, after),
            AnyResource::ProviderGovernance(_) => self.replace_typed::<ProviderGovernance>(before, after),
            AnyResource::PricingOverride(_) => self.replace_typed::<PricingOverride>(before, after),
            AnyResource::Provider(_) => self.replace_typed::<Provider>(before, after),
            AnyResource::McpClient(_) => self.replace_typed::<McpClient>(before, after),
        }
    }

    fn replace_typed<R: Indexed>(&mut self, before: Option<&AnyResource>, after: Option<&AnyResource>) {
        let [before, after] = [before, after].map(|any| any.and_then(R::unwrap));
        let alike = before.zip(after).is_some_and(|(before, after)| R::enters_alike(before, after));
        if let Some(before) = before {
            self.marks.forget(before.revision, &ResourceKey::of(&before.id));
            if !alike {
                R::leave(self, before);
            }
        }
        let slot = R::table_mut(self).replace(before.map(AsRef::as_ref), after);
        if let Some((after, slot)) = after.zip(slot) {
            if !alike {
                R::enter(self, after);
            }
            self.marks.upsert(after.revision, slot);
        } else if let Some(before) = before
            && !seeded::is(Bug::SkipRemovalMarker)
        {
            self.marks.remove(self.head.revision, ResourceKey::of(&before.id));
        }
    }
}
