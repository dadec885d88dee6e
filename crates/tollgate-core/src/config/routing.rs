//! The order in which routing rules are looked at.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdSet;

use super::{Config, Lookup};
use crate::domain::{Id, RoutingRule, Scope, Stored, Timestamp};

/// Where a rule stands among others.
pub type RuleOrder = (i32, Timestamp, Id<RoutingRule>);

/// The indexes of the routing rules.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Order {
    all: OrdSet<RuleOrder>,
    /// The rules themselves, in their order, because every decision walks here.
    by_scope: Lookup<Scope, Arc<Vec<Arc<Stored<RoutingRule>>>>>,
}

fn order(stored: &Stored<RoutingRule>) -> RuleOrder {
    (stored.resource.priority, stored.created_at, stored.id.clone())
}

fn compare(one: &Stored<RoutingRule>, other: &Stored<RoutingRule>) -> Ordering {
    let order = |stored: &Stored<RoutingRule>| (stored.resource.priority, stored.created_at);
    order(one).cmp(&order(other)).then_with(|| one.id.cmp(&other.id))
}

impl Order {
    pub(super) fn index(&mut self, stored: &Arc<Stored<RoutingRule>>) {
        let rule = &stored.resource;
        self.all.insert(order(stored));
        let rules = Arc::make_mut(self.by_scope.entry(rule.scope.clone()).or_default());
        rules.insert(rules.partition_point(|other| compare(other, stored).is_lt()), Arc::clone(stored));
    }

    pub(super) fn unindex(&mut self, stored: &Stored<RoutingRule>) {
        let rule = &stored.resource;
        self.all.remove(&order(stored));
        if let Some(rules) = self.by_scope.get_mut(&rule.scope) {
            let rules = Arc::make_mut(rules);
            rules.retain(|other| other.id != stored.id);
            if rules.is_empty() {
                self.by_scope.remove(&rule.scope);
            }
        }
    }

    fn of_scope(&self, scope: &Scope) -> &[Arc<Stored<RoutingRule>>] {
        self.by_scope.get(scope).map_or(&[], |rules| rules)
    }
}

impl Config {
    /// The routing rules of a scope, in the order in which they are looked at, disabled ones included.
    pub fn rules_of(&self, scope: &Scope) -> &[Arc<Stored<RoutingRule>>] {
        self.routing.of_scope(scope)
    }

    /// All routing rules, by priority, creation and id, after `after`.
    pub fn rules_after(&self, after: Option<RuleOrder>) -> impl Iterator<Item = &Arc<Stored<RoutingRule>>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.routing.all.range((start, Bound::Unbounded)).filter_map(|(.., id)| self.get(id.as_str()))
    }

    /// The rules that have this priority in this scope.
    pub fn rules_at(&self, scope: &Scope, priority: i32) -> impl Iterator<Item = &Id<RoutingRule>> {
        let rules = self.rules_of(scope);
        let (_, from) = rules.split_at(rules.partition_point(|rule| rule.resource.priority < priority));
        from.iter().take_while(move |rule| rule.resource.priority == priority).map(|rule| &rule.id)
    }
}
