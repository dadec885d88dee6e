//! Unary methods, by POST and by GET.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use prost::Message as _;
use serde_json::json;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;

use super::support::{BOTH, gunzip, gzip, json, json_with, request, send};
use crate::access::support::{ROOT, caller, closed, make, token};

#[tokio::test]
async fn a_call_as_json_is_the_call_of_grpc() {
    let (mut rig, channel) = closed().await;
    for (version, name) in BOTH.into_iter().zip(["Research", "Search"]) {
        let body = json!({ "team": { "name": name, "budgets": [{ "maxLimit": 12.5, "resetDuration": "1M" }] } });
        let made = send(rig.address(), version, json("TeamService/CreateTeam", &body.to_string())).await;
        assert_eq!((made.status.as_u16(), made.field("content-type")), (200, "application/json"), "{made:?}");
        let team = &made.json()["team"];
        assert_eq!((&team["name"], &team["budgets"][0]["maxLimitNanoUsd"]), (&json!(name), &json!("12500000000")));
        let call_id: uuid::Uuid = made.field("x-request-id").parse().unwrap();

        let get = v1::GetTeamRequest { id: team["id"].as_str().unwrap().to_owned(), ..Default::default() };
        let by_grpc = TeamServiceClient::new(caller(&channel, ROOT)).get_team(get.clone()).await.unwrap().into_inner();
        assert_eq!(by_grpc.team.as_ref().unwrap().name, name);
        // As protobuf, the same bytes.
        let fields = [("content-type", "application/proto"), ("connect-protocol-version", "1")];
        let got = request(Method::POST, "/tollgate.v1.TeamService/GetTeam", &fields, get.encode_to_vec());
        let got = send(rig.address(), version, got).await;
        assert_eq!((got.status.as_u16(), got.field("content-type")), (200, "application/proto"));
        assert_eq!(v1::GetTeamResponse::decode(got.body).unwrap(), by_grpc);

        // The audit trail does not tell one from the other.
        let changes = v1::ListChangesRequest { id: get.id, ..Default::default() };
        let changes =
            ConfigServiceClient::new(caller(&channel, ROOT)).list_changes(changes).await.unwrap().into_inner();
        let change = &changes.changes[0];
        assert_eq!(change.method, "tollgate.v1.TeamService/CreateTeam");
        assert!(change.actor.starts_with("bootstrap/") && change.peer.starts_with("127.0.0.1:"), "{change:?}");
        assert_ne!(call_id, uuid::Uuid::nil());
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn what_changes_nothing_is_read_by_get() {
    let (mut rig, channel) = closed().await;
    let made = send(rig.address(), BOTH[0], json("TeamService/CreateTeam", r#"{"team":{"name":"Search"}}"#)).await;
    let id = made.json()["team"]["id"].as_str().unwrap().to_owned();
    let get = |query: &str| request(Method::GET, &format!("/tollgate.v1.TeamService/GetTeam?{query}"), &[], "");
    for version in BOTH {
        let query = format!("connect=v1&encoding=json&message=%7B%22id%22%3A%22{id}%22%7D");
        let got = send(rig.address(), version, get(&query)).await;
        assert_eq!((got.status.as_u16(), got.json()["team"]["name"].as_str()), (200, Some("Search")), "{got:?}");
        assert_eq!((got.field("cache-control"), got.field("x-content-type-options")), ("no-store", "nosniff"));

        let message = v1::GetTeamRequest { id: id.clone(), ..Default::default() }.encode_to_vec();
        for (message, more) in [(message.clone(), ""), (gzip(&message), "&compression=gzip")] {
            let query = format!("encoding=proto&base64=1&message={}{more}", URL_SAFE_NO_PAD.encode(message));
            let got = send(rig.address(), version, get(&query)).await;
            assert_eq!((got.status.as_u16(), got.field("content-type")), (200, "application/proto"), "{got:?}");
            assert_eq!(v1::GetTeamResponse::decode(got.body).unwrap().team.unwrap().name, "Search");
        }
        for (query, status, code) in [
            ("encoding=json", 400, "invalid_argument"),
            ("encoding=json&message=%7B", 400, "invalid_argument"),
            ("encoding=json&message=%7B%7D&connect=v2", 400, "invalid_argument"),
            ("encoding=proto&message=%2F%2B&base64=1", 400, "invalid_argument"),
            ("encoding=json&message=%7B%7D&compression=br", 501, "unimplemented"),
            ("encoding=json&message=%7B%22id%22%3A%22none%22%7D", 404, "not_found"),
        ] {
            let refused = send(rig.address(), version, get(query)).await;
            let (http, told, _) = refused.refusal();
            assert_eq!((http, told.as_str()), (status, code), "{query}");
        }
        let unknown = send(rig.address(), version, get("message=%7B%7D")).await;
        assert_eq!(unknown.status, 415);
        // Methods that change something have no GET, nor have those whose messages may carry the value of a key.
        for method in ["TeamService/CreateTeam", "VirtualKeyService/LookupVirtualKey", "DecisionService/Explain"] {
            let path = format!("/tollgate.v1.{method}?encoding=json&message=%7B%7D");
            let refused = send(rig.address(), version, request(Method::GET, &path, &[], "")).await;
            assert_eq!((refused.status.as_u16(), refused.field("allow")), (405, "POST"), "{method}");
        }
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn refusals_are_told_in_the_terms_of_http() {
    let (mut rig, channel) = closed().await;
    let viewer = make(&channel, token("looker", v1::Role::Viewer)).await.unwrap().value;
    let viewer = format!("Bearer {viewer}");
    let made = send(rig.address(), BOTH[0], json("TeamService/CreateTeam", r#"{"team":{"name":"Search"}}"#)).await;
    let id = made.json()["team"]["id"].as_str().unwrap().to_owned();
    let stale = format!(r#"{{"id":"{id}","revision":"999999"}}"#);
    let late = ("connect-timeout-ms", "1");
    let never = r#"{"revision":"1","timeout":"50s","nodeIds":["none"]}"#;
    for version in BOTH {
        for (method, fields, body, status, code, reason) in [
            ("TeamService/CreateTeam", vec![], r#"{"team":{"name":""}}"#, 400, "invalid_argument", "INVALID_FIELD"),
            ("TeamService/CreateTeam", vec![], r#"{"team":{"naem":"x"}}"#, 400, "invalid_argument", "INVALID_FIELD"),
            ("TeamService/CreateTeam", vec![], "{", 400, "invalid_argument", "MALFORMED_MESSAGE"),
            ("TeamService/CreateTeam", vec![], "", 400, "invalid_argument", "MALFORMED_MESSAGE"),
            (
                "TeamService/CreateTeam",
                vec![],
                r#"{"team":{"name":"Search"}}"#,
                409,
                "already_exists",
                "ALREADY_EXISTS",
            ),
            (
                "TeamService/CreateTeam",
                vec![],
                r#"{"team":{"name":"x","customerId":"none"}}"#,
                400,
                "failed_precondition",
                "REFERENCE_NOT_FOUND",
            ),
            ("TeamService/GetTeam", vec![], r#"{"id":"none"}"#, 404, "not_found", "NOT_FOUND"),
            ("TeamService/DeleteTeam", vec![], &stale, 409, "aborted", "REVISION_MISMATCH"),
            ("ConfigService/WaitForRevision", vec![late], never, 504, "deadline_exceeded", "DEADLINE_EXCEEDED"),
            (
                "TeamService/CreateTeam",
                vec![("authorization", viewer.as_str())],
                "{",
                403,
                "permission_denied",
                "PERMISSION_DENIED",
            ),
            ("TeamService/CreateTeam", vec![("authorization", "")], "{", 401, "unauthenticated", "UNAUTHENTICATED"),
            ("TeamService/GetTeam", vec![("content-encoding", "br")], "{}", 501, "unimplemented", "UNIMPLEMENTED"),
            (
                "TeamService/GetTeam",
                vec![("content-encoding", "gzip")],
                "{}",
                400,
                "invalid_argument",
                "MALFORMED_MESSAGE",
            ),
            (
                "TeamService/GetTeam",
                vec![("connect-protocol-version", "2")],
                "{}",
                400,
                "invalid_argument",
                "MALFORMED_MESSAGE",
            ),
            (
                "TeamService/GetTeam",
                vec![("connect-timeout-ms", "1s")],
                "{}",
                400,
                "invalid_argument",
                "MALFORMED_MESSAGE",
            ),
        ] {
            let refused = send(rig.address(), version, json_with(method, &fields, body.as_bytes().to_vec())).await;
            let (http, told, why) = refused.refusal();
            assert_eq!(
                (http, told.as_str(), why.as_str()),
                (status, code, reason),
                "{method} {fields:?} {body}: {refused:?}"
            );
            assert_eq!(refused.field("content-type"), "application/json");
            assert!(!refused.field("x-request-id").is_empty(), "{refused:?}");
            if status == 501 {
                assert_eq!(refused.field("accept-encoding"), "gzip, identity");
            }
        }
        let fields = [("content-type", "application/proto")];
        let broken = request(Method::POST, "/tollgate.v1.TeamService/GetTeam", &fields, vec![0x0f, 0xff]);
        let (http, code, reason) = send(rig.address(), version, broken).await.refusal();
        assert_eq!((http, code.as_str(), reason.as_str()), (400, "invalid_argument", "MALFORMED_MESSAGE"));
    }
    let misspelt = send(rig.address(), BOTH[0], json("TeamService/CreateTeam", r#"{"team":{"naem":"x"}}"#)).await;
    assert!(misspelt.json()["message"].as_str().unwrap().contains("team.naem"), "{misspelt:?}");
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn gzip_is_taken_and_offered_and_no_bomb_goes_off() {
    let (mut rig, channel) = closed().await;
    let packs = ("content-encoding", "gzip");
    for (version, name) in BOTH.into_iter().zip(["one", "other"]) {
        let body = json!({ "team": { "name": name, "labels": { "note": "n".repeat(60) } } }).to_string();
        let made =
            send(rig.address(), version, json_with("TeamService/CreateTeam", &[packs], gzip(body.as_bytes()))).await;
        assert_eq!((made.status.as_u16(), made.field("content-encoding")), (200, ""), "small answers are not packed");
    }
    for index in 0..20 {
        let body = json!({ "team": { "name": format!("team {index}") } }).to_string();
        send(rig.address(), BOTH[1], json("TeamService/CreateTeam", &body)).await;
    }
    let plain = send(rig.address(), BOTH[0], json("TeamService/ListTeams", "{}")).await;
    assert_eq!((plain.field("content-encoding"), plain.field("vary")), ("", "accept-encoding"));
    for version in BOTH {
        let takes = [("accept-encoding", "br, gzip")];
        let packed = send(rig.address(), version, json_with("TeamService/ListTeams", &takes, b"{}".to_vec())).await;
        assert_eq!((packed.field("content-encoding"), packed.field("vary")), ("gzip", "accept-encoding"));
        assert_eq!(gunzip(&packed.body), plain.body);

        for body in [gzip(&vec![b' '; 9 << 20]), gzip(&vec![b' '; (4 << 20) + 1])] {
            let refused = send(rig.address(), version, json_with("TeamService/ListTeams", &[packs], body)).await;
            let (http, code, reason) = refused.refusal();
            assert_eq!((http, code.as_str(), reason.as_str()), (429, "resource_exhausted", "TOO_LARGE"));
        }
        let large =
            send(rig.address(), version, json_with("TeamService/ListTeams", &[], vec![b' '; (4 << 20) + 1])).await;
        assert_eq!(large.refusal().2, "TOO_LARGE");
        // Up to the limit all is read.
        let mut body = vec![b' '; (4 << 20) - 2];
        body.extend_from_slice(b"{}");
        let listed = send(rig.address(), version, json_with("TeamService/ListTeams", &[], body)).await;
        assert_eq!(listed.status, 200);
    }
    drop(channel);
    rig.stop().await;
}
