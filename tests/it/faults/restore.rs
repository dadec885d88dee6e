//! The end of a run: an older base backup of the database is put back under running replicas. What came after it is lost,
//! as it must be; everybody notices, and comes to hold what is there instead.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::rngs::StdRng;

use super::checker::{Violation, check};
use super::clients::Clients;
use super::history::History;
use super::run::Crowd;
use super::world::World;
use crate::engine::cluster::Cluster;
use crate::watch::rig::{Node, soon};

/// Writes after the backup that are lost, and writes instead of them: more, so that the same revisions are reached again.
const LOST: u64 = 25;
const INSTEAD: u64 = 60;

/// Backs up the store, which is at `head`, goes on, and goes back, while nodes watch. Returns what contradicts the logs, and
/// how many copies were compared with them.
pub(super) async fn restore(
    world: &Arc<World>,
    nodes: Vec<Node>,
    head: i64,
    rng: &mut StdRng,
) -> (Vec<Violation>, usize) {
    let (mut crowd, clients) = (Crowd::default(), Arc::new(Clients::new(world.gates(), head)));
    let mut history = History { prepared: head, ..History::default() };
    crowd.write(&clients, 100..102, rng);
    crowd.watch(&clients, nodes.into_iter(), rng);
    let backup = world.with_cluster(Cluster::back_up).await;
    written(&clients, LOST).await;
    let (lost, nodes) = crowd.finish(world, &clients, &mut history, rng).await;
    let (mut violations, mut copies) = check(&history, &lost);

    world.with_cluster(move |cluster| cluster.restore(&backup)).await;
    let store = world.store().await;
    let prepared = store.read_head().await.unwrap().revision;
    store.close().await;
    assert!(prepared < lost.head.revision, "nothing is lost");

    let (mut crowd, clients) = (Crowd::default(), Arc::new(Clients::new(world.gates(), prepared)));
    let mut history = History { prepared, lost: Some(lost), ..History::default() };
    crowd.write(&clients, 200..202, rng);
    crowd.watch(&clients, nodes.into_iter(), rng);
    written(&clients, INSTEAD).await;
    let (log, _) = crowd.finish(world, &clients, &mut history, rng).await;
    let (more, compared) = check(&history, &log);
    violations.extend(more);
    copies += compared;
    (violations, copies)
}

/// Waits for so many more writes.
async fn written(clients: &Clients, writes: u64) {
    let until = clients.writes.load(Ordering::SeqCst) + writes;
    soon(async {
        while clients.writes.load(Ordering::SeqCst) < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
