//! The order in which routing rules are looked at and listed.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Lookup, Page, State};
use crate::domain::{Id, RoutingRule, Scope, ScopeKind, Stored, Timestamp};

/// Where a rule stands among others.
pub type RuleOrder = (i32, Timestamp, Id<RoutingRule>);

/// The indexes of the routing rules.
#[derive(Clone, Default)]
pub(super) struct Order {
    all: OrdSet<RuleOrder>,
    /// The rules themselves, in their order, because every decision walks here.
    by_scope: Lookup<Scope, Arc<Vec<Arc<Stored<RoutingRule>>>>>,
    by_name: OrdMap<(Scope, Box<str>), Id<RoutingRule>>,
}

fn order(stored: &Stored<RoutingRule>) -> RuleOrder {
    (stored.resource.priority, stored.created_at, stored.id.clone())
}

fn compare(one: &Stored<RoutingRule>, other: &Stored<RoutingRule>) -> Ordering {
    let order = |stored: &Stored<RoutingRule>| (stored.resource.priority, stored.created_at);
    order(one).cmp(&order(other)).then_with(|| one.id.cmp(&other.id))
}

impl Order {
    pub(super) fn enter(&mut self, stored: &Arc<Stored<RoutingRule>>) {
        let rule = &stored.resource;
        self.all.insert(order(stored));
        let rules = Arc::make_mut(self.by_scope.entry(rule.scope.clone()).or_default());
        rules.insert(rules.partition_point(|other| compare(other, stored).is_lt()), Arc::clone(stored));
        self.by_name.insert((rule.scope.clone(), rule.name.clone()), stored.id.clone());
    }

    pub(super) fn leave(&mut self, stored: &Stored<RoutingRule>) {
        let rule = &stored.resource;
        self.all.remove(&order(stored));
        if let Some(rules) = self.by_scope.get_mut(&rule.scope) {
            let rules = Arc::make_mut(rules);
            rules.retain(|other| other.id != stored.id);
            if rules.is_empty() {
                self.by_scope.remove(&rule.scope);
            }
        }
        let name = (rule.scope.clone(), rule.name.clone());
        if self.by_name.get(&name) == Some(&stored.id) {
            self.by_name.remove(&name);
        }
    }

    /// The rule that has this name in this scope.
    pub(super) fn named(&self, scope: &Scope, name: &str) -> Option<&Id<RoutingRule>> {
        self.by_name.get(&(scope.clone(), name.into()))
    }

    fn of_scope(&self, scope: &Scope) -> &[Arc<Stored<RoutingRule>>] {
        self.by_scope.get(scope).map_or(&[], |rules| rules)
    }

    /// The rules that have this priority in this scope.
    pub(super) fn at(&self, scope: &Scope, priority: i32) -> impl Iterator<Item = &Id<RoutingRule>> {
        let rules = self.of_scope(scope);
        let (_, from) = rules.split_at(rules.partition_point(|rule| rule.resource.priority < priority));
        from.iter().take_while(move |rule| rule.resource.priority == priority).map(|rule| &rule.id)
    }
}

impl State {
    /// The routing rules of a scope, in the order in which they are looked at, disabled ones included.
    pub fn rules_of(&self, scope: &Scope) -> &[Arc<Stored<RoutingRule>>] {
        self.routing.of_scope(scope)
    }

    /// The routing rules that match, by priority, creation and id, after `after`.
    pub fn list_rules(
        &self,
        scope: Option<ScopeKind>,
        scope_id: &str,
        enabled: Option<bool>,
        after: Option<RuleOrder>,
        limit: usize,
    ) -> Page<Arc<Stored<RoutingRule>>> {
        let matches = |stored: &&Arc<Stored<RoutingRule>>| {
            let rule = &stored.resource;
            scope.is_none_or(|scope| rule.scope.kind() == scope)
                && (scope_id.is_empty() || rule.scope.id() == scope_id)
                && enabled.is_none_or(|enabled| rule.enabled == enabled)
        };
        let all = || self.routing.all.iter().filter_map(|(.., id)| self.get(id.as_str())).filter(matches);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let walk = self.routing.all.range((start, Bound::Unbounded)).filter_map(|(.., id)| self.get(id.as_str()));
        let mut items: Vec<_> = walk.filter(matches).take(limit + 1).map(Arc::clone).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let unfiltered = scope.is_none() && scope_id.is_empty() && enabled.is_none();
        Page { items, more, total: if unfiltered { self.routing.all.len() } else { all().count() } }
    }
}
