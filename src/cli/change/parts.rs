//! Many changes in several calls.

use prost::Message as _;

use crate::proto::v1;
use crate::proto::v1::apply_change::Change;
use crate::proto::v1::config_resource::Resource;

/// The most changes that a call makes.
pub(super) const MAX_CHANGES: usize = 10_000;
/// The most bytes of a call that makes changes. Its options need some of the 64 MiB that the server takes.
const MAX_BYTES: usize = 63 * 1024 * 1024;

/// Whether a call makes so many changes with so many bytes.
pub(super) const fn fits(changes: usize, bytes: usize) -> bool {
    changes <= MAX_CHANGES && bytes <= MAX_BYTES
}

/// The calls that make these changes one after the other: parents come before what names them, and deletions last, in the
/// reverse order.
pub(super) fn in_calls(mut changes: Vec<(usize, v1::ApplyChange)>) -> Vec<Vec<(usize, v1::ApplyChange)>> {
    changes.sort_by_key(|(_, change)| turn(change));
    let (mut calls, mut call, mut bytes) = (Vec::new(), Vec::new(), 0);
    for (place, change) in changes {
        let len = change.encoded_len();
        if !fits(call.len() + 1, bytes + len) && !call.is_empty() {
            calls.push(std::mem::take(&mut call));
            bytes = 0;
        }
        bytes += len;
        call.push((place, change));
    }
    if !call.is_empty() {
        calls.push(call);
    }
    calls
}

/// When its turn is, as the server has it within a call.
fn turn(change: &v1::ApplyChange) -> i32 {
    use v1::ResourceKind as Kind;
    let of_kind = |kind: Kind| match kind {
        Kind::Provider | Kind::McpClient => 1,
        Kind::Customer => 2,
        Kind::Team => 3,
        Kind::VirtualKey => 4,
        _ => 5,
    };
    match &change.change {
        Some(Change::Upsert(resource)) => match &resource.resource {
            Some(Resource::Provider(_) | Resource::McpClient(_)) => of_kind(Kind::Provider),
            Some(Resource::Customer(_)) => of_kind(Kind::Customer),
            Some(Resource::Team(_)) => of_kind(Kind::Team),
            Some(Resource::VirtualKey(_)) => of_kind(Kind::VirtualKey),
            _ => of_kind(Kind::Unspecified),
        },
        Some(Change::Delete(key)) => 11 - of_kind(key.kind()),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upsert(resource: Resource) -> v1::ApplyChange {
        let upsert = v1::ConfigResource { resource: Some(resource) };
        v1::ApplyChange { change: Some(Change::Upsert(upsert)), ..v1::ApplyChange::default() }
    }

    #[test]
    fn parents_come_first_deletions_last_and_no_call_has_too_much() {
        let team = |name: String| upsert(Resource::Team(v1::Team { name, ..v1::Team::default() }));
        let delete = |kind: v1::ResourceKind| {
            let key = v1::ResourceKey { kind: kind.into(), id: "id".to_owned() };
            v1::ApplyChange { change: Some(Change::Delete(key)), ..v1::ApplyChange::default() }
        };
        let first = [
            delete(v1::ResourceKind::Customer),
            delete(v1::ResourceKind::VirtualKey),
            upsert(Resource::VirtualKey(v1::VirtualKey::default())),
        ];
        let teams = (0..MAX_CHANGES).map(|number| team(number.to_string()));
        let last =
            [upsert(Resource::Customer(v1::Customer::default())), upsert(Resource::Provider(v1::Provider::default()))];
        let changes: Vec<_> = first.into_iter().chain(teams).chain(last).enumerate().collect();
        let count = changes.len();
        let calls = in_calls(changes);
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_CHANGES, 5]);
        let places: Vec<usize> = calls.iter().flatten().map(|(place, _)| *place).collect();
        assert_eq!(places[..3], [count - 1, count - 2, 3]);
        assert_eq!(places[count - 4..], [count - 3, 2, 1, 0]);

        // Of large ones fewer.
        let large = |_| team("x".repeat(30 * 1024 * 1024));
        let calls = in_calls((0..5).map(large).enumerate().collect());
        assert_eq!(calls.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(in_calls(Vec::new()).is_empty());
    }
}
