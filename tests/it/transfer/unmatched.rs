//! Stores of earlier versions that hold what nobody may write any more, mostly because it can never match.

use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tonic::Code;

use super::bad::File;
use super::*;
use crate::cases::refused;
use crate::watch::rig::{Rig, node};

/// What is written, and what earlier versions had stored in its place.
const STORED: [(&str, &str); 9] = [
    (r#""listed""#, r#""gpt*4","openai/gpt-4o","gpt-4o","claude*""#),
    (r#""served""#, r#""gpt*4","o3","own/o3""#),
    (r#""limited-1""#, r#""gpt-4o""#),
    (r#""limited-2""#, r#""openai/gpt-4o""#),
    (r#""limited-3""#, r#""openai/g*t""#),
    (r#""priced""#, r#""openai/gpt-4o""#),
    (r#""bought""#, r#""openai/openai/gpt-4o""#),
    (r#"\"rerank\""#, r#"\"chat\""#),
    (r#"\"word\""#, r#"\"[a-z&&[^x]]\\\\d\""#),
];

fn rule(name: &str, expression: &str) -> v1::RoutingRule {
    v1::RoutingRule {
        name: name.to_owned(),
        cel_expression: expression.to_owned(),
        priority: i32::try_from(name.len()).unwrap(),
        targets: vec![v1::RoutingTarget { model: Some("ruled".to_owned()), weight: 1.0, ..Default::default() }],
        scope: v1::RoutingScope::Global.into(),
        ..Default::default()
    }
}

fn limited(model: &str, provider: &str) -> v1::ModelConfig {
    v1::ModelConfig {
        model_name: model.to_owned(),
        provider: provider.to_owned(),
        scope: v1::ModelConfigScope::Global.into(),
        budgets: vec![v1::Budget { max_limit: 1.0, reset_duration: "1d".to_owned(), ..Default::default() }],
        ..Default::default()
    }
}

fn provider_config(models: &[&str]) -> v1::VirtualKeyProviderConfig {
    v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: models.iter().map(|it| (*it).to_owned()).collect(),
        key_ids: vec!["*".to_owned()],
        ..Default::default()
    }
}

/// A store whose resources are as earlier versions could store them.
async fn stored() -> Rig {
    let (mut rig, api) = Rig::started().await;
    let keys = vec![v1::ProviderKey { id: "k".to_owned(), models: vec!["served".to_owned()], ..Default::default() }];
    let own = v1::Provider { name: "own".to_owned(), keys, ..Default::default() };
    v1::Provider::create(api.0.clone(), own, How::default()).await.unwrap();
    let provider_configs = vec![provider_config(&["listed"])];
    let key = v1::VirtualKey { name: "key".to_owned(), provider_configs, ..Default::default() };
    v1::VirtualKey::create(api.0.clone(), key, How::default()).await.unwrap();
    for (model, provider) in [("limited-1", "openai"), ("limited-2", "openai"), ("limited-3", "")] {
        v1::ModelConfig::create(api.0.clone(), limited(model, provider), How::default()).await.unwrap();
    }
    for (name, expression) in [("type", r#"request_type == "rerank""#), ("pattern", r#"model.matches("word")"#)] {
        v1::RoutingRule::create(api.0.clone(), rule(name, expression), How::default()).await.unwrap();
    }
    let priced = v1::PricingOverride {
        scope_kind: v1::PricingScopeKind::Global.into(),
        provider_id: String::new(),
        pattern: "priced".to_owned(),
        match_type: v1::PricingMatchType::Exact.into(),
        ..v1::PricingOverride::sample(1)
    };
    v1::PricingOverride::create(api.0.clone(), priced, How::default()).await.unwrap();
    for model in ["gpt-4o", "bought"] {
        let price =
            v1::ModelPrice { provider: "openai".to_owned(), model: model.to_owned(), ..v1::ModelPrice::sample(1) };
        v1::ModelPrice::create(api.0.clone(), price, How::default()).await.unwrap();
    }
    drop(api);
    rig.stop().await;

    let mut text = export(&rig.database).await;
    for (written, stored) in STORED {
        assert!(text.contains(written), "{written}");
        text = text.replace(written, stored);
    }
    let rig = Rig::new();
    import(&rig.database, &File(text.lines().map(str::to_owned).collect()).signed()).await.unwrap();
    rig
}

async fn decision(api: &Api, key: &v1::VirtualKey, model: &str) -> v1::Decision {
    let request = v1::ExplainRequest {
        key: Some(v1::explain_request::Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        ..Default::default()
    };
    DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner().decision()
}

fn only<T>(all: &[Resource], one: impl Fn(&Resource) -> Option<T>) -> Vec<T> {
    all.iter().filter_map(one).collect()
}

#[tokio::test]
async fn what_can_never_match_is_kept_and_need_not_be_mended_to_change_something_else() {
    let mut rig = stored().await;
    rig.start().await;
    let api = rig.api().await;
    // A node takes the copy over, and proves it.
    node(&api, &[]).await.close();
    let all: Vec<Resource> = api.all().await.into_iter().filter_map(|it| it.resource).collect();

    let key = only(&all, |it| if let Resource::VirtualKey(it) = it { Some(it.clone()) } else { None }).remove(0);
    assert_eq!(key.provider_configs[0].allowed_models, ["gpt*4", "openai/gpt-4o", "gpt-4o", "claude*"]);
    assert_eq!(decision(&api, &key, "gpt-4o").await, v1::Decision::Allow);
    assert_eq!(decision(&api, &key, "claude-opus").await, v1::Decision::Allow, "the stored prefix matches now");
    assert_eq!(decision(&api, &key, "gpt-x-4").await, v1::Decision::ModelBlocked);
    let described = v1::VirtualKey { id: key.id.clone(), description: "old".to_owned(), ..Default::default() };
    api.update_virtual_key(described, &["description"]).await.unwrap();
    // Nor does it matter where in the lists an old entry comes to stand.
    let configs = |first: &[&str], second: &[&str]| {
        let mut configs = vec![provider_config(first), provider_config(second)];
        configs[1].id = key.provider_configs[0].id;
        v1::VirtualKey { id: key.id.clone(), provider_configs: configs, ..Default::default() }
    };
    let moved = configs(&["o3"], &["claude*", "gpt*4"]);
    api.update_virtual_key(moved, &["provider_configs"]).await.unwrap();
    let twice = configs(&["gpt*4"], &["gpt*4"]);
    let fields = refused(api.update_virtual_key(twice, &["provider_configs"]).await);
    assert_eq!(fields, ["virtual_key.provider_configs[1].allowed_models[0]"]);
    let more = configs(&["o3"], &["claude*", "gpt*4", "o*3"]);
    let fields = refused(api.update_virtual_key(more, &["provider_configs"]).await);
    assert_eq!(fields, ["virtual_key.provider_configs[1].allowed_models[2]"]);

    for config in only(&all, |it| if let Resource::ModelConfig(it) = it { Some(it.clone()) } else { None }) {
        let aligned = v1::ModelConfig { id: config.id.clone(), calendar_aligned: true, ..Default::default() };
        api.update_model_config(aligned, &["calendar_aligned"]).await.unwrap();
        let renamed =
            |model: &str, provider: &str| v1::ModelConfig { id: config.id.clone(), ..limited(model, provider) };
        let paths = ["model_name", "provider"];
        let fields = refused(api.update_model_config(renamed("openai/o3", ""), &paths).await);
        assert_eq!(fields, ["model_config.model_name"]);
        if config.provider.is_empty() {
            let taken = api.update_model_config(renamed("gpt-4o", "openai"), &paths).await.unwrap_err();
            assert_eq!(taken.code(), Code::AlreadyExists, "{taken:?}");
            api.update_model_config(renamed("o3", ""), &paths).await.unwrap();
        }
    }
    for rule in only(&all, |it| if let Resource::RoutingRule(it) = it { Some(it.clone()) } else { None }) {
        let described = v1::RoutingRule { id: rule.id.clone(), description: "old".to_owned(), ..Default::default() };
        api.update_routing_rule(described, &["description"]).await.unwrap();
        let other = v1::RoutingRule { id: rule.id, cel_expression: "false".to_owned(), ..Default::default() };
        let fields = refused(api.update_routing_rule(other, &["cel_expression"]).await);
        assert_eq!(fields, ["routing_rule.cel_expression"]);
    }
    let priced =
        only(&all, |it| if let Resource::PricingOverride(it) = it { Some(it.clone()) } else { None }).remove(0);
    let renamed = v1::PricingOverride { id: priced.id.clone(), name: "old".to_owned(), ..Default::default() };
    api.update_pricing_override(renamed, &["name"]).await.unwrap();
    let other = v1::PricingOverride { id: priced.id, pattern: "groq/x".to_owned(), ..Default::default() };
    assert_eq!(refused(api.update_pricing_override(other, &["pattern"]).await), ["pricing_override.pattern"]);
    let prices = only(&all, |it| if let Resource::ModelPrice(it) = it { Some(it.clone()) } else { None });
    assert_eq!(prices.len(), 2, "both of one model");
    for price in prices {
        let sourced = v1::ModelPrice { id: price.id, source: "old".to_owned(), ..Default::default() };
        api.update_model_price(sourced, &["source"]).await.unwrap();
    }
    let of_own = |it: &Resource| if let Resource::Provider(it) = it { Some(it.clone()) } else { None };
    let mut own = only(&all, of_own).into_iter().find(|it| it.name == "own").unwrap();
    own.keys[0].name = "old".to_owned();
    api.update_provider(own, &["keys"]).await.unwrap();

    node(&api, &[]).await.close();
    drop(api);
    rig.stop().await;
    let (agrees, text) = crate::process::verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}
