//! Spend as a monitoring system reads it (`docs/metrics.md`).

use std::collections::BTreeMap;

use tollgate::proto::v1::model_price_service_client::ModelPriceServiceClient;

use super::*;
use crate::contract::subject::{How, Subject};
use crate::metrics::get;

/// The samples of spend and of budgets: what stands between the braces, by name, with their values.
async fn samples(metrics: std::net::SocketAddr) -> BTreeMap<String, f64> {
    let (_, body) = get(metrics, "/metrics").await;
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let samples = lines.filter_map(|line| line.strip_prefix("tollgate_")?.rsplit_once(' '));
    let wanted = samples.filter(|(name, _)| ["spend_", "budget_"].iter().any(|prefix| name.starts_with(prefix)));
    wanted.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect()
}

fn of(provider: &str, model: &str, cost: i64) -> v1::UsageEntry {
    v1::UsageEntry { provider: provider.to_owned(), model: model.to_owned(), ..entry("", cost) }
}

#[tokio::test]
async fn spend_is_counted_by_what_the_configuration_names() {
    let mut rig = Rig::new();
    let metrics = rig.start_with_metrics().await;
    let api = rig.api().await;
    v1::Provider::create(api.0.clone(), v1::Provider { name: "mine".to_owned(), ..Default::default() }, How::default())
        .await
        .unwrap();
    let price = v1::ModelPrice {
        provider: "mine".to_owned(),
        model: "a\"b".to_owned(),
        rates: Some(v1::PricingPatch { input_cost_per_token: Some(0.1), ..Default::default() }),
        ..Default::default()
    };
    let request = v1::CreateModelPriceRequest { model_price: Some(price), ..Default::default() };
    ModelPriceServiceClient::new(api.0.clone()).create_model_price(request).await.unwrap();
    assert_eq!(samples(metrics).await, BTreeMap::new(), "nothing was spent, and no owner asked for more");

    let mut entries = vec![of("mine", "a\"b", 5), of("mine", "mine/a\"b", 7)];
    entries.push(v1::UsageEntry { requests: -1, ..of("mine", "a\"b", 1_000) });
    let incarnation = register(&api).await;
    let first = batch(incarnation, 1, entries);
    // However many names callers make up.
    let made_up = (0..50).flat_map(|n| [of("mine", &format!("m{n}"), 1), of(&format!("p{n}"), "a\"b", 2)]).collect();
    let acks = report(&api, vec![first.clone(), first, batch(incarnation, 2, made_up)]).await;
    assert_eq!(statuses(&acks).iter().map(|it| it.1).collect::<Vec<_>>(), [Applied, Duplicate, Applied]);

    let named = |name: &str, provider: &str, model: &str, kind: &str| {
        format!("spend_{name}_total{{provider=\"{provider}\",model=\"{model}\"{kind}}}")
    };
    let mut expected = BTreeMap::new();
    for (provider, model, cost, entries) in
        [("mine", "a\\\"b", 12.0, 2.0), ("mine", "(others)", 50.0, 50.0), ("(others)", "(others)", 100.0, 50.0)]
    {
        expected.insert(named("nano_usd", provider, model, ""), cost);
        expected.insert(named("tokens", provider, model, ",kind=\"input\""), entries * 70.0);
        expected.insert(named("tokens", provider, model, ",kind=\"output\""), entries * 30.0);
    }
    assert_eq!(samples(metrics).await, expected);
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn the_share_of_a_budget_is_shown_where_its_owner_asks_for_it() {
    let mut rig = Rig::new();
    let metrics = rig.start_with_metrics().await;
    let api = rig.api().await;
    let (team, key) = hierarchy(&api).await;
    let incarnation = register(&api).await;
    report(&api, vec![batch(incarnation, 1, vec![entry(&key.id, 250_000_000)])]).await;
    let shown = |samples: BTreeMap<String, f64>| {
        samples.into_iter().filter(|(name, _)| name.starts_with("budget_")).collect::<Vec<_>>()
    };
    assert_eq!(shown(samples(metrics).await), []);

    let labelled = |value: &str| [("tollgate.metrics".to_owned(), value.to_owned())].into();
    let update = |team: v1::Team| async { api.update_team(team, &["labels"]).await.unwrap() };
    let other = v1::Team { labels: labelled("false"), revision: 0, ..team.clone() };
    update(other.clone()).await;
    assert_eq!(shown(samples(metrics).await), []);
    update(v1::Team { labels: labelled("true"), ..other }).await;
    let key = v1::VirtualKey { labels: labelled("true"), revision: 0, ..key };
    let request = v1::UpdateVirtualKeyRequest {
        virtual_key: Some(key.clone()),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels".to_owned()] }),
        ..Default::default()
    };
    VirtualKeyServiceClient::new(api.0.clone()).update_virtual_key(request).await.unwrap();
    let sample = |owner: &str, name: &str, budget: &v1::Budget| {
        (format!("budget_used_ratio{{owner=\"{owner}\",name=\"{name}\",budget_id=\"{}\"}}", budget.id), 0.25)
    };
    let of_config = &key.provider_configs[0].budgets[0];
    let mut expected = vec![
        sample("team", "team", &team.budgets[0]),
        sample("virtual_key", "key", &key.budgets[0]),
        sample("virtual_key", "key", of_config),
    ];
    expected.sort_by(|(sample, _), (other, _)| sample.cmp(other));
    assert_eq!(shown(samples(metrics).await), expected);
    drop(api);
    rig.stop().await;
}
