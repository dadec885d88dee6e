//! Limits of provider keys at a node: it admits what they leave, and says which provider key was used.

use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate_node::{Refusal, Used};

use super::admit::{COST, World};
use super::*;

fn key(id: &str, max_limit: f64) -> v1::ProviderKey {
    v1::ProviderKey { id: id.to_owned(), budgets: vec![budget(max_limit)], ..Default::default() }
}

async fn provide(world: &World, keys: Vec<v1::ProviderKey>) {
    let provider = v1::Provider { id: "openai".to_owned(), keys, ..Default::default() };
    world.api.update_provider(provider, &["keys"]).await.unwrap();
}

/// Waits until the control plane has counted so many nano-dollars against the budget of a provider key.
async fn until_counted(world: &World, provider_key_id: &str, expected: i64) {
    let mut client = BudgetServiceClient::new(world.api.0.clone());
    let counted = async {
        loop {
            let provider_key_id = provider_key_id.to_owned();
            let request = v1::ListBudgetsRequest { provider_key_id, from_memory: true, ..Default::default() };
            let budgets = client.list_budgets(request).await.unwrap().into_inner().budgets;
            if budgets[0].current_usage_nano_usd == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(counted).await;
}

fn used(provider_key_id: &str) -> Used {
    let provider_key_id = provider_key_id.to_owned();
    Used { provider_key_id, input_tokens: 2, output_tokens: 3, cost_nano_usd: Some(COST), ..Used::default() }
}

#[tokio::test]
async fn a_budget_of_the_only_provider_key_is_spent_to_its_last_request_and_no_further() {
    let world = World::new().await;
    provide(&world, vec![key("main", 0.0005)]).await;
    let node = world.builder().start().await.unwrap();
    let mut admitted = 0;
    let refused = loop {
        match node.admit(&world.request()).await {
            Ok(granted) => {
                assert_eq!(granted.provider_key_id(), Some("main"));
                granted.settle(used("")).await.unwrap();
            }
            Err(refused) => break refused,
        }
        admitted += 1;
    };
    assert_eq!(admitted, 500_000 / COST, "{refused:?}");
    assert_eq!(refused.refusal, Refusal::Decided(Verdict::BudgetExceeded));
    assert_eq!(refused.limit().unwrap().owner, LimitOwner::ProviderKey("main".into()));
    until_counted(&world, "main", 500_000).await;
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn what_was_used_counts_for_the_provider_key_that_the_gateway_names() {
    let world = World::new().await;
    provide(&world, vec![key("main", 1.0), key("spare", 1.0)]).await;
    let node = world.builder().start().await.unwrap();
    // The gateway chooses; it was asked for one; it used another one than it was admitted for.
    for (asked, used_key, main, spare) in [("", "main", 1, 0), ("spare", "", 1, 1), ("main", "spare", 1, 2)] {
        let request = Request { provider_key_id: asked, ..world.request() };
        let granted = node.admit(&request).await.unwrap();
        assert_eq!(granted.provider_key_id().unwrap_or_default(), asked);
        granted.settle(used(used_key)).await.unwrap();
        until_counted(&world, "main", main * COST).await;
        until_counted(&world, "spare", spare * COST).await;
    }
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}
