//! Changes that are too large for one revision.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tollgate_testkit::world::{World, key};

use crate::domain::{Error, Id, Resource as _, Stored, Team, Timestamp, VirtualKey};
use crate::proto::v1;
use crate::state::{Context, Head, MAX_CHANGES, State, delete};

#[test]
fn a_deletion_that_changes_too_much_is_refused_with_the_count() {
    let mut world = World::new();
    let team = world.add::<Team>(v1::Team { name: "large".to_owned(), ..Default::default() });
    let key = world.add::<VirtualKey>(v1::VirtualKey { team_id: team.id.to_string(), ..key(Vec::new()) });
    let with_keys = |count: usize| {
        let key = |number: usize| {
            let name = format!("key {number}").into();
            let resource = VirtualKey { name, ..key.resource.clone() };
            let revision = i64::try_from(number).unwrap() + 3;
            VirtualKey::wrap(Arc::new(Stored { id: Id::new(number.to_string()), revision, resource, ..*key }))
        };
        let head = Head { revision: i64::try_from(count).unwrap() + 3, ..State::of(&world).head().clone() };
        State::restore(head, (0..count).map(key).chain([Team::wrap(Arc::clone(&team))]), [], [])
    };
    let deleted = |state: &State| {
        let (mut random, now) = (StdRng::seed_from_u64(1), Timestamp::EPOCH);
        let revision = state.revision() + 1;
        let mut cx = Context { now, committed_at: now, revision, random: &mut random, last_config_id: 0 };
        delete::<Team>(state, &mut cx, team.id.as_str(), 0)
    };
    assert_eq!(deleted(&with_keys(MAX_CHANGES - 1)).unwrap().changes.len(), MAX_CHANGES);
    let Err(Error::ChangeTooLarge { what, count, limit }) = deleted(&with_keys(MAX_CHANGES)) else {
        panic!("it is not refused");
    };
    assert_eq!((count, limit), (MAX_CHANGES + 1, MAX_CHANGES));
    assert!(what.contains(team.id.as_str()), "{what}");
}
