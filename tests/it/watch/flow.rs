//! How streams go on: batches, fragments, bookmarks, heartbeats, and their end.

use std::sync::Arc;

use futures_util::future::join_all;
use prost::Message as _;
use tollgate::proto::v1::watch_config_response::Event;
use tollgate::proto::v1::{Children, McpClient, ResourceKind, Team, VirtualKey};
use tollgate::reducer::{Progress, Summary};
use tonic::transport::Channel;

use super::api::Api;
use super::rig::{Node, Rig, endpoint, node, soon};

const MIB: usize = 1024 * 1024;

/// A connection that takes little at a time.
async fn narrow(rig: &Rig) -> Api {
    let endpoint = endpoint(rig.address()).initial_stream_window_size(1_024).initial_connection_window_size(1_024);
    let channel: Channel = soon(endpoint.connect()).await.unwrap();
    Api(channel)
}

#[tokio::test]
async fn each_batch_is_followed_by_its_bookmark_at_once() {
    let mut rig = Rig::new();
    rig.settings.watch.heartbeat_interval = std::time::Duration::from_secs(3_600);
    rig.start().await;
    let api = rig.api().await;
    let mut node = node(&api, &[]).await;
    for n in 0..20 {
        let revision = api.team(&format!("team {n}")).await.revision;
        let Progress::Applied(changes) = node.expect().await else { panic!("no batch") };
        assert_eq!(changes.len(), 1);
        assert_eq!(node.revision(), revision);
        let Progress::Bookmarked { revision: at, dropped, .. } = node.expect().await else { panic!("no bookmark") };
        assert_eq!((at, dropped), (revision, None));
    }
}

#[tokio::test]
async fn an_idle_stream_beats_and_every_beat_proves_the_copy() {
    let (_rig, api) = Rig::started().await;
    let head = api.team("one").await.revision;
    for kinds in [vec![], vec![ResourceKind::Team], vec![ResourceKind::McpClient]] {
        let mut node = node(&api, &kinds).await;
        for _ in 0..3 {
            let Progress::Bookmarked { revision, verified, .. } = node.expect().await else { panic!("no bookmark") };
            assert_eq!((revision, verified), (head, true));
        }
    }
}

#[tokio::test]
async fn changes_of_other_kinds_move_a_stream_on_by_its_heartbeats() {
    let (_rig, api) = Rig::started().await;
    let mut node = node(&api, &[ResourceKind::McpClient]).await;
    let head = api.team("one").await.revision;
    assert_eq!(node.until(head).await, 0, "a batch came");
    node.close();
    let head = api.team("two").await.revision;
    node.connect(&api).await.unwrap();
    assert_eq!(node.until(head).await, 0, "a batch came");
    assert!(node.reducer.state().is_empty());
}

#[tokio::test]
async fn a_stream_of_some_kinds_has_these_and_no_others_removals_included() {
    let (_rig, api) = Rig::started().await;
    let mut teams = node(&api, &[ResourceKind::Team]).await;
    let mut others = node(&api, &[ResourceKind::VirtualKey, ResourceKind::McpClient]).await;
    let team = api.team("team").await;
    let key = VirtualKey { name: "key".to_owned(), team_id: team.id.clone(), ..VirtualKey::default() };
    let key = api.create_virtual_key(key).await.unwrap();
    let client = McpClient { name: "mcp".to_owned(), ..McpClient::default() };
    let client = api.create_mcp_client(client).await.unwrap();
    let deleted = api.delete_team_and(&team.id, Children::Detach).await.unwrap();
    assert_eq!(deleted.also_changed.len(), 1);
    let removed = api.delete_mcp_client(&client.id).await.unwrap().revision;

    for (node, kinds, left) in [
        (&mut teams, vec![ResourceKind::Team], vec![]),
        (&mut others, vec![ResourceKind::VirtualKey, ResourceKind::McpClient], vec![key.id]),
    ] {
        while node.revision() < removed {
            let message = node.message().await.unwrap().unwrap();
            if let Some(Event::Batch(batch)) = &message.event {
                let upserts = batch.upserts.iter().map(|it| Summary::of(it).unwrap().key.kind());
                let removes = batch.removes.iter().map(|key| key.kind());
                assert!(upserts.chain(removes).all(|kind| kinds.contains(&kind)), "{batch:?}");
            }
            if let Some(Event::Bookmark(bookmark)) = &message.event {
                assert!(bookmark.digests.iter().all(|digest| kinds.contains(&digest.kind())));
            }
            node.reducer.apply(message).unwrap();
        }
        node.until_proved(removed).await;
        assert_eq!(node.reducer.state().iter().map(|(key, _)| key.id.clone()).collect::<Vec<_>>(), left);
    }
}

/// Reads to the bookmark at `revision` or later, and returns the sizes of the fragments of each batch.
async fn fragments(node: &mut Node, revision: i64) -> Vec<Vec<usize>> {
    let (mut batches, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let message = node.message().await.unwrap().unwrap();
        let size = message.encoded_len();
        let more = match &message.event {
            Some(Event::Batch(batch)) => Some(batch.more),
            _ => None,
        };
        let before = node.reducer.state();
        let progress = node.reducer.apply(message).unwrap();
        if let Some(more) = more {
            assert!(size <= MIB + 1_024, "a fragment has {size} bytes");
            sizes.push(size);
            if more {
                assert_eq!(progress, Progress::Pending);
                assert!(Arc::ptr_eq(&before, &node.reducer.state()), "part of a batch is visible");
            } else {
                batches.push(std::mem::take(&mut sizes));
            }
        }
        if let Progress::Bookmarked { revision: at, .. } = progress
            && at >= revision
        {
            return batches;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_call_changes_arrives_at_once_in_fragments_that_clients_can_take() {
    const KEYS: usize = 2_000;
    let (_rig, api) = Rig::started().await;
    let mut node = node(&api, &[]).await;
    let team = api.create_team(Team { name: "team".to_owned(), ..Team::default() }).await.unwrap();
    let mut last = 0;
    for chunk in 0..KEYS / 100 {
        let create = |n: usize| {
            let key = VirtualKey {
                name: format!("key {chunk} {n}"),
                team_id: team.id.clone(),
                description: "x".repeat(1_000),
                ..VirtualKey::default()
            };
            api.create_virtual_key(key)
        };
        let created = join_all((0..100).map(create)).await;
        last = created.into_iter().map(|key| key.unwrap().revision).max().unwrap().max(last);
    }
    // The node reads nothing meanwhile, so that all of this is one batch, or nearly.
    node.until(last).await;

    let mut newcomer = Node::new(&[]);
    newcomer.connect(&api).await.unwrap();
    let snapshot = fragments(&mut newcomer, last).await;
    let total: usize = snapshot.iter().flatten().sum();
    assert!(total > 2 * MIB, "a snapshot of {total} bytes proves nothing");

    let deleted = api.delete_team_and(&team.id, Children::Detach).await.unwrap();
    assert_eq!(deleted.revision, last + 1);
    for node in [&mut node, &mut newcomer] {
        let batches = fragments(node, deleted.revision).await;
        assert_eq!(batches.len(), 1, "one revision came in parts");
        assert!(batches[0].len() > 2, "{batches:?}");
        node.until_proved(deleted.revision).await;
        let state = node.reducer.state();
        let left = state.iter().filter(|(key, _)| key.kind() == ResourceKind::VirtualKey);
        let revisions: Vec<i64> = left.map(|(_, it)| Summary::of(it).unwrap().revision).collect();
        assert_eq!(revisions, vec![deleted.revision; KEYS]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stalls_gets_the_latest_state_once_and_costs_the_writers_nothing() {
    const UPDATES: usize = 1_000;
    let (rig, api) = Rig::started().await;
    let team = api.team("team").await;
    let mut node = Node::new(&[]);
    let (_, _, head) = node.connect(&narrow(&rig).await).await.unwrap();
    node.until(head).await;

    let mut last = 0;
    for n in 0..UPDATES {
        last = api.label_team(&team.id, &format!("{n} {}", "x".repeat(60))).await;
    }
    let applied = node.until(last).await;
    // What was on its way before the windows were full, and then one batch of all the rest.
    assert!(applied < UPDATES / 10, "{applied} batches for a client that read nothing");
    node.until_proved(last).await;
}

#[tokio::test]
async fn shutdown_says_goodbye_to_every_stream_and_ends_it_well() {
    let (mut rig, api) = Rig::started().await;
    let mut nodes = Vec::new();
    for kinds in [vec![], vec![ResourceKind::Team], vec![ResourceKind::McpClient]] {
        nodes.push(node(&api, &kinds).await);
    }
    let stopping = rig.ask_to_stop();
    for mut node in nodes {
        let mut last = None;
        while let Some(progress) = node.step().await.unwrap() {
            last = Some(progress);
        }
        let Some(Progress::GoAway { reason, retry_after }) = last else { panic!("the last was {last:?}") };
        assert!(!reason.is_empty() && !retry_after.is_zero());
        assert!(!node.reducer.resume_token().is_empty(), "the token stays good");
    }
    soon(stopping).await.unwrap().unwrap();
}
