//! While it is not.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tollgate::proto::v1::{WatchMode, WatchReason};
use tollgate::reducer::Progress;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::engine::cluster::Cluster;
use crate::engine::name;
use crate::proxy::Proxy;
use crate::watch::rig::{Node, node, soon};

async fn health(api: &Api, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(api.0.clone()).check(request).await.unwrap().into_inner().status()
}

async fn until_writes(api: &Api, status: ServingStatus) {
    soon(async {
        while health(api, "tollgate.v1.writes").await != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_database_reads_and_streams_go_on_and_writes_come_back_by_themselves() {
    if !here() {
        return;
    }
    let cluster = Cluster::start(&["fsync=off"]);
    let database = Arc::new(Database::of(&cluster));
    let mut replicas = replicas(&database, 2).await;
    let (one, two) = (replicas[0].1.clone(), replicas[1].1.clone());
    let first = create(&one, "first", "").await.unwrap();
    let mut node = node(&one, &[]).await;
    until_writes(&one, ServingStatus::Serving).await;

    cluster.crash();
    assert_unavailable(&create(&one, "refused", "").await.unwrap_err());
    until_writes(&one, ServingStatus::NotServing).await;
    until_writes(&two, ServingStatus::NotServing).await;
    assert_eq!(health(&one, "").await, ServingStatus::Serving);
    // Those that come now are not made to wait for the database.
    let started = Instant::now();
    for _ in 0..20 {
        assert_unavailable(&create(&one, "refused", "").await.unwrap_err());
    }
    println!("20 writes were refused in {:?}", started.elapsed());
    assert_eq!(teams(&one).await.into_keys().collect::<Vec<_>>(), ["first"]);
    for _ in 0..3 {
        let beat = node.expect().await;
        assert!(matches!(beat, Progress::Bookmarked { verified: true, .. }), "{beat:?}");
    }
    // A new stream too; but whether a token from ahead is good, nobody can tell now.
    let mut other = Node::new(&[]);
    let (.., head) = other.connect(&one).await.unwrap();
    other.until_proved(head).await;

    cluster.resume();
    until_writes(&one, ServingStatus::Serving).await;
    until_writes(&two, ServingStatus::Serving).await;
    let second = create(&two, "second", "").await.unwrap();
    assert_eq!(second.revision, first.revision + 1);
    node.until_proved(second.revision).await;
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
    assert_eq!(check_log(&database).await, second.revision);
}

/// A new database beyond a network that can fail, and its URL where it does not.
async fn beyond_a_network() -> (Proxy, Database, String) {
    let cluster = Cluster::shared();
    let url = cluster.create();
    let network = Proxy::to(([127, 0, 0, 1], cluster.port).into()).await;
    let database = Database::at(format!("postgres://tollgate@{}/{}?sslmode=disable", network.address, name(&url)));
    (network, database, url)
}

#[tokio::test]
async fn half_open_connections_to_the_database_are_given_up() {
    if !here() {
        return;
    }
    let (network, database, url) = beyond_a_network().await;
    let mut replicas = replicas(&Arc::new(database), 1).await;
    let api = replicas[0].1.clone();
    let before = create(&api, "before", "").await.unwrap();

    // Nothing comes through any connection that there is, and no end is told; others can be made.
    network.silence();
    let refused = create(&api, "after", &uuid()).await.unwrap_err();
    assert_unavailable(&refused);
    network.speak();
    let after = soon(persist(std::slice::from_ref(&api), 0, "after")).await;
    assert_eq!(after.revision, before.revision + 1);
    // What others write is heard of, too.
    let mut other = Rig::on(Arc::new(Database::at(url)));
    other.start().await;
    create(&other.api().await, "elsewhere", "").await.unwrap();
    soon(async {
        while teams(&api).await.len() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    other.stop().await;
    replicas[0].0.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_given_back_in_silence_takes_the_place_of_no_other() {
    if !here() {
        return;
    }
    let (network, database, _) = beyond_a_network().await;
    let store = database.store().await;
    // The only connection that reads.
    let snapshot = store.snapshot().await.unwrap();
    network.silence();
    drop(snapshot);
    // Until it is found out that it does not answer any more.
    tokio::time::sleep(Duration::from_secs(4)).await;
    network.speak();
    soon(async {
        while store.read_head().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    store.close().await;
}

#[tokio::test]
async fn connections_that_are_lost_as_they_are_given_back_are_replaced() {
    if !here() {
        return;
    }
    let (network, database, url) = beyond_a_network().await;
    let mut replicas = replicas(&Arc::new(database), 1).await;
    let api = replicas[0].1.clone();
    create(&api, "before", "").await.unwrap();

    // All that write and the one that reads.
    network.silence_at_return(true);
    soon(async {
        while network.silenced_at_return() < 3 {
            let _ = create(&api, "meanwhile", "").await;
        }
    })
    .await;
    network.silence_at_return(false);
    soon(persist(std::slice::from_ref(&api), 0, "after")).await;
    let mut other = Rig::on(Arc::new(Database::at(url)));
    other.start().await;
    create(&other.api().await, "elsewhere", "").await.unwrap();
    soon(async {
        while !teams(&api).await.contains_key("elsewhere") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    other.stop().await;
    replicas[0].0.stop().await;
}

/// A write that is sent again, with its request id and to any replica, until it is answered.
async fn persist(apis: &[Api], turn: usize, name: &str) -> v1::Team {
    let id = uuid();
    for attempt in 0.. {
        match create(&apis[(turn + attempt) % apis.len()], name, &id).await {
            Ok(team) => return team,
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    unreachable!("it is tried for ever")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_under_load_loses_nothing_and_doubles_nothing() {
    const CRASHES: u64 = 3;
    const LANES: usize = 4;
    if !here() {
        return;
    }
    // Durable: what was answered must survive.
    let cluster = Cluster::start(&[]);
    let database = Arc::new(Database::of(&cluster));
    let mut replicas = replicas(&database, 3).await;
    let apis: Vec<Api> = replicas.iter().map(|(_, api)| api.clone()).collect();
    let answered = Arc::new(AtomicU64::new(0));
    let done = Arc::new(tokio::sync::Notify::new());
    let stop = tokio_util::sync::CancellationToken::new();

    let mut writers = JoinSet::new();
    for lane in 0..LANES {
        let (apis, answered, done, stop) = (apis.clone(), Arc::clone(&answered), Arc::clone(&done), stop.clone());
        writers.spawn(async move {
            let mut known = Vec::new();
            for count in 0.. {
                if stop.is_cancelled() {
                    break;
                }
                let name = format!("{lane}-{count}");
                let team = persist(&apis, lane + count, &name).await;
                known.push((name, team.id, team.revision));
                answered.fetch_add(1, Ordering::SeqCst);
                done.notify_waiters();
            }
            known
        });
    }
    let mut watchers = JoinSet::new();
    for lane in 0..2 {
        let (apis, stop) = (apis.clone(), stop.clone());
        watchers.spawn(async move {
            let mut node = Node::new(&[]);
            let mut turn = lane;
            while !stop.is_cancelled() {
                let had_token = !node.reducer.resume_token().is_empty();
                turn += 1;
                // A token from ahead of the replica waits for the database.
                let Ok((mode, reason, head)) = node.connect(&apis[turn % apis.len()]).await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let expected = match had_token {
                    true => (WatchMode::Resumed, WatchReason::Unspecified),
                    false => (WatchMode::Snapshot, WatchReason::First),
                };
                assert_eq!((mode, reason), expected);
                node.until(head).await;
            }
            node
        });
    }
    for crash in 1..=CRASHES {
        let until = crash * 25;
        soon(async {
            while answered.load(Ordering::SeqCst) < until {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        cluster.crash();
        cluster.resume();
    }
    let until = answered.load(Ordering::SeqCst) + 25;
    soon(async {
        while answered.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    stop.cancel();
    let known: Vec<(String, String, i64)> = soon(writers.join_all()).await.concat();
    let expected: BTreeMap<String, String> = known.iter().map(|(name, id, _)| (name.clone(), id.clone())).collect();
    let head = known.iter().map(|(.., revision)| *revision).max().unwrap();
    let mut reference = Node::new(&[]);
    let request = v1::WatchConfigRequest { min_revision: head, ..reference.request("") };
    reference.send(apis[0].0.clone(), request).await.unwrap();
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
        assert_eq!(teams(api).await, expected, "what was answered, once, and nothing else");
    }
    for (rig, _) in &mut replicas {
        rig.stop().await;
    }
    assert_eq!(check_log(&database).await, head);
    println!("{CRASHES} crashes, {} writes", known.len());
}

/// Whoever has a lock that [`hold`] took in the database.
const HELD: &str = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";

/// Takes a lock, and has it when this returns. It is let go when the cluster crashes or ends.
fn hold(cluster: &Cluster, database: &str, lock: &str) -> Child {
    let script = format!("BEGIN; {lock}; SELECT pg_sleep(600)");
    let mut psql = cluster.psql(database);
    let holder = psql.args(["-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while cluster.sql(database, &format!("SELECT count(*) {HELD}")) != "1" {
        std::thread::sleep(Duration::from_millis(5));
    }
    holder
}

#[tokio::test]
async fn what_is_being_written_is_shown_to_nobody_and_is_gone_if_the_database_dies() {
    if !here() {
        return;
    }
    let cluster = Cluster::start(&[]);
    let database = Arc::new(Database::of(&cluster));
    let mut replicas = replicas(&database, 1).await;
    let api = replicas[0].1.clone();
    let before = create(&api, "before", "").await.unwrap();

    // Somebody holds the table: the write has the head of the log, and waits with its row.
    let name = name(&database.settings.url);
    let mut holder = hold(&cluster, name, "LOCK TABLE team IN SHARE MODE");
    let written = tokio::spawn({
        let api = api.clone();
        async move { create(&api, "during", "").await }
    });
    soon(async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'team'::regclass";
        while cluster.sql(name, waiting) != "1" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let only_before = BTreeMap::from([(before.name.clone(), before.id.clone())]);
    assert_eq!(teams(&api).await, only_before);
    let mut node = Node::new(&[]);
    assert_eq!(node.connect(&api).await.unwrap().2, before.revision);

    cluster.crash();
    holder.wait().unwrap();
    assert_unavailable(&written.await.unwrap().unwrap_err());
    assert_eq!(teams(&api).await, only_before);
    cluster.resume();
    let after = soon(persist(std::slice::from_ref(&api), 0, "after")).await;
    assert_eq!(after.revision, before.revision + 1);
    node.until_proved(after.revision).await;
    replicas[0].0.stop().await;
    assert_eq!(check_log(&database).await, after.revision);
}

#[tokio::test]
async fn a_lock_that_is_not_let_go_delays_others_only_for_so_long() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let mut replicas = replicas(&database, 1).await;
    let api = replicas[0].1.clone();
    create(&api, "before", "").await.unwrap();
    // Somebody who never lets go: nobody waits for ever.
    let (cluster, name) = (Cluster::shared(), name(&database.settings.url));
    let mut holder = hold(cluster, name, "SELECT FROM head FOR UPDATE");
    assert_unavailable(&create(&api, "refused", "").await.unwrap_err());
    assert_eq!(teams(&api).await.len(), 1, "reads go on");
    cluster.sql(name, &format!("SELECT pg_terminate_backend(pid) {HELD}"));
    holder.wait().unwrap();
    // Another server that stopped in its transaction. PostgreSQL ends it, because it is idle.
    let stopped = database.store().await;
    let held = stopped.lock().await.unwrap();
    soon(persist(std::slice::from_ref(&api), 0, "after")).await;
    drop(held);
    stopped.close().await;
    replicas[0].0.stop().await;
}
