//! Requests admitted by a node, what they used, and what the control plane counts of it.

use std::path::Path;

use tollgate_node::{Builder, DirectoryError, Estimate, OnFull, OnOutage, Refusal, SettleError, Used};

use super::*;

/// Nano-dollars of the key's budget: 5 million. Provider config: 2 million.
pub(super) const COST: i64 = 20_000;

pub(super) struct World {
    pub(super) rig: Rig,
    pub(super) api: Api,
    pub(super) key: v1::VirtualKey,
    pub(super) directory: tempfile::TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let (rig, api) = Rig::started().await;
        let key = v1::VirtualKey {
            name: "key".to_owned(),
            budgets: vec![budget(0.005)],
            provider_configs: vec![config("openai", Some(1.0), &["*"])],
            ..Default::default()
        };
        let key = made::<v1::VirtualKey>(&api, key).await;
        Self { rig, api, key, directory: tempfile::TempDir::new().unwrap() }
    }

    pub(super) fn builder(&self) -> Builder {
        self.builder_at(self.directory.path())
    }

    fn builder_at(&self, directory: &Path) -> Builder {
        let builder = Node::builder(format!("http://{}", self.rig.address())).node_id("gateway").data_dir(directory);
        // However slow this machine is.
        builder.credit_wait(Duration::from_secs(30), Duration::from_secs(30)).on_outage(OnOutage::Admit)
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            credential: Credential::Value(&self.key.value),
            model: "gpt-4o",
            estimate: Estimate { input_tokens: Some(2), output_tokens: Some(3), cost_nano_usd: Some(COST) },
            ..Request::default()
        }
    }

    /// Nano-dollars that the control plane has counted against the key's own budget.
    async fn counted(&self) -> i64 {
        let client = &mut VirtualKeyServiceClient::new(self.api.0.clone());
        let key = client.get_virtual_key(v1::GetVirtualKeyRequest { id: self.key.id.clone(), ..Default::default() });
        key.await.unwrap().into_inner().virtual_key.unwrap().budgets[0].current_usage_nano_usd
    }

    pub(super) async fn until_counted(&self, expected: i64) {
        let counted = async {
            while self.counted().await != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(60), counted).await.is_err() {
            panic!("counted {} instead of {expected}", self.counted().await);
        }
    }
}

fn used(cost: i64) -> Used {
    Used { input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(cost), ..Used::default() }
}

/// The node's own usage is added to what it is told exactly once, whatever is on its way: one admission more, or one less,
/// would show.
#[tokio::test]
async fn a_budget_is_spent_to_its_last_request_and_no_further() {
    let world = World::new().await;
    let node = world.builder().start().await.unwrap();
    let mut admitted = 0;
    let refused = loop {
        let granted = match node.admit(&world.request()).await {
            Ok(granted) => granted,
            Err(refused) => break refused,
        };
        assert_eq!((granted.provider(), granted.model()), ("openai", "gpt-4o"));
        granted.settle(used(COST)).await.unwrap();
        admitted += 1;
        if admitted % 10 == 0 {
            // So that batches, acknowledgements and updates come in between.
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    assert_eq!(admitted, 2_000_000 / COST, "{refused:?}");
    assert_eq!(refused.refusal, Refusal::Decided(Verdict::BudgetExceeded));
    assert_eq!((refused.http_status(), refused.limit().unwrap().max), (402, 2_000_000));
    assert!(refused.retry_after.unwrap() <= Duration::from_secs(24 * 3_600));
    world.until_counted(2_000_000).await;
    assert_eq!(node.backlog().counts.settled, 100);
    // Not once it is counted, either.
    let mut seen = 0;
    while node.backlog().entries > 0 || seen < 3 {
        assert!(node.admit(&world.request()).await.is_err());
        tokio::time::sleep(Duration::from_millis(400)).await;
        seen += 1;
    }
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// Each update sets the budget to zero somewhere within a second, and the node settles in the same one.
#[tokio::test]
async fn usage_right_after_a_reset_counts() {
    let world = World::new().await;
    let node = world.builder().start().await.unwrap();
    let mut keys = VirtualKeyServiceClient::new(world.api.0.clone());
    for round in 1..=8 {
        let reset = v1::UpdateVirtualKeyRequest {
            virtual_key: Some(v1::VirtualKey { id: world.key.id.clone(), ..Default::default() }),
            reset_budget_usage: true,
            ..Default::default()
        };
        let revision = keys.update_virtual_key(reset).await.unwrap().into_inner().virtual_key.unwrap().revision;
        let knows = |status: &Status| matches!(status, Status::Ready { revision: known } if *known >= revision);
        soon(node.statuses().wait_for(knows)).await.unwrap();
        node.admit(&world.request()).await.unwrap().settle(used(COST + round)).await.unwrap();
        world.until_counted(COST + round).await;
    }
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn what_is_in_flight_is_held_and_what_is_given_up_is_free_again() {
    let world = World::new().await;
    let node = world.builder().admission_ttl(Duration::from_secs(2)).start().await.unwrap();
    let whole = Request {
        estimate: Estimate { cost_nano_usd: Some(1_500_000), ..world.request().estimate },
        ..world.request()
    };
    let first = node.admit(&whole).await.unwrap();
    assert!(node.admit(&whole).await.is_err(), "both would not fit");
    drop(first);
    let second = node.admit(&whole).await.unwrap();
    second.abandon().unwrap();
    assert_eq!(node.backlog().counts.abandoned, 2);
    // Nobody says what became of it: it is charged at its estimate, and what it used above that when it is said.
    let id = node.admit(&whole).await.unwrap().detach();
    world.until_counted(1_500_000).await;
    assert_eq!((node.backlog().in_flight, node.backlog().counts.expired, node.touch(id)), (0, 1, false));
    assert_eq!(node.settle(id, &used(1_600_000)).await.unwrap().cost_nano_usd, 1_600_000);
    assert_eq!(node.settle(id, &used(1_900_000)).await.unwrap().cost_nano_usd, 1_600_000, "as the first time");
    world.until_counted(1_600_000).await;

    let unknown = "00000000000000000000000000000001".parse().unwrap();
    assert_eq!(node.settle(unknown, &used(1)).await, Err(SettleError::Unknown));
    let id = node.admit(&world.request()).await.unwrap().detach();
    let negative = node.settle(id, &used(-1)).await.unwrap_err();
    assert_eq!(negative.to_string(), "cost_nano_usd is -1; must be at least 0");
    let sum = Used { input_tokens: i64::MAX, output_tokens: 1, ..Used::default() };
    assert!(matches!(node.settle(id, &sum).await, Err(SettleError::Invalid { field: "input_tokens", .. })));
    assert!(node.abandon(id).unwrap() && !node.abandon(id).unwrap());
    assert_eq!(node.settle(id, &used(1)).await, Err(SettleError::Abandoned));
    node.shutdown().await;
    assert_eq!(world.counted().await, 1_600_000);
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn a_node_that_ends_in_the_middle_goes_on_where_it_was() {
    let mut world = World::new().await;
    let node = world.builder().start().await.unwrap();
    let in_use = world.builder().start().await.map(drop);
    assert!(matches!(in_use, Err(StartError::Directory(DirectoryError::InUse { .. }))), "{in_use:?}");
    let open = node.admit(&world.request()).await.unwrap().detach();
    let settled = node.admit(&world.request()).await.unwrap().detach();
    // The control plane goes away: decisions go on, and what is used is kept.
    world.rig.stop().await;
    soon(node.statuses().wait_for(|status| matches!(status, Status::Stale { .. }))).await.unwrap();
    for _ in 0..5 {
        node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    }
    node.settle(settled, &used(COST + 1)).await.unwrap();
    // It ends without a word, as if it were killed, and begins again when the control plane is there again.
    drop(node);
    world.rig.start().await;
    world.api = world.rig.api().await;
    let started = async {
        loop {
            match world.builder().start().await {
                Ok(node) => break node,
                // The task of the one before may take a moment to end.
                Err(StartError::Directory(DirectoryError::InUse { .. })) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let node = soon(started).await;
    // What was in flight is charged at its estimate.
    world.until_counted(7 * COST + 1).await;
    assert_eq!(node.settle(settled, &used(5)).await.unwrap().cost_nano_usd, COST + 1, "as the first time");
    assert_eq!(node.settle(open, &used(COST - 5)).await.unwrap().cost_nano_usd, COST);
    node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    world.until_counted(8 * COST + 1).await;
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn a_node_refuses_what_it_may_not_admit() {
    let world = World::new().await;
    let full = tempfile::TempDir::new().unwrap();
    let node = world.builder_at(full.path()).outbox_max_bytes(1, OnFull::Refuse).start().await.unwrap();
    soon(async {
        while node.backlog().incarnation.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let refused = node.admit(&world.request()).await.unwrap_err();
    assert_eq!((refused.refusal, refused.http_status()), (Refusal::Unrecorded, 503));
    assert!(refused.reason.contains("full"), "{}", refused.reason);
    node.shutdown().await;
    let node = world.builder_at(full.path()).outbox_max_bytes(1, OnFull::Serve).start().await.unwrap();
    node.admit(&world.request()).await.unwrap().settle(used(3)).await.unwrap();
    world.until_counted(3).await;
    node.shutdown().await;

    let node = world.builder().max_staleness(Duration::ZERO).start().await.unwrap();
    assert!(node.admit(&world.request()).await.is_ok());
    let World { mut rig, key, .. } = world;
    rig.stop().await;
    soon(node.statuses().wait_for(|status| matches!(status, Status::Stale { .. }))).await.unwrap();
    let request = Request { credential: Credential::Value(&key.value), model: "gpt-4o", ..Request::default() };
    let refused = node.admit(&request).await.unwrap_err();
    assert_eq!((refused.refusal, refused.http_status()), (Refusal::NodeStale, 503));
    node.shutdown().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let node = Node::builder("http://127.0.0.1:1").data_dir(file.path()).start().await.map(drop);
    let Err(StartError::Directory(DirectoryError::Unusable { why, .. })) = node else { panic!("{node:?}") };
    assert!(!why.is_empty());
}

/// What has a number by one name is not numbered again by another.
#[tokio::test]
async fn a_node_that_is_renamed_delivers_what_it_has_first() {
    let mut world = World::new().await;
    let node = world.builder().start().await.unwrap();
    for _ in 0..3 {
        node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    }
    world.until_counted(3 * COST).await;
    world.rig.stop().await;
    for _ in 0..2 {
        node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    }
    node.shutdown().await;
    drop(node);
    world.rig.start().await;
    world.api = world.rig.api().await;
    let node = world.builder().node_id("renamed").start().await.unwrap();
    node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    world.until_counted(6 * COST).await;
    let registered = async {
        while node.backlog().entries > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(registered).await;
    node.admit(&world.request()).await.unwrap().settle(used(COST)).await.unwrap();
    world.until_counted(7 * COST).await;
    // A name that no node may have is refused, and nothing is lost.
    let long = "m".repeat(257);
    let too_long = Request { model: &long, ..world.request() };
    assert_eq!(node.admit(&too_long).await.unwrap_err().http_status(), 403);
    let id = node.admit(&world.request()).await.unwrap().detach();
    let refused = node.settle(id, &Used { model: long.clone(), ..used(COST) }).await.unwrap_err();
    assert!(matches!(refused, SettleError::Invalid { field: "model", .. }), "{refused}");
    assert_eq!(node.settle(id, &used(COST)).await.unwrap().cost_nano_usd, COST);
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}
