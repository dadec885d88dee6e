//! Lists of routing rules: by priority, the order in which they are looked at.

use std::sync::Arc;

use super::{Page, State};
use crate::domain::{RoutingRule, ScopeKind, Stored};
use tollgate_core::config::RuleOrder;

/// A filter of routing rules. All that is given must match.
#[derive(PartialEq, Default)]
pub struct RuleFilter<'a> {
    /// Of such a scope.
    pub scope: Option<ScopeKind>,
    /// For the key, team or customer with this id; empty for all.
    pub scope_id: &'a str,
    /// Enabled, or not.
    pub enabled: Option<bool>,
    /// Managed by this source; empty for all.
    pub managed_by: &'a str,
}

impl State {
    /// The routing rules that match, by priority, creation and id, after `after`.
    pub fn list_rules(
        &self,
        filter: &RuleFilter<'_>,
        after: Option<RuleOrder>,
        limit: usize,
    ) -> Page<Arc<Stored<RoutingRule>>> {
        let RuleFilter { scope, scope_id, enabled, managed_by } = filter;
        let matches = |stored: &&Arc<Stored<RoutingRule>>| {
            let rule = &stored.resource;
            scope.is_none_or(|scope| rule.scope.kind() == scope)
                && (scope_id.is_empty() || rule.scope.id() == *scope_id)
                && enabled.is_none_or(|enabled| rule.enabled == enabled)
                && (managed_by.is_empty() || *rule.managed_by == **managed_by)
        };
        let all = || self.config.rules_after(None).filter(matches);
        let walk = self.config.rules_after(after);
        let mut items: Vec<_> = walk.filter(matches).take(limit + 1).map(Arc::clone).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let unfiltered = *filter == RuleFilter::default();
        Page { items, more, total: if unfiltered { self.config.count::<RoutingRule>() } else { all().count() } }
    }
}
