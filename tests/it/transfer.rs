//! A store that moves: out of one database and into another, of either engine.

mod bad;
mod commands;
mod earlier;
mod moved;
mod unmatched;

use tollgate::archive::{self, ImportError, Imported};
use tollgate::domain::Timestamp;
use tollgate::proto::v1;
use tollgate::proto::v1::token_service_client::TokenServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::store::{DatabaseUrl, Store};

use crate::access::support::caller;
use crate::contract::subject::{How, Subject};
use crate::engine::Database;
use crate::usage::{batch, entry, hierarchy, register, report};
use crate::watch::api::Api;

/// The file that a store becomes, beside whoever has its database.
async fn export(database: &Database) -> String {
    let store = Store::open_beside(&DatabaseUrl::parse(&database.settings.url).unwrap()).await.unwrap();
    let mut file = Vec::new();
    let mut told = 0;
    let snapshot = store.snapshot().await.unwrap();
    let records = archive::export(&snapshot, &mut file, Timestamp::now(), |records| told = records).await.unwrap();
    assert_eq!(told, records);
    drop(snapshot);
    store.close().await;
    String::from_utf8(file).unwrap()
}

async fn import(database: &Database, file: &str) -> Result<Imported, ImportError> {
    let store = database.store().await;
    let imported = archive::import(&store, file.as_bytes(), |_| {}).await;
    if imported.is_ok() {
        let faults = tollgate::ledger::verify(&store).await.unwrap().faults;
        assert_eq!(faults, [""; 0]);
    }
    store.close().await;
    imported
}

/// The records of a file, without header and trailer.
fn records(file: &str) -> Vec<&str> {
    let lines: Vec<&str> = file.lines().collect();
    lines[1..lines.len() - 1].to_vec()
}

fn header(file: &str) -> serde_json::Value {
    let header: serde_json::Value = serde_json::from_str(file.lines().next().unwrap()).unwrap();
    header["header"].clone()
}

/// Something of everything that a store can hold. In the end it has tokens: nobody may call without one.
pub(crate) async fn fill(api: &Api) {
    async fn two<S: Subject>(api: &Api) -> S::Message {
        let one = S::create(api.0.clone(), S::sample(1), How::id(&uuid())).await.unwrap();
        S::create(api.0.clone(), S::sample(2), How::default()).await.unwrap();
        one
    }
    let customer = two::<v1::Customer>(api).await;
    let team = two::<v1::Team>(api).await;
    let provider = two::<v1::Provider>(api).await;
    let limit = v1::Budget { max_limit: 1.5, reset_duration: "1M".to_owned(), ..Default::default() };
    let rate_limit = v1::RateLimit { concurrent_request_max_limit: Some(7), ..Default::default() };
    let mut limited = v1::Provider { calendar_aligned: true, revision: 0, ..provider.clone() };
    limited.calendar = Some(v1::Calendar { time_zone: "Asia/Kolkata".to_owned(), ..Default::default() });
    (limited.keys[0].budgets, limited.keys[0].rate_limits) = (vec![limit], vec![rate_limit]);
    api.update_provider(limited, &["keys", "calendar_aligned", "calendar"]).await.unwrap();
    let client = two::<v1::McpClient>(api).await;
    two::<v1::RoutingRule>(api).await;
    two::<v1::ModelConfig>(api).await;
    two::<v1::PricingOverride>(api).await;
    two::<v1::ModelPrice>(api).await;
    two::<v1::Webhook>(api).await;
    let key = two::<v1::VirtualKey>(api).await;
    api.rotate(&key.id, Some(3_600)).await.unwrap();
    crate::credit::hold(api).await;

    let value = |kind| Some(prost_types::Value { kind: Some(kind) });
    use prost_types::value::Kind::{ListValue, NullValue, NumberValue, StringValue};
    let number = value(NumberValue(0.1 + 0.2)).unwrap();
    let list = prost_types::ListValue { values: vec![number, value(NullValue(0)).unwrap()] };
    let profile = [("list", value(ListValue(list))), ("text", value(StringValue("\"\n\u{202e}€".to_owned())))];
    let fields = profile.into_iter().map(|(name, value)| (name.to_owned(), value.unwrap())).collect();
    let labels = [("a \"label\"".to_owned(), "Ünit".to_owned())].into();
    let full = v1::Team {
        id: team.id.clone(),
        customer_id: customer.id.clone(),
        calendar_aligned: true,
        profile: Some(prost_types::Struct { fields }),
        labels,
        ..Default::default()
    };
    api.update_team(full, &["customer_id", "profile", "labels"]).await.unwrap();
    // Nine billion dollars have more nano-dollars than a double can tell apart.
    let budgets =
        vec![v1::Budget { max_limit: 9.123_456_789e9, reset_duration: "3M".to_owned(), ..Default::default() }];
    let owned = v1::VirtualKey {
        name: "owned".to_owned(),
        team_id: team.id.clone(),
        is_active: Some(false),
        calendar_aligned: true,
        expires_at: Some(prost_types::Timestamp { seconds: 4_102_444_800, nanos: 123_456_000 }),
        provider_configs: vec![v1::VirtualKeyProviderConfig {
            provider: provider.name.clone(),
            key_ids: vec!["key-1".to_owned()],
            blocked_models: vec!["o3".to_owned()],
            weight: Some(1.0 / 3.0),
            ..Default::default()
        }],
        mcp_configs: vec![v1::VirtualKeyMcpConfig {
            mcp_client_name: client.name.clone(),
            tools_to_execute: vec!["read".to_owned()],
            ..Default::default()
        }],
        budgets,
        rate_limits: ["1m", "1d"]
            .map(|length| v1::RateLimit {
                request_max_limit: Some(10),
                request_reset_duration: Some(length.to_owned()),
                ..Default::default()
            })
            .into(),
        ..Default::default()
    };
    let owned = api.create_virtual_key(owned).await.unwrap();
    let scoped = v1::ModelConfig {
        model_name: "m".to_owned(),
        provider: provider.name,
        scope: v1::ModelConfigScope::VirtualKey.into(),
        scope_id: owned.id,
        ..v1::ModelConfig::sample(3)
    };
    v1::ModelConfig::create(api.0.clone(), scoped, How::default()).await.unwrap();
    govern(api).await;

    // Usage: counted, over a threshold, of a node that said much of itself, and of a key that is gone.
    let (_, spender) = hierarchy(api).await;
    let incarnation = register(api).await;
    report(api, vec![batch(incarnation, 1, vec![entry(&spender.id, 850_000_000)])]).await;
    register(api).await;
    api.delete_virtual_key(&spender.id).await.unwrap();
    let late = batch(incarnation, 2, vec![entry(&spender.id, 7)]);
    report(api, vec![late]).await;

    let mut open = TokenServiceClient::new(api.0.clone());
    let make = |name: &str, role: v1::Role, node_id: &str, expires: Option<i64>| v1::CreateTokenRequest {
        token: Some(v1::Token {
            name: name.to_owned(),
            role: role.into(),
            node_id: node_id.to_owned(),
            expires_at: expires.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
            ..Default::default()
        }),
        request_id: uuid(),
        ..Default::default()
    };
    let admin = open.create_token(make("ops", v1::Role::Admin, "", None)).await.unwrap().into_inner().token.unwrap();
    let mut tokens = TokenServiceClient::new(caller(&api.0, &admin.value));
    tokens.create_token(make("gw-1", v1::Role::Node, "gw-1", Some(4_102_444_800))).await.unwrap();
    let gone = tokens.create_token(make("gone", v1::Role::Viewer, "", None)).await.unwrap().into_inner().token.unwrap();
    tokens.revoke_token(v1::RevokeTokenRequest { id: gone.id, ..Default::default() }).await.unwrap();
}

async fn govern(api: &Api) {
    let governance = v1::ProviderGovernance {
        provider: "openai".to_owned(),
        budgets: vec![v1::Budget { max_limit: 1e-9, reset_duration: "1h30m".to_owned(), ..Default::default() }],
        rate_limits: vec![v1::RateLimit {
            request_max_limit: Some(i64::MAX),
            request_reset_duration: Some("10s".to_owned()),
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = v1::UpdateProviderGovernanceRequest {
        provider_governance: Some(governance),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        ..Default::default()
    };
    use v1::provider_governance_service_client::ProviderGovernanceServiceClient as Governance;
    Governance::new(api.0.clone()).update_provider_governance(request).await.unwrap();
}

/// Whose key this value is.
async fn owner(api: &Api, value: &str) -> Option<String> {
    let key = Some(v1::lookup_virtual_key_request::Key::Value(value.to_owned()));
    let request = v1::LookupVirtualKeyRequest { key };
    let found = VirtualKeyServiceClient::new(api.0.clone()).lookup_virtual_key(request).await.ok()?;
    Some(found.into_inner().virtual_key.unwrap().id)
}

fn uuid() -> String {
    uuid::Uuid::now_v7().to_string()
}
