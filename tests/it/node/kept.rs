//! A node that starts while its control plane is away, from what it kept.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tollgate_node::{OnOutage, Refusal, Used};

use super::admit::{COST, World};
use super::*;
use crate::proxy::Proxy;

impl World {
    fn copy(&self) -> PathBuf {
        self.directory.path().join("copy")
    }

    /// A node, once the directory is free of the one before.
    async fn again(&self, address: &str) -> Result<Node, StartError> {
        let builder = || Node::builder(address).node_id("gateway").data_dir(self.directory.path());
        let long = Duration::from_secs(30);
        let start = || builder().credit_wait(long, long).on_outage(OnOutage::Admit).start();
        soon(async {
            loop {
                match start().await {
                    Err(StartError::Directory(tollgate_node::DirectoryError::InUse { .. })) => {
                        tokio::task::yield_now().await;
                    }
                    started => break started,
                }
            }
        })
        .await
    }
}

fn used() -> Used {
    Used { input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(COST), ..Used::default() }
}

/// Until the file is there.
async fn until_kept(path: &Path) {
    soon(async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_starts_from_what_it_kept() {
    let mut world = World::new().await;
    let nowhere = format!("http://{}", world.rig.address());
    let node = world.again(&nowhere).await.unwrap();
    for _ in 0..10 {
        node.admit(&world.request()).await.unwrap().settle(used()).await.unwrap();
    }
    world.until_counted(10 * COST).await;
    node.shutdown().await;
    drop(node);
    let bytes = std::fs::read(world.copy()).unwrap();
    assert_eq!(std::fs::metadata(world.copy()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!bytes.windows(world.key.value.len()).any(|part| part == world.key.value.as_bytes()));

    world.rig.stop().await;
    let node = world.again(&nowhere).await.unwrap();
    assert!(matches!(node.status(), Status::Stale { revision: 1.., .. }), "{:?}", node.status());
    let mut admitted = 0;
    let refused = loop {
        match node.admit(&world.request()).await {
            Ok(granted) => granted.settle(used()).await.unwrap(),
            Err(refused) => break refused,
        };
        admitted += 1;
    };
    assert_eq!((admitted, refused.refusal), (90, Refusal::Decided(Verdict::BudgetExceeded)), "{refused:?}");
    drop(node);
    // What was used meanwhile is known to the next start, too.
    let node = world.again(&nowhere).await.unwrap();
    assert!(node.admit(&world.request()).await.is_err());
    drop(node);

    // When the control plane is there again, all is counted once.
    world.rig.start().await;
    world.api = world.rig.api().await;
    let node = world.again(&format!("http://{}", world.rig.address())).await.unwrap();
    assert!(node.status().is_ready());
    assert!(node.admit(&world.request()).await.is_err());
    world.until_counted(100 * COST).await;
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// Wherever the node ends, and whatever of its usage the kept copy has: nothing is forgotten, and nothing is held twice.
#[tokio::test]
async fn a_budget_is_spent_to_its_last_request_whenever_the_node_ends() {
    let mut world = World::new().await;
    let address = format!("http://{}", world.rig.address());
    let mut admitted = 0;
    let mut refused = None;
    for round in 0_u64.. {
        let is_away = round % 3 == 2;
        if is_away {
            world.rig.stop().await;
        }
        let node = world.again(&address).await.unwrap();
        for _ in 0..4 {
            match node.admit(&world.request()).await {
                Ok(granted) => granted.settle(used()).await.map(drop).unwrap(),
                Err(no) => {
                    refused = Some(no);
                    break;
                }
            }
            admitted += 1;
            // Batches, acknowledgements, updates and files come in between, more of them in each round.
            tokio::time::sleep(Duration::from_millis(7 * (round % 11))).await;
        }
        if round == 0 {
            // To start with it while the control plane is away.
            until_kept(&world.copy()).await;
        }
        drop(node);
        if is_away {
            world.rig.start_at(address.trim_start_matches("http://")).await;
            world.api = world.rig.api().await;
        }
        if refused.is_some() {
            break;
        }
    }
    assert_eq!(admitted, 100, "{refused:?}");
    let node = world.again(&address).await.unwrap();
    world.until_counted(100 * COST).await;
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn what_was_kept_serves_only_as_long_as_it_may() {
    let mut world = World::new().await;
    let address = format!("http://{}", world.rig.address());
    let node = world.again(&address).await.unwrap();
    until_kept(&world.copy()).await;
    node.shutdown().await;
    drop(node);
    world.rig.stop().await;

    // Proved two hours ago.
    let then = SystemTime::now() - Duration::from_secs(7_200);
    File::open(world.copy()).unwrap().set_modified(then).unwrap();
    let builder = || Node::builder(&address).data_dir(world.directory.path()).on_outage(OnOutage::Admit);
    let node = builder().max_staleness(Duration::from_secs(3_600)).start().await.unwrap();
    let refused = node.admit(&world.request()).await.unwrap_err();
    assert_eq!((refused.refusal, refused.http_status()), (Refusal::NodeStale, 503));
    node.shutdown().await;
    drop(node);
    let node = builder().max_staleness(Duration::from_secs(3 * 3_600)).start().await.unwrap();
    assert!(node.admit(&world.request()).await.is_ok());
    node.shutdown().await;
    drop(node);

    // A node that is stopped while it is stale has proved nothing.
    let proved = world.copy().metadata().unwrap().modified().unwrap();
    assert_eq!(proved, then);

    // One that is damaged does not serve, and is not taken for another.
    let mut bytes = std::fs::read(world.copy()).unwrap();
    let last = bytes.last_mut().unwrap();
    *last ^= 1;
    std::fs::write(world.copy(), bytes).unwrap();
    let started = builder().start_timeout(Duration::from_millis(300)).start().await.map(drop);
    assert!(matches!(started, Err(StartError::TooLate { .. })), "{started:?}");
    world.rig.start_at(address.trim_start_matches("http://")).await;
    let node = builder().start().await.unwrap();
    assert!(node.status().is_ready());
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// Of several servers on one database, the node follows one, and reports to one; when that ends, to the next.
#[tokio::test]
async fn a_node_goes_on_to_another_server() {
    let world = World::new().await;
    let other = Proxy::to(world.rig.address()).await;
    let (first, second) = (format!("http://{}", other.address), format!("http://{}", world.rig.address()));
    let long = Duration::from_secs(30);
    let builder = || Node::builder(&first).fallback_addresses([&second]).data_dir(world.directory.path());
    let builder = || builder().credit_wait(long, long);
    let node = builder().start().await.unwrap();
    node.admit(&world.request()).await.unwrap().settle(used()).await.unwrap();
    world.until_counted(COST).await;
    let mut statuses = node.statuses();
    other.retarget(([127, 0, 0, 1], 1).into());
    other.cut();
    // Once there is a session with the next, there is credit too.
    let granted = soon(async {
        loop {
            match node.admit(&world.request()).await {
                Ok(granted) => break granted,
                Err(refused) => assert!(refused.for_credit, "{refused:?}"),
            }
            tokio::task::yield_now().await;
        }
    });
    granted.await.settle(used()).await.unwrap();
    world.until_counted(2 * COST).await;
    // It was never without its control plane.
    let change = v1::Team { name: "seen".to_owned(), ..Default::default() };
    let change = made::<v1::Team>(&world.api, change).await.revision;
    let seen = |status: &Status| !matches!(status, Status::Ready { revision } if *revision < change);
    assert!(soon(statuses.wait_for(seen)).await.unwrap().is_ready());
    node.shutdown().await;
    drop(node);
    // Nor at a start at which the first is away.
    let node = builder().start().await.unwrap();
    assert!(node.status().is_ready());
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}
