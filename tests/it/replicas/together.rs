//! While the database is there.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tollgate::proto::v1::UsageAckStatus::{Applied, Duplicate};
use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::{WatchMode, WatchReason};

use super::*;
use crate::engine::Backup;
use crate::watch::rig::{Node, node, soon};

const WRITES: usize = 40;
pub(super) const BATCHES: i64 = 20;

pub(super) async fn register(api: &Api) -> i64 {
    let request = v1::RegisterNodeRequest { node_id: "node".to_owned(), ..Default::default() };
    UsageServiceClient::new(api.0.clone()).register_node(request).await.unwrap().into_inner().incarnation
}

pub(super) async fn report(api: &Api, key: &str, incarnation: i64, sequence: i64) -> v1::ReportUsageResponse {
    let entry = v1::UsageEntry {
        virtual_key_id: key.to_owned(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        requests: 1,
        cost_nano_usd: 1_000 + sequence,
        ..Default::default()
    };
    let request = v1::ReportUsageRequest {
        node_id: "node".to_owned(),
        incarnation,
        sequence,
        entries: vec![entry],
        ..Default::default()
    };
    let acks = UsageServiceClient::new(api.0.clone()).report_usage(tokio_stream::iter([request])).await.unwrap();
    acks.into_inner().next().await.unwrap().unwrap()
}

async fn used(api: &Api) -> i64 {
    let request = v1::ListBudgetsRequest { from_memory: true, ..Default::default() };
    let budgets = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner().budgets;
    budgets.iter().map(|budget| budget.current_usage_nano_usd).sum()
}

/// A key with a budget.
pub(super) async fn key(api: &Api) -> v1::VirtualKey {
    let budget = v1::Budget { max_limit: 1.0, reset_duration: "1d".to_owned(), ..Default::default() };
    let key = v1::VirtualKey { name: "key".to_owned(), budgets: vec![budget], ..Default::default() };
    api.create_virtual_key(key).await.unwrap()
}

/// Waits for what must come by itself.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    soon(async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_write_count_and_watch_as_one() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut replicas = replicas(&database, 3).await;
    let apis: Vec<Api> = replicas.iter().map(|(_, api)| api.clone()).collect();
    let key = key(&apis[0]).await;

    let mut writers = JoinSet::new();
    for (lane, api) in apis.iter().cloned().enumerate() {
        writers.spawn(async move {
            let mut revisions = Vec::new();
            let mut last: Option<v1::Team> = None;
            for count in 0..WRITES {
                let team = create(&api, &format!("{lane}-{count}"), &uuid()).await.unwrap();
                revisions.push(team.revision);
                // Every other one goes again.
                if let Some(last) = last.take() {
                    revisions.push(api.delete_team(&last.id).await.unwrap().revision);
                } else {
                    last = Some(team);
                }
            }
            revisions
        });
    }
    let mut reporters = JoinSet::new();
    for lane in 0..2 {
        let (apis, key) = (apis.clone(), key.id.clone());
        reporters.spawn(async move {
            // Registered here, and each batch at another replica, twice.
            let incarnation = register(&apis[lane]).await;
            for sequence in 1..=BATCHES {
                let first = &apis[(lane + sequence as usize) % apis.len()];
                assert_eq!(report(first, &key, incarnation, sequence).await.status(), Applied);
                let again = &apis[(lane + 1 + sequence as usize) % apis.len()];
                assert_eq!(report(again, &key, incarnation, sequence).await.status(), Duplicate);
            }
        });
    }
    let mut watchers = JoinSet::new();
    for lane in 0..2 {
        let apis = apis.clone();
        watchers.spawn(async move {
            let mut node = Node::new(&[]);
            for turn in 0..12 {
                let had_token = !node.reducer.resume_token().is_empty();
                let (mode, reason, head) = node.connect(&apis[(lane + turn) % apis.len()]).await.unwrap();
                let expected = match had_token {
                    true => (WatchMode::Resumed, WatchReason::Unspecified),
                    false => (WatchMode::Snapshot, WatchReason::First),
                };
                assert_eq!((mode, reason), expected);
                let from = node.revision();
                node.until(head.max(from)).await;
                assert!(node.revision() >= from, "a stream went back");
            }
            node
        });
    }
    let given: Vec<i64> = soon(writers.join_all()).await.concat();
    soon(reporters.join_all()).await;
    let distinct: BTreeSet<i64> = given.iter().copied().collect();
    assert_eq!(distinct.len(), given.len(), "no two writes were given one revision");
    let head = *distinct.last().unwrap();
    assert_eq!(head - distinct.first().unwrap() + 1, given.len() as i64, "revisions are dense");

    let mut reference = Node::new(&[]);
    reference.connect(&apis[0]).await.unwrap();
    reference.until_proved(head).await;
    for mut node in soon(watchers.join_all()).await {
        node.connect(&apis[1]).await.unwrap();
        node.until_proved(head).await;
        assert_eq!(node.reducer.state(), reference.reducer.state());
    }
    for api in &apis {
        let mut node = Node::new(&[]);
        let request = v1::WatchConfigRequest { min_revision: head, ..node.request("") };
        node.send(api.0.clone(), request).await.unwrap();
        node.until_proved(head).await;
        assert_eq!(node.reducer.state(), reference.reducer.state());
        // Spent by the two nodes, each batch once.
        let expected = 2 * (1..=BATCHES).map(|sequence| 1_000 + sequence).sum::<i64>();
        until(|| async { used(api).await == expected }).await;
    }
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
    assert_eq!(check_log(&database).await, head);
    // What was folded and what was not: a server that starts has all of it.
    let mut rig = Rig::on(Arc::clone(&database));
    rig.start().await;
    let api = rig.api().await;
    assert_eq!(used(&api).await, 2 * (1..=BATCHES).map(|sequence| 1_000 + sequence).sum::<i64>());
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_id_holds_at_every_replica() {
    if !here() {
        return;
    }
    let mut replicas = replicas(&Arc::new(Database::new()), 2).await;
    let id = uuid();
    let first = create(&replicas[0].1, "once", &id).await.unwrap();
    assert_eq!(create(&replicas[1].1, "once", &id).await.unwrap(), first);
    let refused = create(&replicas[1].1, "other", &id).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // A name that was taken elsewhere a moment ago is taken.
    let refused = create(&replicas[1].1, "once", "").await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_token_of_another_replica_resumes_at_once() {
    if !here() {
        return;
    }
    let mut replicas = replicas(&Arc::new(Database::new()), 2).await;
    let (one, two) = (replicas[0].1.clone(), replicas[1].1.clone());
    let mut node = node(&one, &[]).await;
    for count in 0..10 {
        let revision = create(&one, &format!("team {count}"), "").await.unwrap().revision;
        node.until(revision).await;
        let begun = node.connect(&two).await.unwrap();
        assert_eq!(begun, (WatchMode::Resumed, WatchReason::Unspecified, revision));
        node.until_proved(revision).await;
        node.connect(&one).await.unwrap();
    }
    // Shown already, and no bookmark has come: what was read of the stream ends before it.
    for count in 0..10 {
        let revision = create(&one, &format!("shown {count}"), "").await.unwrap().revision;
        while node.revision() < revision {
            node.expect().await;
        }
        let (mode, reason, head) = node.connect(&two).await.unwrap();
        assert_eq!((mode, reason), (WatchMode::Resumed, WatchReason::Unspecified));
        assert!(head >= revision, "the replica is at {head}, and the node at {revision}");
        node.until_proved(revision).await;
        node.connect(&one).await.unwrap();
        node.until_proved(revision).await;
    }
    // A snapshot that must not go back.
    let revision = create(&one, "last", "").await.unwrap().revision;
    let mut other = Node::new(&[]);
    let request = v1::WatchConfigRequest { min_revision: revision, ..other.request("") };
    let (.., head) = other.send(two.0.clone(), request).await.unwrap();
    assert!(head >= revision);
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_backup_that_is_restored_under_running_replicas_is_noticed() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut rig = Rig::on(Arc::clone(&database));
    rig.start().await;
    api_write(&rig, "kept").await;
    rig.stop().await;
    let backup = database.back_up();

    let mut replicas = replicas(&database, 2).await;
    let lost = create(&replicas[0].1, "lost", "").await.unwrap();
    let mut node = node(&replicas[1].1, &[]).await;
    node.until(lost.revision).await;
    database.restore(&backup);

    // The stream ends by itself, and the token is answered by a snapshot of what is there now.
    soon(async { while let Ok(Some(_)) = node.step().await {} }).await;
    let (mode, reason, head) = node.connect(&replicas[1].1).await.unwrap();
    assert_eq!((mode, reason), (WatchMode::Snapshot, WatchReason::Diverged));
    assert_eq!(head, lost.revision - 1);
    node.until_proved(head).await;
    for (_, api) in &replicas {
        until(|| async { teams(api).await.into_keys().eq(["kept"]) }).await;
    }
    assert_eq!(create(&replicas[0].1, "instead", "").await.unwrap().revision, lost.revision);
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
    check_log(&database).await;
}

/// Connects with usage; how.
async fn connect_with_usage(node: &mut Node, api: &Api) -> WatchMode {
    let request = v1::WatchConfigRequest { include_usage: true, ..node.resume() };
    node.send(api.0.clone(), request).await.unwrap().0
}

/// Waits until the node was told that so much was used.
async fn until_told(node: &mut Node, nano_usd: i64) {
    soon(async {
        while node.reducer.usage().values().map(|limit| limit.used).sum::<i64>() != nano_usd {
            node.expect().await;
        }
    })
    .await;
}

#[tokio::test]
async fn usage_that_a_restored_backup_does_not_have_is_taken_back() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut rig = Rig::on(Arc::clone(&database));
    rig.start().await;
    let api = rig.api().await;
    let (key, incarnation) = (key(&api).await, register(&api).await);
    report(&api, &key.id, incarnation, 1).await;
    rig.stop().await;
    let backup = database.back_up();

    let (mut rig, api) = replicas(&database, 1).await.remove(0);
    for sequence in 2..=5 {
        report(&api, &key.id, incarnation, sequence).await;
    }
    let mut node = Node::new(&[]);
    connect_with_usage(&mut node, &api).await;
    until_told(&mut node, 5_015).await;
    database.restore(&backup);

    // The configuration is the same, so that only usage can tell; versions are lower than those that the node knows.
    soon(async { while let Ok(Some(_)) = node.step().await {} }).await;
    assert_eq!(connect_with_usage(&mut node, &api).await, WatchMode::Resumed);
    until_told(&mut node, 1_001).await;
    assert_eq!(report(&api, &key.id, incarnation, 2).await.status(), Applied);
    until_told(&mut node, 2_003).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_restored_backup_that_counts_on_past_what_was_told_is_noticed_all_the_same() {
    if !here() {
        return;
    }
    // By batches for the narrow key, which move one counter, and for the wide one, which move two: to the version that was
    // told, past it in the same steps, and past it in others.
    for batches in ["nnnn", "nnnnnn", "nnnwn"] {
        let database = Arc::new(Database::new());
        let mut rig = Rig::on(Arc::clone(&database));
        rig.start().await;
        let api = rig.api().await;
        let (key, incarnation) = (key(&api).await, register(&api).await);
        let budget =
            |length: &str| v1::Budget { max_limit: 9.0, reset_duration: length.to_owned(), ..Default::default() };
        let budgets = vec![budget("1d"), budget("1w")];
        let wide = v1::VirtualKey { name: "wide".to_owned(), budgets, ..Default::default() };
        let wide = api.create_virtual_key(wide).await.unwrap();
        report(&api, &key.id, incarnation, 1).await;
        rig.stop().await;
        let backup = database.back_up();

        // What is put back has counted on from the backup already, before anybody can look at it.
        let Backup::Database(copy) = &backup else { panic!("a backup is a database") };
        let mut rig = Rig::on(Arc::new(Database::at(cluster::Cluster::shared().url(copy))));
        rig.start().await;
        let api = rig.api().await;
        let other = register(&api).await;
        let mut counted = 1_001;
        for (sequence, of) in (1..).zip(batches.chars()) {
            let (id, counters) = if of == 'n' { (&key.id, 1) } else { (&wide.id, 2) };
            report(&api, id, other, sequence).await;
            counted += counters * (1_000 + sequence);
        }
        drop(api);
        rig.stop().await;

        let (mut rig, api) = replicas(&database, 1).await.remove(0);
        for sequence in 2..=5 {
            report(&api, &key.id, incarnation, sequence).await;
        }
        let mut node = Node::new(&[]);
        connect_with_usage(&mut node, &api).await;
        until_told(&mut node, 5_015).await;
        database.restore(&backup);

        soon(async { while let Ok(Some(_)) = node.step().await {} }).await;
        assert_eq!(connect_with_usage(&mut node, &api).await, WatchMode::Resumed);
        until_told(&mut node, counted).await;
        rig.stop().await;
    }
}

async fn api_write(rig: &Rig, name: &str) {
    create(&rig.api().await, name, "").await.unwrap();
}

#[tokio::test]
async fn a_running_replica_is_not_harmed_by_what_a_newer_one_adds_and_one_that_is_too_old_does_not_start() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut replicas = replicas(&database, 1).await;
    let api = replicas[0].1.clone();
    create(&api, "before", "").await.unwrap();
    let name = database.settings.url.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
    cluster::Cluster::shared().sql(
        &name,
        "ALTER TABLE team ADD COLUMN note text NOT NULL DEFAULT ''; CREATE TABLE added (id int PRIMARY KEY); \
         INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)",
    );
    create(&api, "after", "").await.unwrap();
    assert_eq!(teams(&api).await.len(), 2);
    let team = api.team("listed").await;
    let request = v1::GetTeamRequest { id: team.id.clone(), ..Default::default() };
    TeamServiceClient::new(api.0.clone()).get_team(request).await.unwrap();

    let listener = tollgate::server::bind("127.0.0.1:0").await.unwrap();
    let settings = replicas[0].0.settings.clone();
    let error = tollgate::server::run(listener, settings, std::future::pending()).await.unwrap_err().to_string();
    assert!(error.contains("newer version of tollgate") && error.contains("m9999_future"), "{error}");
    replicas[0].0.stop().await;
}
