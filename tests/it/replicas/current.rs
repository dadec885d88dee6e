//! A replica that cannot follow the log: it says so, serves nothing, goes on trying, and ends if the log is corrupt.

use std::time::Duration;

use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::engine::cluster::Cluster;
use crate::process::Server;
use crate::watch::rig::{Node, endpoint, soon};

/// Two replicas as processes of their own, and a stream of the second that is up to date.
struct Pair {
    database: Arc<Database>,
    x: (Server, Api),
    y: (Server, Api),
    watcher: Node,
    key: v1::VirtualKey,
}

/// A process on the database, with a heartbeat that shows bookmarks soon.
async fn process(database: &Database, directory: &tempfile::TempDir, bug: Option<Bug>) -> (Server, Api) {
    let bug = bug.map(|bug| format!("{bug:?}")).unwrap_or_default();
    let (url, environment) = (&database.settings.url, [(tollgate::seeded::VARIABLE, bug.as_str())]);
    let launched = Server::launch(directory.path(), url, &["--heartbeat-interval", "100ms"], &environment);
    let (server, address) = launched.await.unwrap();
    (server, Api(soon(endpoint(address).connect()).await.unwrap()))
}

impl Pair {
    async fn start(directories: &[tempfile::TempDir; 2], bug: Option<Bug>) -> Self {
        let database = Arc::new(Database::new());
        let x = process(&database, &directories[0], None).await;
        let y = process(&database, &directories[1], bug).await;
        let key = v1::VirtualKey { name: "key".to_owned(), ..Default::default() };
        let key = x.1.create_virtual_key(key).await.unwrap();
        let mut watcher = crate::watch::rig::node(&y.1, &[]).await;
        watcher.until_proved(key.revision).await;
        Self { database, x, y, watcher, key }
    }

    fn sql(&self, statement: &str) -> String {
        Cluster::shared().sql(crate::engine::name(&self.database.settings.url), statement)
    }

    /// Stops y; x writes a team and sets the key inactive; then something is done to the revision of the team, and y goes on.
    async fn behind(&self, spoil: &str) -> i64 {
        self.y.0.pause();
        let spoiled = self.x.1.team("written while y is stopped").await.revision;
        let key = v1::VirtualKey { id: self.key.id.clone(), is_active: Some(false), ..Default::default() };
        self.x.1.update_virtual_key(key, &["is_active"]).await.unwrap();
        self.sql(&spoil.replace("$1", &spoiled.to_string()));
        self.y.0.resume();
        spoiled
    }

    /// Reads y's stream to its end: the reason of the GoAway. No bookmark may come.
    async fn go_away(&mut self, before: i64) -> String {
        loop {
            match self.watcher.message().await.unwrap().expect("the stream ends with a GoAway").event.unwrap() {
                Event::GoAway(gone) => return gone.reason,
                Event::Bookmark(mark) => {
                    // One that was made before the stop may have been on its way; it says how old it is.
                    assert!(mark.revision < before, "a bookmark at {}", mark.revision);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until y cannot follow, and says so by its health.
    async fn until_not_serving(&self) {
        soon(async {
            while health(&self.y.1, "").await != Some(ServingStatus::NotServing) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

/// Whether the key is active, from the memory of a replica or from the tables.
async fn is_active(api: &Api, key: &v1::VirtualKey, from_memory: bool) -> Result<bool, Status> {
    let request = v1::GetVirtualKeyRequest { id: key.id.clone(), from_memory, ..Default::default() };
    let answer = VirtualKeyServiceClient::new(api.0.clone()).get_virtual_key(request).await?.into_inner();
    Ok(answer.virtual_key.unwrap().is_active())
}

async fn health(api: &Api, service: &str) -> Option<ServingStatus> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(api.0.clone()).check(request).await.ok()?.into_inner();
    Some(answer.status())
}

/// Everything at y that is not health is refused with UNAVAILABLE, RetryInfo and the reason.
async fn refuses_all(api: &Api, key: &v1::VirtualKey) {
    let read = is_active(api, key, true).await.unwrap_err();
    let from_tables = is_active(api, key, false).await.unwrap_err();
    let written = create(api, "refused", &uuid()).await.unwrap_err();
    let mut node = Node::new(&[]);
    let watched = node.connect(api).await.unwrap_err();
    for status in [read, from_tables, written, watched] {
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "ERROR_REASON_REPLICA_NOT_CURRENT");
        assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    }
    assert_eq!(health(api, "").await, Some(ServingStatus::NotServing));
    assert_eq!(health(api, "tollgate.v1.writes").await, Some(ServingStatus::NotServing));
}

const HIDE: &str = "UPDATE change_txn SET revision = -revision WHERE revision = $1";
const SHOW: &str = "UPDATE change_txn SET revision = -revision WHERE revision = -$1";

/// What makes the row of a team that another replica wrote one that cannot be read, and what mends it.
const MAKE_UNREADABLE: &str = "ALTER TABLE team ALTER COLUMN name DROP NOT NULL; \
                               UPDATE team SET name = NULL WHERE revision = $1";
const MAKE_READABLE: &str = "UPDATE team SET name = 'written while y is stopped' WHERE revision = $1";
/// How long a row stays unreadable for want of something that passes.
const PASSES: Duration = Duration::from_secs(2);

/// The process ends by itself, with the code for corruption.
async fn ends(mut server: Server) -> i32 {
    soon(async {
        loop {
            if let Some(status) = server.ended() {
                return status.code().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_misses_a_revision_says_so_and_ends() {
    if !here() {
        return;
    }
    for spoil in [
        "DELETE FROM change_txn WHERE revision = $1",
        "UPDATE change_txn SET chain = '\\x00' WHERE revision = $1",
        MAKE_UNREADABLE,
    ] {
        let directories = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
        let mut pair = Pair::start(&directories, None).await;
        let missing = pair.behind(spoil).await;
        assert_eq!(pair.go_away(missing).await, "REPLICA_NOT_CURRENT");
        assert_eq!(ends(pair.y.0).await, 3);
        let log = std::fs::read_to_string(directories[1].path().join("log")).unwrap();
        assert_eq!(
            log.matches("the database is corrupt: each reading for 5 seconds found the same").count(),
            2,
            "{log}"
        );
        // The other one had read it, and goes on.
        assert!(!is_active(&pair.x.1, &pair.key, true).await.unwrap());
    }
}

/// With a bug that keeps the process from ending, so that it can be asked for long enough.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_follow_serves_nothing_until_it_can() {
    if !here() {
        return;
    }
    let directories = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let mut pair = Pair::start(&directories, Some(Bug::NeverProven)).await;
    let missing = pair.behind(HIDE).await;
    assert_eq!(pair.go_away(missing).await, "REPLICA_NOT_CURRENT");
    refuses_all(&pair.y.1, &pair.key).await;
    pair.sql(&SHOW.replace("$1", &missing.to_string()));
    let active = soon(async {
        loop {
            match is_active(&pair.y.1, &pair.key, true).await {
                Ok(active) => return active,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(!active.await, "a revoked key reads as active");
    assert_eq!(health(&pair.y.1, "").await, Some(ServingStatus::Serving));
    let written = soon(async {
        loop {
            if let Ok(team) = create(&pair.y.1, "accepted again", &uuid()).await {
                return team.revision;
            }
        }
    });
    pair.watcher.connect(&pair.y.1).await.unwrap();
    pair.watcher.until_proved(written.await).await;
}

/// The time is that of the fault: a lack of memory may show itself as a column that cannot be read for so long.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_for_a_while_ends_nothing() {
    if !here() {
        return;
    }
    let directories = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
    let mut pair = Pair::start(&directories, None).await;
    let unreadable = pair.behind(MAKE_UNREADABLE).await;
    assert_eq!(pair.go_away(unreadable).await, "REPLICA_NOT_CURRENT");
    refuses_all(&pair.y.1, &pair.key).await;
    tokio::time::sleep(PASSES).await;
    pair.sql(&MAKE_READABLE.replace("$1", &unreadable.to_string()));
    let active = soon(async {
        loop {
            assert!(pair.y.0.ended().is_none(), "the process ended");
            match is_active(&pair.y.1, &pair.key, true).await {
                Ok(active) => return active,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(!active.await, "a revoked key reads as active");
}

/// With each of these bugs y breaks one part of the promise in which the others do not show: while it lasts, which is until
/// corruption is proven.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_go_on_health_that_stays_and_calls_that_are_answered_are_found() {
    if !here() {
        return;
    }
    for bug in [Bug::StreamsGoOn, Bug::HealthStaysServing, Bug::CallsAreAnswered] {
        let directories = [(); 2].map(|()| tempfile::TempDir::new().unwrap());
        let mut pair = Pair::start(&directories, Some(bug)).await;
        let missing = pair.behind(HIDE).await;
        let (found, others) = match bug {
            Bug::StreamsGoOn => {
                pair.until_not_serving().await;
                let read = is_active(&pair.y.1, &pair.key, true).await;
                (pair.go_away(missing).await != "REPLICA_NOT_CURRENT", read.is_err())
            }
            Bug::HealthStaysServing => {
                let gone = pair.go_away(missing).await == "REPLICA_NOT_CURRENT";
                let read = is_active(&pair.y.1, &pair.key, true).await;
                (health(&pair.y.1, "").await == Some(ServingStatus::Serving), gone && read.is_err())
            }
            _ => {
                let gone = pair.go_away(missing).await == "REPLICA_NOT_CURRENT";
                pair.until_not_serving().await;
                (is_active(&pair.y.1, &pair.key, true).await.is_ok(), gone)
            }
        };
        assert!(found, "{bug:?} is not found");
        assert!(others, "{bug:?} hides other parts of the promise");
    }
}
