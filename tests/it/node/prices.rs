//! What requests cost, by the prices in a node's copy.

use tollgate_node::{Refusal, Used};

use super::admit::World;
use super::*;

/// A price of so many dollars for a million LLM tokens of each way, and half of the first for those read from the cache.
fn price(provider: &str, model: &str, input: f64, output: f64) -> v1::ModelPrice {
    v1::ModelPrice {
        provider: provider.to_owned(),
        model: model.to_owned(),
        rates: Some(v1::PricingPatch {
            input_cost_per_token: Some(input / 1e6),
            cache_read_input_token_cost: Some(input / 2e6),
            output_cost_per_token: Some(output / 1e6),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_settlement_without_a_cost_is_priced() {
    let world = World::new().await;
    made::<v1::ModelPrice>(&world.api, price("openai", "gpt-4o", 2.5, 10.0)).await;
    let node = world.builder().start().await.unwrap();
    let request = Request { estimate: Estimate::of(100, Some(20)), ..world.request() };
    // 100 · 2,500 + 20 · 10,000
    let granted = node.admit(&request).await.unwrap();
    assert_eq!(granted.estimate().cost_nano_usd, Some(450_000));
    let used = Used { input_tokens: 100, cache_read_tokens: 40, output_tokens: 10, ..Used::default() };
    // 60 · 2,500 + 40 · 1,250 + 10 · 10,000
    assert_eq!(granted.settle(used.clone()).await.unwrap().cost_nano_usd, 300_000);
    world.until_counted(300_000).await;
    // Whoever says a cost is believed.
    let told = Used { cost_nano_usd: Some(7), ..used.clone() };
    assert_eq!(node.admit(&request).await.unwrap().settle(told).await.unwrap().cost_nano_usd, 7);

    // A price of the key's own overlays that of the model.
    let cheaper = v1::PricingOverride {
        name: "cheaper".to_owned(),
        scope_kind: v1::PricingScopeKind::VirtualKey.into(),
        virtual_key_id: world.key.id.clone(),
        match_type: v1::PricingMatchType::Exact.into(),
        pattern: "gpt-4o".to_owned(),
        request_types: vec![v1::PricingRequestType::ChatCompletion.into()],
        patch: Some(v1::PricingPatch { output_cost_per_token: Some(1e-6), ..Default::default() }),
        ..Default::default()
    };
    let cheaper = made::<v1::PricingOverride>(&world.api, cheaper).await;
    soon(
        node.statuses()
            .wait_for(|status| matches!(status, Status::Ready { revision } if *revision >= cheaper.revision)),
    )
    .await
    .unwrap();
    let granted = node.admit(&request).await.unwrap();
    assert_eq!(granted.estimate().cost_nano_usd, Some(270_000));
    let id = granted.detach();
    assert_eq!(node.settle(id, &used).await.unwrap().cost_nano_usd, 210_000);

    // A budget stops what its price does not leave room for.
    let large = Request { estimate: Estimate::of(1_000_000, Some(256)), ..world.request() };
    assert_eq!(node.admit(&large).await.unwrap_err().refusal, Refusal::Decided(Verdict::BudgetExceeded));
    assert_eq!(node.backlog().counts.unpriced, 0);
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn a_model_without_a_price_costs_nothing_and_that_is_said_or_is_refused() {
    let world = World::new().await;
    let node = world.builder().start().await.unwrap();
    let used = Used { input_tokens: 100, output_tokens: 10, ..Used::default() };
    // Of an estimate of the caller, since $0.01 is more than the key has.
    let granted = node.admit(&world.request()).await.unwrap();
    assert_eq!(granted.settle(used).await.unwrap().cost_nano_usd, 0);
    assert_eq!(node.backlog().counts.unpriced, 1);
    node.shutdown().await;
    drop(node);
    let node = world.builder().strict_prices(true).start().await.unwrap();
    let refused = node.admit(&world.request()).await.unwrap_err();
    assert_eq!((refused.refusal, refused.http_status()), (Refusal::Unpriced, 403));
    assert!(refused.reason.contains("gpt-4o") && refused.reason.contains("openai"), "{}", refused.reason);
    // Free is a price.
    let free = made::<v1::ModelPrice>(&world.api, price("openai", "gpt-4o", 0.0, 0.0)).await;
    soon(node.statuses().wait_for(|status| matches!(status, Status::Ready { revision } if *revision >= free.revision)))
        .await
        .unwrap();
    node.admit(&world.request()).await.unwrap().abandon().unwrap();
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}

/// Waiting helps against neither a prepaid budget that is used up nor a limit of 0.
#[tokio::test]
async fn a_refusal_says_when_to_come_back_only_if_that_helps() {
    let world = World::new().await;
    let prepaid = v1::Budget { max_limit: 0.000_001, reset_duration: "never".to_owned(), ..Default::default() };
    for (name, limit) in [("prepaid", prepaid), ("locked", budget(0.0))] {
        let open = v1::VirtualKeyProviderConfig { budgets: Vec::new(), ..config("openai", Some(1.0), &["*"]) };
        let key = v1::VirtualKey {
            name: name.to_owned(),
            budgets: vec![limit],
            provider_configs: vec![open],
            ..Default::default()
        };
        let key = made::<v1::VirtualKey>(&world.api, key).await;
        let node = world.builder().start().await.unwrap();
        let request = Request { credential: Credential::Value(&key.value), ..world.request() };
        let refused = node.admit(&request).await.unwrap_err();
        assert_eq!(refused.refusal, Refusal::Decided(Verdict::BudgetExceeded), "{name}");
        assert_eq!(refused.retry_after, None, "{name}");
        node.shutdown().await;
    }
    let World { mut rig, .. } = world;
    rig.stop().await;
}

#[tokio::test]
async fn a_limit_may_be_held_for_the_longest_answer_of_the_model() {
    let world = World::new().await;
    let longest = v1::ModelPrice { max_output_tokens: 400, ..price("openai", "gpt-4o", 2.5, 10.0) };
    made::<v1::ModelPrice>(&world.api, longest).await;
    made::<v1::ModelPrice>(&world.api, price("openai", "unbounded", 2.5, 10.0)).await;
    let held = |name: &str, reserve: v1::Reserve, enforcement: v1::Enforcement| {
        let (reserve, enforcement) = (reserve.into(), enforcement.into());
        let budget = v1::Budget { reserve, enforcement, ..budget(0.005) };
        let open = v1::VirtualKeyProviderConfig { budgets: Vec::new(), ..config("openai", Some(1.0), &["*"]) };
        let provider_configs = vec![open];
        v1::VirtualKey { name: name.to_owned(), budgets: vec![budget], provider_configs, ..Default::default() }
    };
    let worst = made::<v1::VirtualKey>(&world.api, held("worst", v1::Reserve::WorstCase, v1::Enforcement::Soft)).await;
    let usual =
        made::<v1::VirtualKey>(&world.api, held("usual", v1::Reserve::Unspecified, v1::Enforcement::Soft)).await;
    let shadow =
        made::<v1::VirtualKey>(&world.api, held("shadow", v1::Reserve::WorstCase, v1::Enforcement::Shadow)).await;
    let read = (worst.budgets[0].reserve(), usual.budgets[0].reserve());
    assert_eq!(read, (v1::Reserve::WorstCase, v1::Reserve::Observed));
    let node = world.builder().start().await.unwrap();
    let ask = async |key: &v1::VirtualKey, model: &'static str, output_tokens: Option<i64>| {
        let (credential, estimate) = (Credential::Value(&key.value), Estimate::of(100, output_tokens));
        node.admit(&Request { credential, model, estimate, ..Request::default() }).await
    };
    for (key, model, said, expected) in [
        (&worst, "gpt-4o", None, 400),
        (&worst, "gpt-4o", Some(20), 20),
        // Nobody knows how long its answers may be.
        (&worst, "unbounded", None, 256),
        (&usual, "gpt-4o", None, 256),
        (&shadow, "gpt-4o", None, 256),
    ] {
        let granted = ask(key, model, said).await.unwrap();
        let cost = 100 * 2_500 + expected * 10_000;
        let estimate = granted.estimate();
        let found = (estimate.output_tokens, estimate.cost_nano_usd);
        assert_eq!(found, (Some(expected), Some(cost)), "{} {model} {said:?}", key.name);
        granted.abandon().unwrap();
    }
    // The next one cannot overspend the budget, however long its answer gets.
    let first = ask(&worst, "gpt-4o", None).await.unwrap();
    let refused = ask(&worst, "gpt-4o", None).await.unwrap_err();
    assert_eq!(refused.refusal, Refusal::Decided(Verdict::BudgetExceeded));
    // What nobody bounded is estimated anew where it goes.
    let id = first.detach();
    let target = tollgate_node::Target { model: "unbounded", ..Default::default() };
    assert_eq!(node.retarget(id, &target).await.unwrap().1.output_tokens, Some(256));
    node.abandon(id).unwrap();
    node.shutdown().await;
    let World { mut rig, .. } = world;
    rig.stop().await;
}
