//! How long the audit trail is kept, and that commit times never fall.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::{WatchMode, WatchReason};

use crate::engine::on_postgres;
use crate::process::verify;
use crate::watch::api::Api;
use crate::watch::rig::{Node, Rig, clock, node, soon};

async fn changes(api: &Api) -> Vec<v1::Change> {
    let request = v1::ListChangesRequest { page_size: 1_000, ..Default::default() };
    ConfigServiceClient::new(api.0.clone()).list_changes(request).await.unwrap().into_inner().changes
}

async fn resumes(node: &mut Node, api: &Api) {
    let (mode, _, head) = node.connect(api).await.unwrap();
    assert_eq!(mode, WatchMode::Resumed);
    node.until_proved(head).await;
    node.close();
}

/// The figures of the compaction would keep every one of these few young revisions.
#[tokio::test]
async fn the_audit_is_deleted_when_its_retention_is_over_whatever_else_would_be_kept() {
    let (mut rig, api) = Rig::started().await;
    let mut old = node(&api, &[]).await;
    old.close();
    api.create_team(v1::Team { name: "Research".to_owned(), ..Default::default() }).await.unwrap();
    let mut recent = node(&api, &[]).await;
    recent.close();
    drop(api);
    rig.stop().await;
    // Where there can be another server, it follows the log while that is deleted.
    let mut others = vec![Rig::on(rig.database.clone())];
    others.truncate(usize::from(on_postgres()));
    for other in &mut others {
        other.start().await;
    }

    rig.settings.retention.audit_retention = Duration::ZERO;
    rig.start().await;
    let api = rig.api().await;
    soon(async { while !changes(&api).await.is_empty() {} }).await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees && text.contains("0 revisions"), "{text}");
    let (mode, reason, head) = old.connect(&api).await.unwrap();
    assert_eq!((mode, reason), (WatchMode::Snapshot, WatchReason::Compacted));
    old.until_proved(head).await;
    old.close();
    resumes(&mut recent, &api).await;
    drop(api);
    rig.stop().await;

    rig.settings.retention.audit_retention = Duration::from_secs(86_400);
    rig.start().await;
    let api = rig.api().await;
    let written = api.create_team(v1::Team { name: "Search".to_owned(), ..Default::default() }).await.unwrap();
    assert_eq!(changes(&api).await.iter().map(|change| change.revision).collect::<Vec<_>>(), [written.revision]);
    for other in &mut others {
        let api = other.api().await;
        let (mode, _, _) = recent.connect(&api).await.unwrap();
        assert_eq!(mode, WatchMode::Resumed);
        // It follows the log on from a revision that was deleted meanwhile.
        recent.until_proved(written.revision).await;
        recent.close();
        assert_eq!(changes(&api).await.len(), 1);
        other.stop().await;
    }
    resumes(&mut recent, &api).await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees && text.contains("1 revisions, from"), "{text}");
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn commit_times_do_not_fall_when_the_clock_was_set_back_before_a_start() {
    // There the database's clock is the reference.
    if on_postgres() {
        return;
    }
    const HOUR: i64 = 3_600_000_000;
    const BEFORE: i64 = 1_790_000_000_000_000;
    let mut rig = Rig::new();
    rig.clock = clock(&Arc::new(AtomicI64::new(BEFORE + 24 * HOUR)));
    rig.start().await;
    let api = rig.api().await;
    let first = api.create_team(v1::Team { name: "first".to_owned(), ..Default::default() }).await.unwrap();
    drop(api);
    rig.stop().await;

    let now = Arc::new(AtomicI64::new(BEFORE));
    rig.clock = clock(&now);
    rig.start().await;
    let api = rig.api().await;
    let second = api.create_team(v1::Team { name: "second".to_owned(), ..Default::default() }).await.unwrap();
    now.fetch_add(HOUR, Ordering::SeqCst);
    // Whether something has expired is a question of the clock, not of what was committed.
    let expires_at = Some(prost_types::Timestamp { seconds: (BEFORE + 2 * HOUR) / 1_000_000, nanos: 0 });
    let key = v1::VirtualKey { name: "key".to_owned(), expires_at, ..Default::default() };
    let key = api.create_virtual_key(key).await.unwrap();

    let micros =
        |time: Option<prost_types::Timestamp>| time.map(|at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000);
    let mut times: Vec<Option<i64>> =
        changes(&api).await.into_iter().map(|change| micros(change.commit_time)).collect();
    times.reverse();
    assert!(times.is_sorted(), "{times:?}");
    let created = [first.created_at, second.created_at, key.created_at].map(micros);
    assert!(created.is_sorted() && created[0] < created[1], "{created:?}");
    assert_eq!(created[2], *times.last().unwrap());
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
    drop(api);
    rig.stop().await;
}
