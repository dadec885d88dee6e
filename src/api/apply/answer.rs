//! The answer of `Apply`.

use std::collections::{HashMap, HashSet};

use crate::domain::{AnyResource, ResourceKey};
use crate::proto::v1;
use crate::state::{Change, Decision, Fate, State};
use crate::wire::{self, Form, render_any, strip_hashes};

/// Other resources that an answer lists as changed, at most.
const LISTED_CHANGES: usize = 1_000;

/// The answer of a decision that led to `state`; the resources themselves only if they are asked for.
pub(super) fn render(state: &State, decision: &Decision, with_resources: bool) -> v1::ApplyResponse {
    let named: HashSet<&ResourceKey> = decision.outcomes.iter().map(|outcome| &outcome.key).collect();
    let keys: Vec<ResourceKey> = decision.changes.iter().map(Change::key).collect();
    let also: Vec<&ResourceKey> = keys.iter().filter(|key| !named.contains(key)).collect();
    let changes: HashMap<&ResourceKey, &Change> = keys.iter().zip(&decision.changes).collect();
    let outcomes = decision.outcomes.iter().map(|outcome| {
        let change = changes.get(&outcome.key);
        let before_revision = match change {
            Some(change) => change.before.as_ref().map_or(0, AnyResource::revision),
            None => state.config().any(&outcome.key).as_ref().map_or(0, AnyResource::revision),
        };
        let sides = with_resources.then(|| match change {
            Some(change) => (change.before.as_ref().map(shown), change.after.as_ref().map(shown)),
            None => {
                let unchanged = state.config().any(&outcome.key).as_ref().map(shown);
                (unchanged.clone(), unchanged)
            }
        });
        let (before, after) = sides.unwrap_or_default();
        v1::ApplyOutcome {
            key: Some(wire::resource_key(&outcome.key)),
            operation: operation(outcome.fate).into(),
            value: String::new(),
            before,
            after,
            before_revision,
        }
    });
    v1::ApplyResponse {
        revision: state.revision(),
        outcomes: outcomes.collect(),
        also_changed: also.iter().take(LISTED_CHANGES).map(|key| wire::resource_key(key)).collect(),
        total_changed_count: i32::try_from(also.len()).unwrap_or(i32::MAX),
    }
}

const fn operation(fate: Fate) -> v1::ApplyOperation {
    match fate {
        Fate::Created => v1::ApplyOperation::Created,
        Fate::Updated => v1::ApplyOperation::Updated,
        Fate::Unchanged => v1::ApplyOperation::Unchanged,
        Fate::Deleted => v1::ApplyOperation::Deleted,
    }
}

/// A resource for people to read.
fn shown(any: &AnyResource) -> v1::ConfigResource {
    let mut resource = render_any(any, Form::Log);
    strip_hashes(&mut resource);
    resource
}
