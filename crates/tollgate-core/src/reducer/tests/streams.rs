//! Streams as they should be, and streams that are broken.

use super::*;

#[test]
fn a_stream_is_told_as_it_goes() {
    let mut reducer = Reducer::new();
    assert_eq!(reducer.connect(), ("", 0));
    let begun = reducer.apply(begin(WatchMode::Snapshot, 2));
    let heartbeat_interval = Duration::from_secs(10);
    let (mode, reason) = (WatchMode::Snapshot, WatchReason::Unspecified);
    let expected = Progress::Begun { mode, reason, head_revision: 2, heartbeat_interval, without_hashes: false };
    assert_eq!(begun, Ok(expected));

    let first = ResourceChange {
        key: key(ResourceKind::Customer, "c"),
        before: None,
        after: Some(Arc::new(customer("c", "one", 1))),
    };
    let staged = reducer.apply(snapshot(batch(0, 1, vec![customer("c", "one", 1)], vec![])));
    assert_eq!(staged, Ok(Progress::Staged(vec![first])));
    assert_eq!(*reducer.state(), View::default());

    let end = reducer.apply(bookmark(2, "t2", digests(&[customer("c", "one", 1)]), true));
    assert_eq!(end, Ok(Progress::Bookmarked { revision: 2, verified: true, dropped: Some(vec![]), age: None }));
    assert_eq!((reducer.state().revision(), reducer.resume_token()), (2, "t2"));

    let change = ResourceChange {
        key: key(ResourceKind::Customer, "c"),
        before: Some(Arc::new(customer("c", "one", 1))),
        after: Some(Arc::new(customer("c", "uno", 3))),
    };
    let applied = reducer.apply(sent(batch(2, 3, vec![customer("c", "uno", 3)], vec![])));
    assert_eq!(applied, Ok(Progress::Applied(vec![change])));
    assert_eq!((reducer.state().revision(), reducer.resume_token()), (3, "t2"));

    let marked = reducer.apply(bookmark(3, "t3", vec![], false));
    assert_eq!(marked, Ok(Progress::Bookmarked { revision: 3, verified: false, dropped: None, age: None }));

    let retry_after = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let away = GoAway { reason: "bye".to_owned(), retry_after };
    let away = reducer.apply(message(watch_config_response::Event::GoAway(away)));
    assert_eq!(away, Ok(Progress::GoAway { reason: "bye".to_owned(), retry_after: Duration::from_secs(1) }));
    assert_eq!(reducer.connect(), ("t3", 3));
}

#[test]
fn the_old_state_stays_until_the_snapshot_is_whole() {
    let mut reducer = at_two();
    let reader = reducer.reader();
    let old = reader.state();

    reducer.connect();
    reducer.apply(begin(WatchMode::Snapshot, 9)).unwrap();
    reducer.apply(snapshot(batch(0, 5, vec![team("t", "five", 5), team("u", "four", 4)], vec![]))).unwrap();
    let removed = vec![key(ResourceKind::Team, "u")];
    reducer.apply(snapshot(batch(5, 9, vec![team("t", "nine", 9)], removed))).unwrap();
    assert_eq!(reader.state(), old);

    let end = reducer.apply(bookmark(9, "t9", digests(&[team("t", "nine", 9)]), true)).unwrap();
    let dropped = ResourceChange {
        key: key(ResourceKind::Customer, "c"),
        before: Some(Arc::new(customer("c", "one", 1))),
        after: None,
    };
    assert_eq!(end, Progress::Bookmarked { revision: 9, verified: true, dropped: Some(vec![dropped]), age: None });
    assert_eq!(held(&reader.state()), [team("t", "nine", 9)]);
    assert_eq!(held(&old), [customer("c", "one", 1), team("t", "two", 2)]);
}

#[test]
fn a_snapshot_that_breaks_off_leaves_nothing() {
    let mut reducer = at_two();
    reducer.connect();
    reducer.apply(begin(WatchMode::Snapshot, 9)).unwrap();
    reducer.apply(snapshot(batch(0, 5, vec![team("u", "four", 4)], vec![]))).unwrap();
    let fragment = ConfigBatch { more: true, ..batch(5, 9, vec![team("v", "nine", 9)], vec![]) };
    reducer.apply(snapshot(fragment)).unwrap();

    assert_eq!(reducer.connect(), ("t2", 2));
    reducer.apply(begin(WatchMode::Resumed, 9)).unwrap();
    reducer.apply(sent(batch(2, 9, vec![team("v", "nine", 9)], vec![key(ResourceKind::Customer, "c")]))).unwrap();
    assert_eq!(held(&reducer.state()), [team("t", "two", 2), team("v", "nine", 9)]);
}

#[test]
fn a_snapshot_may_go_back() {
    let mut reducer = at_two();
    reducer.connect();
    reducer.apply(begin(WatchMode::Snapshot, 0)).unwrap();
    reducer.apply(bookmark(0, "t0", digests(&[]), true)).unwrap();
    assert_eq!(*reducer.state(), View::default());
}

#[test]
fn a_copy_that_was_kept_is_gone_on_from() {
    let resources = [customer("c", "one", 1), team("t", "two", 2)];
    let mut reducer = Reducer::restore(resources.clone(), 3, "t3").unwrap();
    assert_eq!(reducer.connect(), ("t3", 3));
    reducer.apply(begin(WatchMode::Resumed, 3)).unwrap();
    let marked = reducer.apply(bookmark(3, "t3", digests(&resources), false)).unwrap();
    assert_eq!(marked, Progress::Bookmarked { revision: 3, verified: true, dropped: None, age: None });

    let error = Reducer::restore(resources, 1, "t1").unwrap_err();
    assert_eq!(error, ProtocolError::FromTheFuture { revision: 2, to: 1 });
}

#[test]
fn without_its_base_a_copy_is_not_proved_until_a_snapshot() {
    let mut reducer = Reducer::without_base("t7");
    assert_eq!(reducer.connect(), ("t7", 0));
    reducer.apply(begin(WatchMode::Resumed, 9)).unwrap();
    reducer.apply(sent(batch(7, 8, vec![team("t", "eight", 8)], vec![key(ResourceKind::Team, "x")]))).unwrap();
    let others = digests(&[team("t", "eight", 8), team("u", "one", 1)]);
    let marked = reducer.apply(bookmark(8, "t8", others.clone(), false)).unwrap();
    assert_eq!(marked, Progress::Bookmarked { revision: 8, verified: false, dropped: None, age: None });
    let gap = reducer.apply(sent(batch(9, 10, vec![], vec![])));
    assert_eq!(gap, Err(ProtocolError::OutOfOrder { cursor: 8, from: 9, to: 10 }));

    assert_eq!(reducer.connect(), ("", 0), "it shows revision 8, which nothing proves any more");
    reducer.apply(begin(WatchMode::Snapshot, 9)).unwrap();
    let wrong = reducer.apply(bookmark(9, "t9", others, true)).unwrap_err();
    assert!(matches!(wrong, ProtocolError::DigestMismatch { kind: 2, actual: 0, .. }), "{wrong}");
}

#[test]
fn a_wrong_copy_is_noticed_and_starts_over() {
    let mut reducer = resumed(at_two());
    let old = reducer.state();
    let theirs = digests(&[customer("c", "one", 1), team("t", "two", 1)]);
    let expected = resource_digest(2, "t", 1);
    let actual = resource_digest(2, "t", 2);
    let error = reducer.apply(bookmark(2, "t2b", theirs, false)).unwrap_err();
    assert_eq!(error, ProtocolError::DigestMismatch { kind: 2, expected, actual });
    assert!(reducer.must_forget_token());
    assert_eq!(reducer.connect(), ("", 0));
    assert_eq!(reducer.state(), old);

    assert_eq!(reducer.apply(begin(WatchMode::Resumed, 2)), Err(ProtocolError::NothingToResume));
    reducer.apply(begin(WatchMode::Snapshot, 2)).unwrap();
    reducer.apply(snapshot(batch(0, 2, vec![team("t", "two", 1)], vec![]))).unwrap();
    reducer.apply(bookmark(2, "t2c", digests(&[team("t", "two", 1)]), true)).unwrap();
    assert!(!reducer.must_forget_token());
    assert_eq!((reducer.resume_token(), held(&reducer.state())), ("t2c", vec![team("t", "two", 1)]));
}

#[test]
fn a_kind_that_the_digests_leave_out_must_be_empty() {
    let mut reducer = resumed(at_two());
    let mut some = digests(&[customer("c", "one", 1)]);
    some.retain(|digest| digest.kind == 1);
    let error = reducer.apply(bookmark(2, "t2", some, false)).unwrap_err();
    let actual = resource_digest(2, "t", 2);
    assert_eq!(error, ProtocolError::DigestMismatch { kind: 2, expected: 0, actual });
}

#[test]
fn broken_streams_are_refused_and_change_nothing() {
    use ProtocolError as E;
    let future = team("t", "x", 4);
    let both = batch(2, 3, vec![team("t", "x", 3)], vec![key(ResourceKind::Team, "t")]);
    let more = |batch| sent(ConfigBatch { more: true, ..batch });
    let odd_kind = ResourceKey { kind: 77, id: "t".to_owned() };
    let nothing = ConfigResource { resource: None };
    let cases: Vec<(Vec<WatchConfigResponse>, ProtocolError)> = vec![
        (vec![WatchConfigResponse { event: None }], E::UnknownEvent),
        (vec![begin(WatchMode::Unspecified, 2)], E::UnknownMode(0)),
        (vec![sent(batch(3, 4, vec![], vec![]))], E::OutOfOrder { cursor: 2, from: 3, to: 4 }),
        (vec![sent(batch(0, 2, vec![], vec![]))], E::OutOfOrder { cursor: 2, from: 0, to: 2 }),
        (vec![sent(batch(2, 3, vec![nothing], vec![]))], E::UnknownResource),
        (vec![sent(batch(2, 3, vec![], vec![odd_kind]))], E::UnknownKind(77)),
        (vec![sent(batch(2, 3, vec![future], vec![]))], E::FromTheFuture { revision: 4, to: 3 }),
        (vec![sent(both)], E::Contradiction(key(ResourceKind::Team, "t"))),
        (vec![snapshot(batch(2, 3, vec![], vec![]))], E::Mixed),
        (vec![begin(WatchMode::Snapshot, 3), sent(batch(2, 3, vec![], vec![]))], E::Mixed),
        (vec![begin(WatchMode::Snapshot, 3), bookmark(3, "t", vec![], false)], E::Mixed),
        (
            vec![begin(WatchMode::Snapshot, 3), snapshot(batch(1, 3, vec![], vec![]))],
            E::OutOfOrder { cursor: 0, from: 1, to: 3 },
        ),
        (vec![bookmark(3, "t", vec![], true)], E::Mixed),
        (vec![bookmark(1, "t", vec![], false)], E::WentBack { cursor: 2, bookmark: 1 }),
        (vec![more(batch(2, 3, vec![], vec![])), sent(batch(2, 4, vec![], vec![]))], E::Fragments),
        (vec![more(batch(2, 3, vec![], vec![])), bookmark(3, "t", vec![], false)], E::Fragments),
    ];
    for (mut messages, expected) in cases {
        let mut reducer = resumed(at_two());
        let old = reducer.state();
        let last = messages.pop().unwrap();
        for message in messages {
            reducer.apply(message).unwrap();
        }
        assert_eq!(reducer.apply(last), Err(expected.clone()));
        assert_eq!(reducer.state(), old, "{expected}");
        assert_eq!(reducer.must_forget_token(), expected.spoils_the_copy(), "{expected}");
        assert_eq!(reducer.apply(bookmark(2, "t", vec![], false)), Err(E::NotBegun), "after {expected}");
    }
    assert_eq!(Reducer::new().apply(begin(WatchMode::Resumed, 2)), Err(E::NothingToResume));
    let mut again = at_two();
    again.connect();
    assert_eq!(again.apply(bookmark(2, "t", vec![], false)), Err(E::NotBegun));
}

#[test]
fn a_stream_cut_before_its_bookmark_is_resumed_from_the_token() {
    let mut reducer = resumed(at_two());
    let third = batch(2, 3, vec![team("t", "three", 3)], vec![]);
    reducer.apply(sent(third.clone())).unwrap();
    assert_eq!(reducer.connect(), ("t2", 3), "the token of 2, and what is shown");

    reducer.apply(begin(WatchMode::Resumed, 4)).unwrap();
    let removed = batch(3, 4, vec![], vec![key(ResourceKind::Team, "t")]);
    assert_eq!(reducer.apply(sent(third)), Ok(Progress::Applied(vec![])), "nothing changed");
    reducer.apply(sent(removed)).unwrap();
    let left = [customer("c", "one", 1)];
    assert!(matches!(
        reducer.apply(bookmark(4, "t4", digests(&left), false)),
        Ok(Progress::Bookmarked { verified: true, dropped: None, .. })
    ));
    assert_eq!(held(&reducer.state()), left);
}

#[test]
fn what_a_restored_store_has_lost_is_undone() {
    let mut reducer = resumed(at_two());
    reducer.apply(sent(batch(2, 3, vec![], vec![key(ResourceKind::Team, "t")]))).unwrap();
    reducer.apply(sent(batch(3, 4, vec![customer("d", "lost", 4)], vec![]))).unwrap();
    assert_eq!(reducer.connect(), ("t2", 4));

    // The same store, restored to revision 2, has written another 3 and 4.
    reducer.apply(begin(WatchMode::Resumed, 4)).unwrap();
    let third = sent(batch(2, 3, vec![customer("c", "other", 3)], vec![]));
    assert_eq!(reducer.apply(third), Ok(Progress::Pending));
    assert_eq!(reducer.state().revision(), 4, "the old state stays until the stream says where the store is");
    let kept = [customer("c", "other", 3), team("t", "two", 2)];
    let Ok(Progress::Bookmarked { verified: true, dropped: Some(undone), .. }) =
        reducer.apply(bookmark(4, "t4", digests(&kept), false))
    else {
        panic!("the copy is not proved")
    };
    assert_eq!(undone.len(), 3);
    assert_eq!(held(&reducer.state()), kept);
}

#[test]
fn a_stream_that_resumes_never_takes_the_copy_back() {
    let mut reducer = resumed(at_two());
    reducer.apply(sent(batch(2, 4, vec![customer("d", "four", 4)], vec![]))).unwrap();
    let shown = reducer.state();
    reducer.connect();
    reducer.apply(begin(WatchMode::Resumed, 3)).unwrap();
    let back = reducer.apply(bookmark(3, "t3", vec![], false));
    assert_eq!(back, Err(ProtocolError::WentBack { cursor: 4, bookmark: 3 }));
    assert_eq!((reducer.state(), reducer.connect()), (shown, ("", 0)));
}
