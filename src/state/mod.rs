//! All resources in memory, and the pure functions that decide what becomes of them.
//!
//! `State` is immutable once published, but for what was counted: its maps are persistent, so that a clone costs nothing and
//! readers never meet a writer. `decide` turns commands into changes, `State::apply` turns changes into the next state. The ledger calls
//! both; `watch` and `api` read. Nothing here knows of protobuf, of SQL or of a runtime.

mod adjust;
mod apply;
mod decide;
mod facet;
mod first;
mod head;
mod listing;
mod marks;
mod names;
mod prices;
mod query;
mod reconcile;
mod rollback;
mod routing;
mod rules;
#[cfg(test)]
mod tests;
mod token;
mod upsert;
mod usage;

use crate::credit::Book;
use imbl::OrdSet;
use tollgate_core::config::Config;
use tollgate_core::counters::{Counters, owned_limits};

use crate::domain::{
    AnyResource, Customer, Kind, LimitId, McpClient, ModelConfig, ModelPrice, PricingOverride, Provider,
    ProviderGovernance, ResourceKey, RoutingRule, Team, Timestamp, Token, VirtualKey, Webhook,
};
use crate::seeded::{self, Bug};

pub use adjust::adjust;
pub use apply::{DecideStep, Fate, Outcome, Step, apply};
pub use decide::{
    Change, Children, Context, Decision, MAX_CHANGES, create, delete, govern, rotate, take_over, ungovern, update,
};
pub use facet::{Facet, Listed};
pub use first::furnish;
pub use head::{Chain, Head, Op};
pub use listing::Listing;
pub use marks::{Mark, Marked, Slot};
pub use names::{Clashes, Name, Within, check_path, meant, meant_in_scope};
pub use prices::upsert_prices;
pub use query::{Page, Query};
pub use rollback::roll_back;
pub use routing::RuleFilter;
pub use rules::Rules;
pub use token::{adopt_tokens, make_first_token, make_token, revoke_token};
pub use upsert::{Desired, there_already, upsert};
pub use usage::{Crossing, Moved, Reset, Tally, UsageMoves, heirs, settle_usage};

/// Everything at one revision.
#[derive(Clone)]
pub struct State {
    head: Head,
    config: Config,
    listings: Listings,
    /// The last event of each resource that is on the stream.
    marks: marks::Marks,
    /// First 8 bytes of the chain at each revision after the compacted one.
    chain_prefixes: imbl::Vector<u64>,
    /// What was counted against the limits of all of these.
    usage: Counters,
    /// What nodes hold of those that are hard.
    credit: Book,
}

/// What lists and names are found by.
#[derive(Clone, Default)]
struct Listings {
    customers: Listing<Customer>,
    teams: Listing<Team>,
    virtual_keys: Listing<VirtualKey>,
    routing_rules: Listing<RoutingRule>,
    model_configs: Listing<ModelConfig>,
    provider_governance: Listing<ProviderGovernance>,
    pricing_overrides: Listing<PricingOverride>,
    providers: Listing<Provider>,
    mcp_clients: Listing<McpClient>,
    model_prices: Listing<ModelPrice>,
    webhooks: Listing<Webhook>,
    tokens: Listing<Token>,
    /// All budgets and rate limits, by creation.
    budgets: OrdSet<(Timestamp, LimitId)>,
    rate_limits: OrdSet<(Timestamp, LimitId)>,
}

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
            config: Config::default(),
            listings: Listings::default(),
            marks: marks::Marks::default(),
            chain_prefixes: chain_prefixes.into_iter().collect(),
            usage: Counters::default(),
            credit: Book::default(),
        };
        for resource in resources {
            state.put(&resource);
        }
        for (revision, key) in removed {
            state.mark_removed(revision, key);
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

    /// What nodes hold of hard limits. What was counted of a limit is set when the book is asked about that limit.
    pub fn credit(&self) -> &Book {
        &self.credit
    }

    /// What nodes hold of hard limits, to be changed. Credit takes no revision.
    pub fn credit_mut(&mut self) -> &mut Book {
        &mut self.credit
    }

    /// The configuration: all that a decision reads.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where the store stands.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.head.revision
    }

    /// The changes after revision `after`, in order of revision: each resource once, at its last change. Resources of kinds that
    /// are not on the stream are left out.
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

    /// Applies the changes of one revision and moves the head there. `head.revision` is the next revision; its chain is set
    /// by [`State::seal`] if it is not known yet.
    pub fn apply(&mut self, changes: &[Change], head: Head) {
        debug_assert_eq!(head.revision, self.head.revision + 1);
        self.chain_prefixes.push_back(head.chain.prefix());
        self.head = head;
        for change in changes {
            self.stage(change);
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
        for resource in resources {
            self.put(&resource);
        }
        for (revision, key) in removed {
            // What came and went in between is marked too: a watcher may have seen it at another replica.
            self.remove_at(revision, key);
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

    /// Makes a change on a copy that is thrown away: the head stays where it is.
    fn stage(&mut self, change: &Change) {
        match &change.after {
            Some(after) => self.put(after),
            None => self.remove(&change.key()),
        }
    }

    fn put(&mut self, resource: &AnyResource) {
        let before = self.config.put(resource);
        if let Some(before) = &before {
            self.marks.forget(before.revision(), before.kind(), before.id());
        }
        self.relist(before.as_ref(), Some(resource));
        if resource.kind().is_streamed() {
            self.marks.upsert(resource.clone());
        }
    }

    fn remove(&mut self, key: &ResourceKey) {
        self.remove_at(self.head.revision, key.clone());
    }

    fn remove_at(&mut self, revision: i64, key: ResourceKey) {
        if let Some(before) = self.config.remove(&key) {
            self.marks.forget(before.revision(), before.kind(), before.id());
            self.relist(Some(&before), None);
        }
        if !seeded::is(Bug::SkipRemovalMarker) {
            self.mark_removed(revision, key);
        }
    }

    /// Marks a removal for the stream.
    fn mark_removed(&mut self, revision: i64, key: ResourceKey) {
        if key.kind.is_streamed() {
            self.marks.remove(revision, key);
        }
    }

    /// Lists `after` in the place of `before`.
    fn relist(&mut self, before: Option<&AnyResource>, after: Option<&AnyResource>) {
        fn of<R: Listed>(state: &mut State, before: Option<&AnyResource>, after: Option<&AnyResource>) {
            let [before, after] = [before, after].map(|any| any.and_then(R::unwrap).map(AsRef::as_ref));
            R::listing_mut(state).replace(before, after);
        }
        let Some(any) = after.or(before) else { return };
        match any.kind() {
            Kind::Customer => of::<Customer>(self, before, after),
            Kind::Team => of::<Team>(self, before, after),
            Kind::VirtualKey => of::<VirtualKey>(self, before, after),
            Kind::RoutingRule => of::<RoutingRule>(self, before, after),
            Kind::ModelConfig => of::<ModelConfig>(self, before, after),
            Kind::ProviderGovernance => of::<ProviderGovernance>(self, before, after),
            Kind::PricingOverride => of::<PricingOverride>(self, before, after),
            Kind::Provider => of::<Provider>(self, before, after),
            Kind::McpClient => of::<McpClient>(self, before, after),
            Kind::ModelPrice => of::<ModelPrice>(self, before, after),
            Kind::Webhook => of::<Webhook>(self, before, after),
            Kind::Token => of::<Token>(self, before, after),
        }
        self.relist_limits(before, after);
    }

    fn relist_limits(&mut self, before: Option<&AnyResource>, after: Option<&AnyResource>) {
        let [had, has] = [before, after].map(|any| any.map(owned_limits).unwrap_or_default());
        let [old, new] = [&had, &has].map(|owned| owned.iter().map(|(_, limits)| *limits));
        if old.clone().eq(new.clone()) {
            return;
        }
        let Listings { budgets, rate_limits, .. } = &mut self.listings;
        for limits in old {
            for budget in &limits.budgets {
                budgets.remove(&(budget.created_at, budget.id.clone()));
            }
            for limit in &limits.rate_limits {
                rate_limits.remove(&(limit.created_at, limit.id.clone()));
            }
        }
        for limits in new {
            budgets.extend(limits.budgets.iter().map(|budget| (budget.created_at, budget.id.clone())));
            rate_limits.extend(limits.rate_limits.iter().map(|limit| (limit.created_at, limit.id.clone())));
        }
    }
}
