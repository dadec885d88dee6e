//! How streams begin: from nothing, from a token, and not at all.

use tollgate::proto::v1::{ResourceKind, Team, WatchConfigRequest, WatchMode, WatchReason};
use tollgate::reducer::{Progress, Reducer};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::rig::{Node, Rig, node, soon};

const RESUMED: (WatchMode, WatchReason) = (WatchMode::Resumed, WatchReason::Unspecified);

fn snapshot(reason: WatchReason) -> (WatchMode, WatchReason) {
    (WatchMode::Snapshot, reason)
}

#[tokio::test]
async fn a_client_without_a_token_gets_a_snapshot_that_is_proved() {
    let (_rig, api) = Rig::started().await;
    let team = api.team("one").await;
    let mut node = Node::new(&[]);
    let (mode, reason, head) = node.connect(&api).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::First));
    assert_eq!(head, team.revision);
    loop {
        match node.expect().await {
            Progress::Staged(_) | Progress::Pending => assert_eq!(node.revision(), 0, "part of a snapshot is visible"),
            Progress::Bookmarked { revision, verified, dropped, age: _ } => {
                assert_eq!((revision, verified), (team.revision, true));
                assert_eq!(dropped, Some(vec![]));
                break;
            }
            other => panic!("{other:?} in a snapshot"),
        }
    }
    assert_eq!(node.reducer.state().len(), api.all().await.len());
}

#[tokio::test]
async fn a_token_survives_a_restart_and_resumes_without_a_snapshot() {
    let (mut rig, api) = Rig::started().await;
    let gone = api.team("gone").await;
    let kept = api.team("kept").await;
    let mut node = node(&api, &[]).await;
    node.close();
    api.delete_team(&gone.id).await.unwrap();
    let last = api.label_team(&kept.id, "new").await;

    let api = rig.restart().await;
    let (mode, reason, head) = node.connect(&api).await.unwrap();
    assert_eq!((mode, reason), RESUMED);
    assert_eq!(head, last);
    let Progress::Applied(changes) = node.expect().await else { panic!("no batch") };
    assert_eq!(changes.len(), 2, "only what changed comes");
    node.until_proved(last).await;
}

#[tokio::test]
async fn a_client_that_is_up_to_date_is_told_so_at_once_with_a_proof() {
    let (mut rig, api) = Rig::started().await;
    rig.settings.watch.heartbeat_interval = std::time::Duration::from_secs(3_600);
    let api = {
        drop(api);
        rig.restart().await
    };
    let head = api.team("one").await.revision;
    let mut node = node(&api, &[]).await;
    let (mode, reason, _) = node.connect(&api).await.unwrap();
    assert_eq!((mode, reason), RESUMED);
    let Progress::Bookmarked { revision, verified, .. } = node.expect().await else { panic!("no bookmark") };
    assert_eq!((revision, verified), (head, true));
}

#[tokio::test]
async fn a_token_of_other_kinds_starts_a_snapshot() {
    let (_rig, api) = Rig::started().await;
    api.team("one").await;
    let all = node(&api, &[]).await;
    let mut teams = Node::new(&[ResourceKind::Team]);
    let (mode, reason, head) = teams.connect_with(&api, all.reducer.resume_token()).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::FilterChanged));
    teams.until_proved(head).await;
    assert_eq!(teams.reducer.state().len(), 1);
}

#[tokio::test]
async fn a_token_of_another_store_starts_a_snapshot_even_if_that_lowers_the_revision() {
    let (_other_rig, other) = Rig::started().await;
    for n in 0..5 {
        other.team(&format!("other {n}")).await;
    }
    let mut node = node(&other, &[]).await;
    let before = node.revision();

    let (_rig, api) = Rig::started().await;
    let only = api.team("only").await;
    let (mode, reason, head) = node.connect(&api).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::StoreChanged));
    assert!(head < before);
    assert_eq!(node.revision(), before, "the old state is served until the snapshot is whole");
    node.until_proved(head).await;
    let teams = node.reducer.state();
    let teams: Vec<_> =
        teams.iter().filter(|(key, _)| key.kind() == ResourceKind::Team).map(|(key, _)| &key.id).collect();
    assert_eq!(teams, [&only.id]);
}

#[tokio::test]
async fn a_restored_backup_is_noticed_and_answered_by_a_snapshot() {
    let (mut rig, api) = Rig::started().await;
    api.team("in the backup").await;
    rig.stop().await;
    let backup = rig.database.back_up();

    rig.start().await;
    let api = rig.api().await;
    api.team("lost").await;
    let mut longer = node(&api, &[]).await;
    let mut forked = node(&api, &[]).await;
    rig.stop().await;
    rig.database.restore(&backup);

    // The token's revision does not exist.
    rig.start().await;
    let api = rig.api().await;
    let (mode, reason, head) = longer.connect(&api).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::Diverged));
    longer.until_proved(head).await;

    // The token's revision exists, with another history.
    api.team("instead").await;
    let (mode, reason, head) = forked.connect(&api).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::Diverged));
    assert_eq!(head, forked.revision(), "both histories are of one length");
    forked.until_proved(head).await;
    let names: Vec<String> = forked
        .reducer
        .state()
        .iter()
        .filter_map(|(_, it)| tollgate::reducer::Summary::of(it))
        .map(|it| it.name)
        .collect();
    assert!(names.contains(&"instead".to_owned()) && !names.contains(&"lost".to_owned()));
}

#[tokio::test]
async fn what_is_shown_without_a_bookmark_does_not_shut_a_client_out_of_a_restored_store() {
    let (mut rig, api) = Rig::started().await;
    api.team("in the backup").await;
    rig.stop().await;
    let backup = rig.database.back_up();
    rig.start().await;
    let api = rig.api().await;
    let (mut early, mut late) = (node(&api, &[]).await, node(&api, &[]).await);
    let lost = api.team("lost").await;
    for node in [&mut early, &mut late] {
        while node.revision() < lost.revision {
            node.expect().await;
        }
        node.close();
    }
    drop(api);
    rig.stop().await;
    rig.database.restore(&backup);
    rig.start().await;
    let api = rig.api().await;

    // Its token is good, and what it shows is not there any more.
    let (mode, reason, head) = early.connect(&api).await.unwrap();
    assert_eq!((mode, reason), snapshot(WatchReason::Diverged));
    assert!(head < lost.revision);
    early.until_proved(head).await;
    // It is there again, and something else.
    let instead = api.team("instead").await;
    assert_eq!(instead.revision, lost.revision);
    let (mode, reason, head) = late.connect(&api).await.unwrap();
    assert_eq!((mode, reason, head), (RESUMED.0, RESUMED.1, instead.revision));
    late.until_proved(head).await;
    early.until_proved(head).await;
    assert_eq!(late.reducer.state(), early.reducer.state());
}

#[tokio::test]
async fn a_token_changed_in_any_place_is_refused() {
    let (_rig, api) = Rig::started().await;
    let node = node(&api, &[]).await;
    let token = node.reducer.resume_token().to_owned();
    let mut refused = vec!["x".to_owned(), "ä".to_owned(), format!("{token}="), format!("{token}A"), "A".repeat(4_000)];
    for index in 0..token.len() {
        refused.push(token[..index].to_owned());
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        refused.push(String::from_utf8(changed).unwrap());
    }
    // The empty token is no token.
    refused.retain(|token| !token.is_empty());
    for token in refused {
        let status = Node::new(&[]).connect_with(&api, &token).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{token}");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "resume_token");
    }
}

#[tokio::test]
async fn malformed_requests_name_every_field() {
    let (_rig, api) = Rig::started().await;
    let request = WatchConfigRequest {
        node_id: "x".repeat(1_025),
        kinds: vec![2, 0, 77],
        min_revision: -1,
        ..WatchConfigRequest::default()
    };
    let status = Node::new(&[]).send(api.0.clone(), request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["node_id", "min_revision", "kinds[1]", "kinds[2]"]);
}

fn retry_info(status: &Status) -> bool {
    status.get_error_details().retry_info().is_some_and(|info| info.retry_delay.is_some())
}

#[tokio::test]
async fn a_revision_that_is_not_reached_is_unavailable_with_a_time_to_retry() {
    let (_rig, api) = Rig::started().await;
    let head = api.team("one").await.revision;
    let asking = |min_revision| WatchConfigRequest { min_revision, ..WatchConfigRequest::default() };
    let status = Node::new(&[]).send(api.0.clone(), asking(head + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(retry_info(&status), "{status:?}");

    let (_, _, begun) = Node::new(&[]).send(api.0.clone(), asking(head)).await.unwrap();
    assert_eq!(begun, head);
}

#[tokio::test]
async fn a_stream_waits_for_the_revision_that_it_is_to_start_at() {
    let (_rig, api) = Rig::started().await;
    let head = api.team("one").await.revision;
    let request = WatchConfigRequest { min_revision: head + 2, ..WatchConfigRequest::default() };
    let channel = api.0.clone();
    let waiting = tokio::spawn(async move { Node::new(&[]).send(channel, request).await });
    api.team("two").await;
    api.team("three").await;
    let (_, _, begun) = soon(waiting).await.unwrap().unwrap();
    assert!(begun >= head + 2);
}

#[tokio::test]
async fn a_new_stream_sees_every_write_that_was_answered() {
    let (_rig, api) = Rig::started().await;
    let mut resuming = node(&api, &[]).await;
    for n in 0..50 {
        let team: Team = api.team(&format!("team {n}")).await;
        let (_, _, head) = Node::new(&[]).connect(&api).await.unwrap();
        assert!(head >= team.revision);
        let (_, _, head) = resuming.connect(&api).await.unwrap();
        assert!(head >= team.revision);
        resuming.until(team.revision).await;
    }
}

#[tokio::test]
async fn one_stream_too_many_is_refused_until_another_ends() {
    let mut rig = Rig::new();
    rig.settings.watch.max_streams = 2;
    rig.start().await;
    let api = rig.api().await;
    let first = node(&api, &[]).await;
    let _second = node(&api, &[]).await;
    let status = Node::new(&[]).connect(&api).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(retry_info(&status), "{status:?}");
    drop(first);
    soon(async { while Node::new(&[]).connect(&api).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_node_that_kept_its_copy_goes_on_from_it() {
    let (_rig, api) = Rig::started().await;
    let team = api.team("one").await;
    let kept = node(&api, &[]).await;
    let (copy, token) = (kept.reducer.state(), kept.reducer.resume_token().to_owned());
    drop(kept);
    let head = api.delete_team(&team.id).await.unwrap().revision;

    let resources = copy.iter().map(|(_, resource)| resource.as_ref().clone());
    let mut node = Node::new(&[]);
    node.reducer = Reducer::restore(resources, copy.revision(), token).unwrap();
    let (mode, reason, _) = node.connect(&api).await.unwrap();
    assert_eq!((mode, reason), RESUMED);
    node.until_proved(head).await;
    assert_eq!(node.reducer.state().len(), copy.len() - 1);
}
