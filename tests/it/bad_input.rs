//! Input that no client should send: each is refused with a clear error, and everything acknowledged is still there.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost_types::{Struct, Value, value};
use tollgate::proto::v1;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::fuzz::targets::service::Raw;
use crate::watch::rig::Rig;

/// Fields and descriptions of an INVALID_ARGUMENT.
fn violations(status: &Status) -> BTreeMap<String, String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let violations = &details.bad_request().expect("it has BadRequest").field_violations;
    violations.iter().map(|it| (it.field.clone(), it.description.clone())).collect()
}

async fn create(channel: &Channel, team: v1::Team) -> Result<v1::Team, Status> {
    let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
    Ok(TeamServiceClient::new(channel.clone()).create_team(request).await?.into_inner().team.unwrap())
}

fn team() -> v1::Team {
    v1::Team { name: "Team".to_owned(), ..Default::default() }
}

fn budget(max_limit: f64, reset_duration: &str) -> v1::Budget {
    v1::Budget { max_limit, reset_duration: reset_duration.to_owned(), ..Default::default() }
}

/// The team that was acknowledged before is there, and another can be made.
async fn goes_on(channel: &Channel, before: &v1::Team) {
    let request = v1::GetTeamRequest { id: before.id.clone(), ..Default::default() };
    let stored = TeamServiceClient::new(channel.clone()).get_team(request).await.unwrap().into_inner().team.unwrap();
    assert_eq!(stored, *before);
    let made = create(channel, v1::Team { name: "Another".to_owned(), ..Default::default() }).await.unwrap();
    assert_eq!(made.revision, before.revision + 1, "what was refused took no revision");
}

#[tokio::test]
async fn every_violation_is_named_at_once_with_its_path() {
    let (mut rig, api) = Rig::started().await;
    let before = create(&api.0, team()).await.unwrap();
    let key = v1::VirtualKey {
        name: " ".to_owned(),
        description: "bell \u{7}".to_owned(),
        team_id: "t".to_owned(),
        customer_id: "c".to_owned(),
        provider_configs: vec![
            v1::VirtualKeyProviderConfig {
                provider: "openai".to_owned(),
                weight: Some(f64::NAN),
                allowed_models: vec!["*".to_owned(), "a".to_owned(), "openai/a".to_owned(), " ".to_owned()],
                ..Default::default()
            },
            v1::VirtualKeyProviderConfig { provider: String::new(), weight: Some(-1.0), ..Default::default() },
        ],
        budgets: vec![
            budget(f64::INFINITY, "1d"),
            budget(-0.5, "monthly"),
            budget(1e-12, "24h"),
            budget(1e10, "999ms"),
            budget(1.0, "11Y"),
        ],
        rate_limits: vec![v1::RateLimit {
            token_max_limit: Some(-1),
            request_reset_duration: Some("1h".to_owned()),
            ..Default::default()
        }],
        expires_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 }),
        ..Default::default()
    };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let refused = VirtualKeyServiceClient::new(api.0.clone()).create_virtual_key(request).await.unwrap_err();
    let violations = violations(&refused);
    for field in [
        "name",
        "description",
        "customer_id",
        "provider_configs[0].weight",
        "provider_configs[0].allowed_models[0]",
        "provider_configs[0].allowed_models[2]",
        "provider_configs[0].allowed_models[3]",
        "provider_configs[1].provider",
        "provider_configs[1].weight",
        "budgets[0].max_limit",
        "budgets[1].max_limit",
        "budgets[1].reset_duration",
        "budgets[2].max_limit",
        "budgets[3].max_limit",
        "budgets[3].reset_duration",
        "budgets[4].reset_duration",
        "rate_limits[0].token_max_limit",
        "rate_limits[0].token_reset_duration",
        "rate_limits[0].request_max_limit",
        "expires_at",
    ] {
        assert!(violations.contains_key(&format!("virtual_key.{field}")), "{field} is not among {violations:#?}");
    }
    goes_on(&api.0, &before).await;
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_its_path() {
    let (mut rig, api) = Rig::started().await;
    let before = create(&api.0, team()).await.unwrap();
    let long = |bytes: usize| "x".repeat(bytes);
    let labels = |count: usize, value: usize| (0..count).map(|n| (n.to_string(), long(value))).collect();
    let text = |text: String| Value { kind: Some(value::Kind::StringValue(text)) };
    let wide = Struct { fields: [("k".to_owned(), text(long(33 * 1024)))].into() };
    let mut deep = Struct::default();
    for _ in 0..20 {
        deep = Struct { fields: [("k".to_owned(), Value { kind: Some(value::Kind::StructValue(deep)) })].into() };
    }
    for (team, field) in [
        (v1::Team { name: long(1025), ..team() }, "team.name"),
        (v1::Team { labels: labels(65, 1), ..team() }, "team.labels"),
        (v1::Team { labels: labels(1, 1025), ..team() }, "team.labels[\"0\"]"),
        (v1::Team { profile: Some(wide), ..team() }, "team.profile"),
        (v1::Team { claims: Some(deep), ..team() }, "team.claims"),
        (v1::Team { budgets: vec![budget(1.0, "1d"); 1_001], ..team() }, "team.budgets"),
    ] {
        let refused = create(&api.0, team).await.unwrap_err();
        let violations = violations(&refused);
        assert!(violations.keys().any(|named| named.starts_with(field)), "{field} is not among {violations:?}");
    }
    // Each list is within its bounds, all of it together is not.
    let models: Vec<String> = (0..900).map(|n| format!("{n}-{}", long(300))).collect();
    let config =
        v1::VirtualKeyProviderConfig { provider: "openai".to_owned(), allowed_models: models, ..Default::default() };
    let key = v1::VirtualKey { name: "large".to_owned(), provider_configs: vec![config], ..Default::default() };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let refused = VirtualKeyServiceClient::new(api.0.clone()).create_virtual_key(request).await.unwrap_err();
    assert_eq!(violations(&refused).keys().collect::<Vec<_>>(), ["virtual_key"], "{refused:?}");

    let huge = create(&api.0, v1::Team { name: long(5 * 1024 * 1024), ..team() }).await.unwrap_err();
    assert_eq!(huge.code(), Code::ResourceExhausted, "{huge:?}");
    goes_on(&api.0, &before).await;
    drop(api);
    rig.stop().await;
}

async fn send_raw(channel: &Channel, bytes: Vec<u8>) -> Status {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/tollgate.v1.TeamService/CreateTeam");
    client.unary(Request::new(Bytes::from(bytes)), path, Raw).await.unwrap_err()
}

/// A field of a message: tag, length, content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused_and_nothing_of_the_decoder_leaks() {
    let (mut rig, api) = Rig::started().await;
    let before = create(&api.0, team()).await.unwrap();
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        // Value.struct_value of Struct.fields.value.
        deep = field(1, &[field(1, b"k"), field(2, &field(5, &deep))].concat());
    }
    for bytes in [
        // A name that is not UTF-8.
        field(1, &field(2, b"\xff\xfe")),
        // A length beyond the message.
        vec![0x0a, 0x7f, 0x00],
        // A wire type that does not exist.
        vec![0x0f, 0xff],
        field(1, &field(8, &deep)),
    ] {
        let refused = send_raw(&api.0, bytes).await;
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(!refused.message().contains("panick"), "{refused:?}");
    }
    goes_on(&api.0, &before).await;
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_second_server_on_the_file_is_refused_and_the_first_goes_on() {
    if crate::engine::on_postgres() {
        return;
    }
    let (mut rig, api) = Rig::started().await;
    let before = create(&api.0, team()).await.unwrap();
    let listener = tollgate::server::bind("127.0.0.1:0").await.unwrap();
    let second = tollgate::server::run(listener, rig.settings.clone(), std::future::pending()).await.unwrap_err();
    let mut told = second.to_string();
    let mut cause = std::error::Error::source(&second);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    assert!(told.contains("t.db") && told.contains("another"), "{told}");
    goes_on(&api.0, &before).await;
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn all_that_does_not_exist_is_named_at_once() {
    let (mut rig, api) = Rig::started().await;
    let before = create(&api.0, team()).await.unwrap();
    let config = v1::VirtualKeyProviderConfig {
        provider: "nobody".to_owned(),
        key_ids: vec!["nothing".to_owned()],
        ..Default::default()
    };
    let key = v1::VirtualKey {
        name: "key".to_owned(),
        team_id: "gone".to_owned(),
        provider_configs: vec![config],
        mcp_configs: vec![v1::VirtualKeyMcpConfig { mcp_client_name: "none".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let refused = VirtualKeyServiceClient::new(api.0.clone()).create_virtual_key(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "ERROR_REASON_REFERENCE_NOT_FOUND");
    let told = format!("{:?}", details.precondition_failure().unwrap().violations);
    for part in [
        "virtual_key.team_id",
        "gone",
        "provider_configs[0].provider",
        "nobody",
        "key_ids[0]",
        "nothing",
        "mcp_configs[0].mcp_client_name",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let request = v1::ListCustomersRequest { view: 77, ..Default::default() };
    let refused = CustomerServiceClient::new(api.0.clone()).list_customers(request).await.unwrap_err();
    assert_eq!(violations(&refused).keys().collect::<Vec<_>>(), ["view"]);
    goes_on(&api.0, &before).await;
    drop(api);
    rig.stop().await;
}
