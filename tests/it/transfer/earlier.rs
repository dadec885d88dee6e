//! Stores and files of earlier versions: an owner had one rate limit at most, and `blocked_models` had another name.

use serde_json::Value;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::provider_governance_service_client::ProviderGovernanceServiceClient;
use tollgate::proto::v1::rate_limit::Owner;
use tollgate::proto::v1::rate_limit_service_client::RateLimitServiceClient;

use super::bad::File;
use super::*;
use crate::engine::on_postgres;
use crate::process::verify;
use crate::watch::rig::Rig;

/// The store as the earlier version exported it.
const FILE: &str = include_str!("../../fixtures/one_rate_limit.export.jsonl");

/// The store as a server of the earlier version left it.
fn stored() -> Rig {
    let rig = Rig::new();
    rig.database.load(match on_postgres() {
        true => include_str!("../../fixtures/one_rate_limit.postgres.sql"),
        false => include_str!("../../fixtures/one_rate_limit.sqlite.sql"),
    });
    rig
}

/// Puts the rate limit of each owner in `value` into a list.
fn listed(value: &mut Value) {
    if let Value::Object(fields) = value {
        if let Some(limit) = fields.remove("rateLimit") {
            fields.insert("rateLimits".to_owned(), Value::Array(vec![limit]));
        }
        fields.values_mut().for_each(listed);
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(listed);
    }
}

fn values(file: &str) -> Vec<Value> {
    records(file).into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn expected() -> Vec<Value> {
    let mut values = values(FILE);
    values.iter_mut().for_each(listed);
    assert_eq!(
        values.iter().filter(|it| it.to_string().contains("rateLimits")).count(),
        5,
        "one of each kind of owner"
    );
    values
}

#[tokio::test]
async fn a_store_with_one_rate_limit_for_each_owner_keeps_them_with_ids_usage_and_windows() {
    let rig = stored();
    // Opening it is what migrates it.
    rig.store().await.close().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
    assert_eq!(values(&export(&rig.database).await), expected());
}

#[tokio::test]
async fn a_file_with_one_rate_limit_for_each_owner_is_imported() {
    let database = Database::new();
    import(&database, FILE).await.unwrap();
    assert_eq!(values(&export(&database).await), expected());
}

#[tokio::test]
async fn a_file_with_the_earlier_name_of_blocked_models_is_imported() {
    let (mut rig, api) = Rig::started().await;
    fill(&api).await;
    drop(api);
    rig.stop().await;
    let file = export(&rig.database).await;
    assert_eq!(file.matches("\"blockedModels\":[\"o3\"]").count(), 1);
    let earlier = file.replacen("\"formatVersion\":3", "\"formatVersion\":2", 1);
    let earlier = earlier.replace("\"blockedModels\"", "\"blacklistedModels\"");
    let lines = |file: &str| File(file.lines().map(str::to_owned).collect());
    let database = Database::new();
    import(&database, &lines(&earlier).signed()).await.unwrap();
    assert_eq!(values(&export(&database).await), values(&file));

    let mixed = lines(&file.replace("\"blockedModels\"", "\"blacklistedModels\"")).signed();
    let error = import(&Database::new(), &mixed).await.unwrap_err().to_string();
    assert!(error.contains("blacklistedModels"), "each format has its own name: {error}");
}

async fn rate_limits(api: &Api) -> Vec<v1::RateLimit> {
    let request = v1::ListRateLimitsRequest { page_size: 1_000, ..Default::default() };
    let mut client = RateLimitServiceClient::new(api.0.clone());
    client.list_rate_limits(request).await.unwrap().into_inner().rate_limits
}

/// Gives the owner of `limit` one more.
async fn add(api: &Api, limit: &v1::RateLimit) {
    let more = v1::RateLimit {
        request_max_limit: Some(5),
        request_reset_duration: Some("1m".to_owned()),
        ..Default::default()
    };
    let rate_limits = vec![limit.clone(), more];
    let paths = ["rate_limits"];
    match limit.owner.clone().unwrap() {
        Owner::CustomerId(id) => {
            api.update_customer(v1::Customer { id, rate_limits, ..Default::default() }, &paths).await.unwrap();
        }
        Owner::TeamId(id) => {
            api.update_team(v1::Team { id, rate_limits, ..Default::default() }, &paths).await.unwrap();
        }
        Owner::VirtualKeyId(id) => {
            api.update_virtual_key(v1::VirtualKey { id, rate_limits, ..Default::default() }, &paths).await.unwrap();
        }
        Owner::ProviderConfigId(config) => {
            let all = api.all().await.into_iter().filter_map(|it| it.resource);
            let mut keys = all.filter_map(|it| if let Resource::VirtualKey(key) = it { Some(key) } else { None });
            let mut key = keys.find(|key| key.provider_configs.iter().any(|it| it.id == config)).unwrap();
            key.provider_configs[0].rate_limits = rate_limits;
            api.update_virtual_key(key, &["provider_configs"]).await.unwrap();
        }
        Owner::ModelConfigId(id) => {
            api.update_model_config(v1::ModelConfig { id, rate_limits, ..Default::default() }, &paths).await.unwrap();
        }
        Owner::Provider(provider) => {
            let request = v1::UpdateProviderGovernanceRequest {
                provider_governance: Some(v1::ProviderGovernance { provider, rate_limits, ..Default::default() }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["rate_limits".to_owned()] }),
                ..Default::default()
            };
            let mut client = ProviderGovernanceServiceClient::new(api.0.clone());
            client.update_provider_governance(request).await.unwrap();
        }
        Owner::ProviderKeyId(id) => panic!("provider key {id} had no limits then"),
    }
}

#[tokio::test]
async fn every_owner_of_an_earlier_store_may_have_a_second_rate_limit() {
    let mut rig = stored();
    rig.start().await;
    let api = rig.api().await;
    let before = rate_limits(&api).await;
    assert_eq!(before.len(), 6);
    for limit in &before {
        add(&api, limit).await;
    }
    let api = rig.restart().await;
    let after = rate_limits(&api).await;
    assert_eq!(after.len(), 12);
    for limit in before {
        let owned: Vec<_> = after.iter().filter(|it| it.owner == limit.owner).collect();
        assert!(owned.contains(&&limit), "it is as it was: {owned:?}");
        assert_eq!(owned.len(), 2);
    }
    drop(api);
    rig.stop().await;
    let (agrees, text) = verify(&rig.database, &[]);
    assert!(agrees, "{text}");
}
