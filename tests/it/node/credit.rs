//! Nodes that share hard limits, with a whole control plane.

use std::sync::Arc;

use tollgate_node::{Standing, Used};

use super::admit::{COST, World};
use super::*;

const NODES: usize = 4;
/// Requests that the limit lets through.
const REQUESTS: i64 = 20;

/// Admits and settles until the limit is used up as far as the node was told. How often.
async fn spend(node: &Node, key: &str) -> i64 {
    let mut count = 0;
    loop {
        let request = Request {
            credential: Credential::Value(key),
            model: "gpt-4o",
            estimate: Estimate { input_tokens: Some(2), output_tokens: Some(3), cost_nano_usd: Some(COST) },
            ..Request::default()
        };
        match node.admit(&request).await {
            Ok(granted) => {
                let used = Used { input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(COST), ..Used::default() };
                granted.settle(used).await.unwrap();
                count += 1;
            }
            Err(refused) if refused.for_credit => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(_) => return count,
        }
    }
}

async fn let_through(edit: impl FnOnce(&mut v1::VirtualKey)) -> i64 {
    let mut world = World::new().await;
    let mut key = v1::VirtualKey {
        name: "shared".to_owned(),
        provider_configs: vec![v1::VirtualKeyProviderConfig {
            budgets: Vec::new(),
            ..config("openai", Some(1.0), &["*"])
        }],
        ..Default::default()
    };
    edit(&mut key);
    let key = made::<v1::VirtualKey>(&world.api, key).await;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let builder = Node::builder(format!("http://{}", world.rig.address()));
        let builder = builder.credit_wait(Duration::from_secs(1), Duration::from_secs(2));
        let node = builder.node_id(format!("gateway-{number}")).start().await.unwrap();
        assert_eq!(node.backlog().credit.standing, Standing::Granted);
        nodes.push(Arc::new(node));
    }
    let spending = nodes.iter().map(|node| {
        let (node, key) = (Arc::clone(node), key.value.clone());
        tokio::spawn(async move { spend(&node, &key).await })
    });
    let mut count = 0;
    for spent in spending.collect::<Vec<_>>() {
        count += soon(spent).await.unwrap();
    }
    for node in nodes {
        node.shutdown().await;
    }
    world.rig.stop().await;
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_let_as_many_requests_through_as_one() {
    assert_eq!(let_through(|key| key.rate_limits = rate(REQUESTS)).await, REQUESTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_spend_one_budget() {
    let max_limit = (REQUESTS * COST) as f64 / 1e9;
    assert_eq!(let_through(|key| key.budgets = vec![budget(max_limit)]).await, REQUESTS);
}
