//! Scopes of routing rules and model configs.

use super::text::reference;
use crate::domain::{Path, Scope, ScopeKind, Violations};

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
        Some(kind) => Some(Scope::new(kind, reference(id, &field, violations))),
    }
}
