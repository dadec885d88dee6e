//! Limits on requests that are open at once, with a whole control plane.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tollgate_node::{Refusal, Used};

use super::admit::{COST, World};
use super::running::Running;
use super::*;

/// A world whose key may have so many requests open at once.
async fn limited(max: i64) -> World {
    let mut world = World::new().await;
    let key = v1::VirtualKey {
        name: "limited".to_owned(),
        rate_limits: vec![at_once(max)],
        provider_configs: vec![v1::VirtualKeyProviderConfig {
            budgets: Vec::new(),
            ..config("openai", Some(1.0), &["*"])
        }],
        ..Default::default()
    };
    world.key = made::<v1::VirtualKey>(&world.api, key).await;
    world
}

async fn node(world: &World, node_id: &str) -> Node {
    let builder = Node::builder(format!("http://{}", world.rig.address())).node_id(node_id);
    builder.credit_wait(Duration::from_secs(1), Duration::from_secs(2)).start().await.unwrap()
}

/// Admits once there is a slot.
async fn admitted(node: &Node, request: &Request<'_>) -> tollgate_node::Granted {
    soon(async {
        loop {
            match node.admit(request).await {
                Ok(granted) => return granted,
                Err(refused) => {
                    assert_eq!(refused.refusal, Refusal::Decided(Verdict::ConcurrencyLimited), "{refused:?}");
                    assert_eq!((refused.http_status(), refused.for_credit), (429, true));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    })
    .await
}

const NODES: usize = 4;
const SLOTS: i64 = 3;
/// Requests at each node.
const REQUESTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_have_three_requests_open_at_once_and_let_all_through() {
    let world = Arc::new(limited(SLOTS).await);
    let (open, most) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
    let mut callers = Vec::new();
    for number in 0..NODES {
        let node = node(&world, &format!("gateway-{number}")).await;
        let (world, open, most) = (Arc::clone(&world), Arc::clone(&open), Arc::clone(&most));
        callers.push(tokio::spawn(async move {
            for _ in 0..REQUESTS {
                let granted = admitted(&node, &world.request()).await;
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
                open.fetch_sub(1, Ordering::SeqCst);
                let used = Used { input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(COST), ..Used::default() };
                granted.settle(used).await.unwrap();
            }
            node.shutdown().await;
        }));
    }
    for caller in callers {
        soon(caller).await.unwrap();
    }
    assert!((2..=SLOTS).contains(&most.load(Ordering::SeqCst)), "{most:?} at once");
    let Ok(World { mut rig, .. }) = Arc::try_unwrap(world).map_err(|_| "a caller is left") else { panic!() };
    rig.stop().await;
}

/// Two requests, which are open when the node is killed.
async fn killed_with_two_open(world: &World, arguments: &[&str]) -> Running {
    let mut running = Running::start(world, arguments).await;
    for _ in 0..2 {
        let (status, answer) = running.post("/v1/admit", &world.asked(COST)).await;
        assert_eq!((status, answer["admitted"].is_object()), (200, true), "{answer}");
    }
    running.kill();
    running
}

#[tokio::test]
async fn slots_of_a_node_that_was_killed_come_back_when_its_time_is_up() {
    let world = limited(2).await;
    let other = node(&world, "other").await;
    drop(killed_with_two_open(&world, &["--admission-ttl", "1s"]).await);
    let open = [admitted(&other, &world.request()).await, admitted(&other, &world.request()).await];
    let refused = other.admit(&world.request()).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::Decided(Verdict::ConcurrencyLimited));
    drop(open);
    other.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// Its time would be up after minutes.
#[tokio::test]
async fn slots_of_a_node_that_was_killed_are_there_once_it_is_started_again() {
    let world = limited(2).await;
    let other = node(&world, "other").await;
    let killed = killed_with_two_open(&world, &[]).await;
    assert!(other.admit(&world.request()).await.is_err());
    let data = killed.data.clone();
    drop(killed);
    let again = Running::launch(&world, &data, &[]).await.unwrap();
    let _open = [admitted(&other, &world.request()).await, admitted(&other, &world.request()).await];
    assert_eq!(again.terminate().await, Some(0));
    other.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}
