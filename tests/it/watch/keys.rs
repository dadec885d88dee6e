//! What the stream carries of virtual keys and limits, and what it never carries.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::{Budget, RateLimit, ResourceKey, ResourceKind, Team, VirtualKey, VirtualKeyProviderConfig};

use super::rig::{Node, Rig, node};

fn limits() -> (Vec<Budget>, Vec<RateLimit>) {
    let budget = Budget { max_limit: 10.0, reset_duration: "1d".to_owned(), ..Budget::default() };
    let rate_limit = RateLimit {
        token_max_limit: Some(1_000),
        token_reset_duration: Some("1m".to_owned()),
        request_max_limit: Some(10),
        request_reset_duration: Some("1h".to_owned()),
        ..RateLimit::default()
    };
    (vec![budget], vec![rate_limit])
}

fn full_key(name: &str) -> VirtualKey {
    let (budgets, rate_limits) = limits();
    let config = VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(0.5),
        allowed_models: vec!["*".to_owned()],
        budgets: budgets.clone(),
        rate_limits: rate_limits.clone(),
        ..VirtualKeyProviderConfig::default()
    };
    VirtualKey { name: name.to_owned(), budgets, rate_limits, provider_configs: vec![config], ..VirtualKey::default() }
}

fn streamed(node: &Node, id: &str) -> VirtualKey {
    let key = ResourceKey { kind: ResourceKind::VirtualKey.into(), id: id.to_owned() };
    let resource = node.reducer.state().get(&key).map(Arc::clone).expect("the key is not here");
    let Some(Resource::VirtualKey(key)) = resource.resource.clone() else { panic!("no key") };
    key
}

fn sha256(secret: &str) -> Vec<u8> {
    Sha256::digest(secret).to_vec()
}

#[tokio::test]
async fn a_key_is_streamed_with_the_hash_of_its_secret_and_never_the_secret() {
    let (_rig, api) = Rig::started().await;
    let mut node = node(&api, &[]).await;
    let created = api.create_virtual_key(full_key("key")).await.unwrap();
    assert!(created.value.starts_with("sk-tg-"));
    let revision = created.revision;
    while node.revision() < revision {
        let message = node.message().await.unwrap().unwrap();
        let shown = format!("{message:?}");
        assert!(!shown.contains(&created.value) && !shown.contains("sk-tg-"), "{shown}");
        node.reducer.apply(message).unwrap();
    }
    let key = streamed(&node, &created.id);
    assert_eq!(key.value, "");
    assert_eq!(key.value_sha256, sha256(&created.value));
    assert_eq!(key.previous_value_sha256.len(), 0);
    assert_eq!(key.previous_value_expires_at, None);
    assert_eq!((key.team, key.customer), (None, None));
}

#[tokio::test]
async fn limits_are_streamed_with_their_anchors_and_without_usage() {
    let (_rig, api) = Rig::started().await;
    let created = api.create_virtual_key(full_key("key")).await.unwrap();
    let key = streamed(&node(&api, &[]).await, &created.id);
    let config = &key.provider_configs[0];
    assert!(config.keys.is_empty());
    for budget in key.budgets.iter().chain(&config.budgets) {
        assert!(budget.anchor.is_some());
        assert_eq!((budget.last_reset, budget.next_reset), (None, None));
        assert_eq!((budget.current_usage, budget.current_usage_nano_usd), (0.0, 0));
    }
    for limit in key.rate_limits.iter().chain(&config.rate_limits) {
        assert!(limit.token_anchor.is_some() && limit.request_anchor.is_some());
        assert_eq!((limit.token_last_reset, limit.token_next_reset), (None, None));
        assert_eq!((limit.request_last_reset, limit.request_next_reset), (None, None));
    }
}

#[tokio::test]
async fn free_data_of_teams_is_not_streamed() {
    let (_rig, api) = Rig::started().await;
    let value = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("private".to_owned())) };
    let free = Some(prost_types::Struct { fields: [("a".to_owned(), value)].into() });
    let team = Team {
        name: "team".to_owned(),
        profile: free.clone(),
        config: free.clone(),
        claims: free.clone(),
        ..Team::default()
    };
    let created = api.create_team(team).await.unwrap();
    let key = ResourceKey { kind: ResourceKind::Team.into(), id: created.id };
    let node = node(&api, &[]).await;
    let resource = node.reducer.state().get(&key).unwrap().resource.clone();
    let Some(Resource::Team(team)) = resource else { panic!("no team") };
    assert_eq!((team.profile, team.config, team.claims), (None, None, None));
}

#[tokio::test]
async fn during_a_grace_period_both_hashes_are_streamed() {
    let (_rig, api) = Rig::started().await;
    let mut node = node(&api, &[ResourceKind::VirtualKey]).await;
    let first = api.create_virtual_key(full_key("key")).await.unwrap();

    let second = api.rotate(&first.id, Some(3_600)).await.unwrap();
    node.until(second.revision).await;
    let key = streamed(&node, &first.id);
    assert_eq!(key.value_sha256, sha256(&second.value));
    assert_eq!(key.previous_value_sha256, sha256(&first.value));
    assert!(key.previous_value_expires_at.is_some());

    // A rotation ends any earlier grace period.
    let third = api.rotate(&first.id, Some(3_600)).await.unwrap();
    node.until(third.revision).await;
    let key = streamed(&node, &first.id);
    assert_eq!(key.value_sha256, sha256(&third.value));
    assert_eq!(key.previous_value_sha256, sha256(&second.value));

    let fourth = api.rotate(&first.id, Some(0)).await.unwrap();
    node.until(fourth.revision).await;
    let key = streamed(&node, &first.id);
    assert_eq!(key.value_sha256, sha256(&fourth.value));
    assert_eq!((key.previous_value_sha256.len(), key.previous_value_expires_at), (0, None));
}

#[tokio::test]
async fn keys_that_do_not_work_are_streamed_so_that_they_are_refused_by_name() {
    let (_rig, api) = Rig::started().await;
    let past = prost_types::Timestamp { seconds: 1_000_000_000, nanos: 0 };
    let inactive = VirtualKey { is_active: Some(false), ..full_key("inactive") };
    let inactive = api.create_virtual_key(inactive).await.unwrap();
    let expired = VirtualKey { expires_at: Some(past), ..full_key("expired") };
    let expired = api.create_virtual_key(expired).await;
    let node = node(&api, &[]).await;
    assert_eq!(streamed(&node, &inactive.id).is_active, Some(false));
    // A key may be refused for being expired when it is created; if it is not, it is streamed.
    if let Ok(expired) = expired {
        assert_eq!(streamed(&node, &expired.id).expires_at, Some(past));
    }
}
