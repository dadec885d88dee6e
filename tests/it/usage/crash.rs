//! The server is killed at random moments while nodes report, and is started again on the same file: what it acknowledged
//! is counted, once, and so is what nodes send again.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::seeded::{Bug, VARIABLE};
use tonic::transport::Channel;

use super::reporter::{Progress, Reporter, consumed, prepare};
use super::*;
use crate::engine::Database;
use crate::process::Server;
use crate::watch::rig::soon;

/// How often the server is killed, where the environment does not say otherwise.
const KILLS: u64 = 8;
/// How often at most, for a bug to be found.
const KILLS_WITH_BUG: u64 = 30;
const NODES: usize = 4;
const KEYS: usize = 6;

/// Where the server is.
type Place = watch::Sender<Channel>;

/// Reports until `done` and everything is acknowledged, whatever becomes of the server.
async fn report_all(
    mut node: Reporter,
    place: Arc<Place>,
    mut done: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
) -> Reporter {
    let mut place = place.subscribe();
    loop {
        let channel = place.borrow_and_update().clone();
        if node.session(channel, &mut done, &progress).await {
            return node;
        }
        // The server is gone, or is about to be.
        soon(place.changed()).await.unwrap();
    }
}

/// Kills the server so often while nodes report. What is counted must be what they noted, now and after every restart of
/// the server. The error says what is not.
async fn run(kills: u64, seed: u64, bug: Bug) -> Result<String, String> {
    let database = Database::new();
    let mut rng = StdRng::seed_from_u64(seed);
    let planted = format!("{bug:?}");
    let environment = [(VARIABLE, planted.as_str())];
    let (mut server, channel) = Server::start_with(&database, &environment).await;
    let limited = prepare(&Api(channel.clone()), KEYS).await;
    let place = Arc::new(Place::new(channel));
    let progress = watch::Sender::new(Progress::default());
    let done = watch::Sender::new(false);

    let mut nodes = JoinSet::new();
    for number in 0..NODES {
        let node = Reporter::new(format!("node {number}"), limited.key_ids(), rng.random());
        nodes.spawn(report_all(node, Arc::clone(&place), done.subscribe(), progress.clone()));
    }
    for kill in 0..kills {
        // Counted in acknowledgements, then a moment that falls anywhere between two of them.
        let until = progress.borrow().acked + rng.random_range(20..120);
        let mut progress = progress.subscribe();
        let far = soon(progress.wait_for(|now| now.acked >= until || now.wrong.is_some())).await.unwrap().clone();
        if let Some(wrong) = far.wrong {
            return Err(wrong);
        }
        if kill % 2 == 1 {
            // A write that shares the ledger with the batches.
            let budgets = vec![v1::Budget { max_limit: 1.0 + kill as f64, ..limited.team.budgets[0].clone() }];
            let raised = v1::Team { budgets, revision: 0, ..limited.team.clone() };
            Api(place.borrow().clone()).update_team(raised, &["budgets"]).await.unwrap();
        }
        for _ in 0..rng.random_range(0..20_000) {
            std::hint::spin_loop();
        }
        server.kill();
        let channel;
        (server, channel) = Server::start_with(&database, &environment).await;
        place.send_replace(channel);
    }
    done.send_replace(true);
    let nodes = soon(nodes.join_all()).await;
    if let Some(wrong) = progress.borrow().wrong.clone() {
        return Err(wrong);
    }

    let expected = consumed(nodes.iter().flat_map(|node| &node.ledger), &limited.teams());
    for what in ["before", "after"] {
        let told = limited.counted(&Api(place.borrow().clone()), false).await;
        if told != expected {
            return Err(format!("{what} the last restart, {told:?} are counted instead of {expected:?}"));
        }
        let spent = limited.spent(&Api(place.borrow().clone())).await;
        if spent != expected {
            return Err(format!("{what} the last restart, {spent:?} are spent instead of {expected:?}"));
        }
        server.kill();
        let channel;
        (server, channel) = Server::start_with(&database, &environment).await;
        place.send_replace(channel);
    }
    server.kill();
    Ok(format!("{kills} kills, {} batches", nodes.iter().map(|node| node.ledger.len()).sum::<usize>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_consumed_is_counted_once_however_often_the_server_is_killed() {
    let kills = std::env::var("TOLLGATE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    println!("{}", run(kills, kills, Bug::None).await.unwrap());
}

/// The test above finds it.
async fn found(bug: Bug) {
    let error = run(KILLS_WITH_BUG, 1, bug).await.expect_err("it is not found");
    println!("{bug:?}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_finds_acknowledgements_that_come_before_the_commit() {
    found(Bug::AckBeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_finds_spend_that_is_added_twice() {
    found(Bug::SpendAddedTwice).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_finds_a_watermark_in_a_transaction_of_its_own() {
    found(Bug::WatermarkApart).await;
}
