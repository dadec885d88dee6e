//! Lists of routing rules: by priority, the order in which they are looked at.

use std::sync::Arc;

use super::{Page, State};
use crate::domain::{RoutingRule, ScopeKind, Stored};
use tollgate_core::config::RuleOrder;

impl State {
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
        let all = || self.config.rules_after(None).filter(matches);
        let walk = self.config.rules_after(after);
        let mut items: Vec<_> = walk.filter(matches).take(limit + 1).map(Arc::clone).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let unfiltered = scope.is_none() && scope_id.is_empty() && enabled.is_none();
        Page { items, more, total: if unfiltered { self.config.count::<RoutingRule>() } else { all().count() } }
    }
}
