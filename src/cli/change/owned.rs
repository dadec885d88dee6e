//! The resources that a set of files manages.

use std::collections::HashSet;

use prost_reflect::Value;

use crate::cli::Failure;
use crate::cli::resource::api::{Api, listing, number, text};
use crate::cli::resource::find;
use crate::cli::resource::get::ORDER;
use crate::cli::resource::place::path;
use crate::cli::resource::subject::Subject;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::apply_change::Change;

/// A resource that is to be deleted, since it is in the files no longer.
pub(super) struct Gone {
    pub(super) change: v1::ApplyChange,
    pub(super) key: v1::ResourceKey,
    pub(super) name: String,
}

/// The resources that are marked with `set` and not among `kept`.
pub(super) async fn gone(api: &Api, set: &str, kept: &HashSet<v1::ResourceKey>) -> Result<Vec<Gone>, Failure> {
    let mut found = Vec::new();
    for kind in ORDER {
        let mut call = listing(Subject::Kind(kind))?.text("managed_by", set);
        if matches!(kind, Kind::Team | Kind::VirtualKey) {
            call = call.with("view", find::full());
        }
        for message in api.list(call).await? {
            let key = v1::ResourceKey { kind: kind.number(), id: text(&message, "id") };
            // A list that does not know the filter lists everything.
            if kept.contains(&key) || text(&message, "managed_by") != set || is_built_in(&message) {
                continue;
            }
            let change = v1::ApplyChange {
                change: Some(Change::Delete(key.clone())),
                revision: number(&message, "revision"),
                ..v1::ApplyChange::default()
            };
            found.push(Gone { change, key, name: path(kind, &message) });
        }
    }
    Ok(found)
}

/// A provider that cannot be deleted.
fn is_built_in(message: &prost_reflect::DynamicMessage) -> bool {
    message.get_field_by_name("built_in").and_then(|value| Value::as_bool(&value)).unwrap_or(false)
}
