//! Customers, teams and the keys below them (`docs/design/semantics.md §§4, 5`).

mod ceilings;
mod children;
mod hashes;

use tollgate::proto::v1;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::decision_service_client::DecisionServiceClient;
use tollgate::proto::v1::explain_request::Key;

use crate::watch::api::Api;

fn listed(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A key with everything of `openai`.
fn key(name: &str) -> v1::VirtualKey {
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: listed(&["*"]),
        key_ids: listed(&["*"]),
        ..Default::default()
    };
    v1::VirtualKey { name: name.to_owned(), provider_configs: vec![config], ..Default::default() }
}

fn customer(name: &str) -> v1::Customer {
    v1::Customer { name: name.to_owned(), ..Default::default() }
}

fn team(name: &str, customer_id: &str) -> v1::Team {
    v1::Team { name: name.to_owned(), customer_id: customer_id.to_owned(), ..Default::default() }
}

async fn explain(api: &Api, key: &v1::VirtualKey, model: &str) -> v1::ExplainResponse {
    let request = v1::ExplainRequest {
        key: Some(Key::VirtualKeyId(key.id.clone())),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        ..Default::default()
    };
    DecisionServiceClient::new(api.0.clone()).explain(request).await.unwrap().into_inner()
}

async fn update_team(api: &Api, team: v1::Team, paths: &[&str]) -> v1::Team {
    match api.update_team(team, paths).await.unwrap().resource {
        Some(Resource::Team(team)) => team,
        other => panic!("{other:?}"),
    }
}
