//! Many changes in one revision, names, and configuration as it was (`docs/design/semantics.md §10`).

mod killed;
mod laws;
mod names;
pub(crate) mod organisation;
mod rollback;
mod together;

use tollgate::proto::v1;
use tollgate::proto::v1::change_service_client::ChangeServiceClient;
use tollgate::proto::v1::config_resource::Resource;
use tollgate::proto::v1::{ApplyOperation, ResourceKind};
use tonic::Status;

use crate::watch::api::Api;

/// Sends options and changes.
pub(crate) async fn apply(
    api: &Api,
    options: v1::ApplyOptions,
    changes: Vec<v1::ApplyChange>,
) -> Result<v1::ApplyResponse, Status> {
    use v1::apply_request::Part;
    let parts = std::iter::once(Part::Options(options)).chain(changes.into_iter().map(Part::Change));
    send(api, parts.map(|part| v1::ApplyRequest { part: Some(part) }).collect()).await
}

async fn send(api: &Api, messages: Vec<v1::ApplyRequest>) -> Result<v1::ApplyResponse, Status> {
    let mut client = ChangeServiceClient::new(api.0.clone());
    Ok(client.apply(tokio_stream::iter(messages)).await?.into_inner())
}

fn upsert(resource: Resource) -> v1::ApplyChange {
    let upsert = v1::ConfigResource { resource: Some(resource) };
    v1::ApplyChange { change: Some(v1::apply_change::Change::Upsert(upsert)), ..Default::default() }
}

fn delete(kind: ResourceKind, id: &str) -> v1::ApplyChange {
    let key = v1::ResourceKey { kind: kind.into(), id: id.to_owned() };
    v1::ApplyChange { change: Some(v1::apply_change::Change::Delete(key)), ..Default::default() }
}

fn customer(name: &str) -> v1::Customer {
    v1::Customer { name: name.to_owned(), ..Default::default() }
}

fn team(name: &str, customer_id: &str) -> v1::Team {
    v1::Team { name: name.to_owned(), customer_id: customer_id.to_owned(), ..Default::default() }
}

fn key(name: &str, team_id: &str, customer_id: &str) -> v1::VirtualKey {
    let config = v1::VirtualKeyProviderConfig {
        provider: "openai".to_owned(),
        weight: Some(1.0),
        allowed_models: vec!["gpt-4o*".to_owned()],
        key_ids: vec!["*".to_owned()],
        budgets: vec![budget(5.0, "1d")],
        ..Default::default()
    };
    v1::VirtualKey {
        name: name.to_owned(),
        team_id: team_id.to_owned(),
        customer_id: customer_id.to_owned(),
        provider_configs: vec![config],
        budgets: vec![budget(500.0, "1M")],
        ..Default::default()
    }
}

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

fn rule(name: &str, scope: v1::RoutingScope, scope_id: &str, priority: i32) -> v1::RoutingRule {
    let target = v1::RoutingTarget { provider: Some("openai".to_owned()), weight: 1.0, ..Default::default() };
    v1::RoutingRule {
        name: name.to_owned(),
        targets: vec![target],
        scope: scope.into(),
        scope_id: scope_id.to_owned(),
        priority,
        ..Default::default()
    }
}

pub(crate) fn operations(answer: &v1::ApplyResponse) -> Vec<ApplyOperation> {
    answer.outcomes.iter().map(v1::ApplyOutcome::operation).collect()
}

fn ids(answer: &v1::ApplyResponse) -> Vec<String> {
    answer.outcomes.iter().map(|outcome| outcome.key.clone().unwrap().id).collect()
}
