//! A database that is stopped, or silent, while it is used: what is refused, how soon, and what the log says of it.

use std::time::{Duration, Instant};

use tokio_stream::StreamExt as _;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;

use super::*;
use crate::engine::cluster::Cluster;
use crate::engine::name;
use crate::process::Server;
use crate::proxy::Proxy;
use crate::usage::{batch, entry, register, report, statuses};
use crate::watch::rig::{endpoint, soon};

/// The promise is 2 s until it is known that the database is away. Machines on which tests run are slow.
const KNOWN: Duration = Duration::from_secs(5);
/// How often each call is made then. The promise is 200 ms for each.
const CALLS: u32 = 20;
const REFUSED: Duration = Duration::from_millis(200);

/// A process on the database at `url`.
async fn process(database: &Database, url: &str) -> (Server, Api) {
    let (server, address) = Server::launch(database.directory(), url, &[], &[]).await.unwrap();
    (server, Api(soon(endpoint(address).connect()).await.unwrap()))
}

/// A team, from the tables.
async fn read(api: &Api, id: &str) -> Result<(), Status> {
    let request = v1::GetTeamRequest { id: id.to_owned(), ..Default::default() };
    TeamServiceClient::new(api.0.clone()).get_team(request).await.map(drop)
}

/// The answer to one batch.
async fn count(api: &Api, incarnation: i64, sequence: i64) -> Result<v1::ReportUsageResponse, Status> {
    let batches = tokio_stream::iter([batch(incarnation, sequence, vec![entry("unknown", 1)])]);
    let mut acks = UsageServiceClient::new(api.0.clone()).report_usage(batches).await?.into_inner();
    acks.next().await.expect("an answer or an error")
}

/// The calls are refused for now, each soon.
async fn refused_soon<T: std::fmt::Debug, Call>(what: &str, call: impl Fn() -> Call)
where
    Call: Future<Output = Result<T, Status>>,
{
    let started = Instant::now();
    for _ in 0..CALLS {
        assert_unavailable(&call().await.unwrap_err());
    }
    let took = started.elapsed();
    assert!(took < CALLS * REFUSED, "{CALLS} {what} were refused in {took:?}");
}

/// Lines of a log: level, target and message, without those of calls.
fn lines(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["target"] != "tollgate::call").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_stopped_database_is_refused_at_once_and_the_log_says_it_once() {
    if !here() {
        return;
    }
    for mode in ["fast", "immediate"] {
        let cluster = Cluster::start(&["fsync=off"]);
        let database = Database::of(&cluster);
        let (server, api) = process(&database, &database.settings.url).await;
        let team = api.team("before").await;
        let incarnation = register(&api).await;
        let log = database.directory().join("log");
        let before = lines(&std::fs::read_to_string(&log).unwrap()).len();

        cluster.stop(mode);
        let started = Instant::now();
        assert_unavailable(&create(&api, "refused", "").await.unwrap_err());
        let known = started.elapsed();
        assert!(known < KNOWN, "-m {mode}: the first write was refused after {known:?}");
        refused_soon("writes", || create(&api, "refused", "")).await;
        refused_soon("reads from tables", || read(&api, &team.id)).await;
        refused_soon("usage reports", || count(&api, incarnation, 1)).await;
        assert_eq!(teams(&api).await.len(), 1, "memory is read");

        cluster.resume();
        soon(async {
            while create(&api, "after", "").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(statuses(&[count(&api, incarnation, 1).await.unwrap()]), [(1, v1::UsageAckStatus::Applied, 2)]);
        let mut said = lines(&std::fs::read_to_string(&log).unwrap()).split_off(before);
        // A server that starts tells where the store stands, and may do so only now.
        said.retain(|line| line["message"] != "chain");
        let messages: Vec<_> = said.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(
            messages,
            ["the database cannot be written; reads and streams go on", "the database can be written again"],
            "-m {mode}: {said:#?}"
        );
        // Writes and batches; some more writes may have come before it could be written again.
        let refused = said[1]["refused"].as_u64().unwrap();
        assert!(refused > u64::from(2 * CALLS), "{refused} were refused");
        server.kill();
    }
}

#[tokio::test]
async fn a_silence_at_commit_is_noticed_whoever_commits() {
    if !here() {
        return;
    }
    let cluster = Cluster::shared();
    let url = cluster.create();
    let network = Proxy::to(([127, 0, 0, 1], cluster.port).into()).await;
    let database = Database::at(format!("postgres://tollgate@{}/{}?sslmode=disable", network.address, name(&url)));
    let mut replicas = replicas(&Arc::new(database), 1).await;
    let api = replicas[0].1.clone();
    let registration = || async {
        let request = v1::RegisterNodeRequest { node_id: "node".to_owned(), ..Default::default() };
        UsageServiceClient::new(api.0.clone()).register_node(request).await.map(drop)
    };
    let write = || async { create(&api, "silenced", "").await.map(drop) };
    for registers in [false, true] {
        network.silence_at_commit();
        let started = Instant::now();
        let refused = if registers { registration().await } else { write().await };
        let known = started.elapsed();
        assert_unavailable(&refused.unwrap_err());
        assert!(known < KNOWN, "registers: {registers}: refused after {known:?}");
        network.speak();
        soon(async {
            while create(&api, &format!("after {registers}"), "").await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    replicas[0].0.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_whose_commit_was_not_answered_is_learnt_from_the_journal() {
    if !here() {
        return;
    }
    let cluster = Cluster::shared();
    let database = Database::new();
    let network = Proxy::to(([127, 0, 0, 1], cluster.port).into()).await;
    let name = name(&database.settings.url);
    let url = format!("postgres://tollgate@{}/{name}?sslmode=disable", network.address);
    let (server, api) = process(&database, &url).await;
    let incarnation = register(&api).await;
    let mut sequence = 1;
    // What is done in the background commits too.
    network.cut_at_commit();
    while count(&api, incarnation, sequence).await.is_ok() {
        sequence += 1;
        network.cut_at_commit();
    }
    // The COMMIT was let through before the connection ended.
    let again = soon(async {
        loop {
            match count(&api, incarnation, sequence).await {
                Ok(answer) => return answer,
                Err(status) => assert_unavailable(&status),
            }
        }
    });
    assert_eq!(statuses(&[again.await]), [(sequence, v1::UsageAckStatus::Duplicate, sequence + 1)]);
    let next = report(&api, vec![batch(incarnation, sequence + 1, vec![])]).await;
    assert_eq!(statuses(&next), [(sequence + 1, v1::UsageAckStatus::Applied, sequence + 2)]);
    let log = std::fs::read_to_string(database.directory().join("log")).unwrap();
    assert_eq!(log.matches("store loaded").count(), 1, "everything was read anew: {log}");
    server.kill();
}
