//! Scopes of routing rules and model configs.

use super::text::reference_to;
use crate::domain::{Kind, Path, Scope, ScopeKind, Violations};

/// The scope that two fields say. `kind` is `None` if the enum has no such value, or the unspecified one.
pub(super) fn parse(
    kind: Option<ScopeKind>,
    names: &str,
    id: &str,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Scope> {
    let field = path.field("scope_id");
    match kind {
        None => {
            violations.add(path.field("scope"), format!("is missing or unknown; must be one of {names}"));
            None
        }
        Some(ScopeKind::Global) => {
            if !id.is_empty() {
                violations.add(field, "is given, but the scope is global; leave it empty");
            }
            Some(Scope::Global)
        }
        Some(kind) => {
            let named = match kind {
                ScopeKind::Customer => Kind::Customer,
                ScopeKind::Team => Kind::Team,
                ScopeKind::VirtualKey | ScopeKind::Global => Kind::VirtualKey,
            };
            Some(Scope::new(kind, reference_to(named, id, &field, violations)))
        }
    }
}
