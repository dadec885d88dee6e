//! Changes that are large, and too large for one revision.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate_testkit::world::{World, key};

use super::group::{CommitBatchBuilder, KEPT_BODIES};
use super::{Call, Command};
use crate::domain::{Error, Id, Resource as _, Stored, Team, Timestamp, VirtualKey};
use crate::proto::v1;
use crate::state::{Children, Context, Head, MAX_CHANGES, State, delete};
use crate::store::LogBody;

/// A state in which a team has `count` keys, and the team.
fn with_keys(count: usize) -> (State, Arc<Stored<Team>>) {
    let mut world = World::new();
    let team = world.add::<Team>(v1::Team { name: "large".to_owned(), ..Default::default() });
    let key = world.add::<VirtualKey>(v1::VirtualKey { team_id: team.id.to_string(), ..key(Vec::new()) });
    let numbered = |number: usize| {
        let name = format!("key {number}").into();
        let resource = VirtualKey { name, ..key.resource.clone() };
        let revision = i64::try_from(number).unwrap() + 3;
        VirtualKey::wrap(Arc::new(Stored { id: Id::new(number.to_string()), revision, resource, ..*key }))
    };
    let head = Head { revision: i64::try_from(count).unwrap() + 3, ..State::of(&world).head().clone() };
    let state = State::restore(head, (0..count).map(numbered).chain([Team::wrap(Arc::clone(&team))]), [], []);
    (state, team)
}

#[test]
fn a_deletion_that_changes_too_much_is_refused_with_the_count() {
    let deleted = |count: usize| {
        let (state, team) = with_keys(count);
        let (mut random, now) = (StdRng::seed_from_u64(1), Timestamp::EPOCH);
        let revision = state.revision() + 1;
        let mut cx = Context {
            now,
            committed_at: now,
            revision,
            random: &mut random,
            last_config_id: 0,
            last_random: None,
            checks_later: false,
        };
        (delete::<Team>(&state, &mut cx, team.id.as_str(), 0, Children::Detach), team)
    };
    assert_eq!(deleted(MAX_CHANGES - 1).0.unwrap().changes.len(), MAX_CHANGES);
    let (Err(Error::ChangeTooLarge { what, count, limit }), team) = deleted(MAX_CHANGES) else {
        panic!("it is not refused");
    };
    assert_eq!((count, limit), (MAX_CHANGES + 1, MAX_CHANGES));
    assert!(what.contains(team.id.as_str()), "{what}");
}

#[test]
fn of_many_changes_no_bytes_are_kept() {
    let logged = |count: usize| {
        let (state, team) = with_keys(count - 1);
        let before = state.head().chain;
        let mut gathering = CommitBatchBuilder::new(state, Vec::new(), Timestamp::EPOCH);
        let command = Command {
            decide: Box::new(move |state, cx| delete::<Team>(state, cx, team.id.as_str(), 0, Children::Detach)),
            answer: Box::new(|_, _, _| Vec::new()),
        };
        gathering.decide(&Call::of("M"), &command).unwrap();
        let txn = gathering.close().unwrap().0.txns.remove(0);
        assert_eq!((txn.rows.len(), txn.chain), (count, txn.chain_after(before)));
        txn.rows.into_iter().flat_map(|row| [row.before, row.after]).flatten().collect::<Vec<_>>()
    };
    assert!(logged(KEPT_BODIES).iter().all(|body| matches!(body, LogBody::Encoded(_))));
    assert!(logged(KEPT_BODIES + 1).iter().all(|body| matches!(body, LogBody::Resource(..))));
}
