//! While the system gives no more threads.

use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::engine::cluster::Cluster;
use crate::process::{Limit, Resource, Server};
use crate::watch::rig::{endpoint, node, soon};

/// Longer than the runtime keeps a thread that looks up names and has nothing to do, as long as nobody asks it to keep one.
const IDLE: Duration = Duration::from_secs(12);

/// Connecting by a name takes a thread to look it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_gets_no_thread_connects_again_and_follows() {
    if !here() {
        return;
    }
    let database = Arc::new(Database::new());
    let cluster = Cluster::shared();
    let name = crate::engine::name(&database.settings.url);
    let url = format!("postgres://tollgate@localhost:{}/{name}?application_name=short", cluster.port);
    let directory = TempDir::new().unwrap();
    let (server, address) = Server::launch_unprivileged(directory.path(), &url, &[], &[]).await.unwrap();
    let short = Api(soon(endpoint(address).connect()).await.unwrap());
    let mut others = replicas(&database, 1).await;
    let (mut rig, other) = others.remove(0);
    let mut watcher = node(&short, &[]).await;
    tokio::time::sleep(IDLE).await;

    let limit = Limit::to_what_is_used(server.id(), Resource::Threads).unwrap();
    cluster.sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'short'");
    let written = other.team("written meanwhile").await.revision;
    watcher.until_proved(written).await;
    let here = soon(async {
        loop {
            match create(&short, "written by the one that is short", &uuid()).await {
                Ok(team) => return team.revision,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
            }
        }
    });
    assert_eq!(here.await, written + 1);
    drop(limit);
    watcher.until_proved(written + 1).await;
    server.kill();
    rig.stop().await;
}
