//! Callers without the right to call, and requests that are none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::json;
use tollgate::proto::v1::Role;

use super::client::{Client, World, id};
use crate::access::support::{ROOT, make, token};
use crate::watch::rig::{Rig, endpoint, soon};

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn an_access_token_may_be_the_password() {
    let world = World::new().await;
    let basic = |password: &str| Some(format!("Basic {}", STANDARD.encode(format!("terraform:{password}"))));
    let client = Client { authorization: basic(ROOT), ..world.client.clone() };
    let team = client.made("teams", "team", json!({ "name": "t" })).await;
    client.get(&format!("teams/{}", id(&team))).await.of(200);
    for authorization in
        [basic("tg_other"), basic(""), None, Some("Basic ???".to_owned()), Some(format!("Bearer {ROOT}x"))]
    {
        let stranger = Client { authorization: authorization.clone(), ..world.client.clone() };
        for path in ["teams", "teams/nobody", "virtual-keys?limit=x"] {
            let reply = stranger.get(path).await;
            let text = reply.error(401);
            assert!(text.contains("token"), "{authorization:?}: {text}");
            assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"tollgate\"");
        }
        stranger.post("teams", &json!({ "name": 5 })).await.error(401);
        stranger.put("teams/nobody", &json!({ "budget": {} })).await.error(401);
        stranger.delete("teams/nobody").await.error(401);
    }
    let two = [("authorization", &*format!("Bearer {ROOT}")), ("authorization", "Basic x")];
    let twice = Client { authorization: None, ..world.client.clone() };
    twice.raw("GET", "/api/governance/teams", &two, Bytes::new()).await.error(401);
    world.end().await;
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let world = World::new().await;
    let channel = soon(endpoint(world.rig.address()).connect()).await.unwrap();
    let viewer = make(&channel, token("v", Role::Viewer)).await.unwrap().value;
    let viewer = Client { authorization: Some(format!("Bearer {viewer}")), ..world.client.clone() };
    viewer.get("teams").await.of(200);
    for reply in [
        viewer.post("teams", &json!({ "name": "t" })).await,
        viewer.put("teams/x", &json!({ "budget": { "max_limit": 1 } })).await,
        viewer.delete("teams/x").await,
    ] {
        reply.error(403);
    }
    drop(channel);
    world.end().await;
}

#[tokio::test]
async fn requests_that_are_none() {
    let world = World::new().await;
    let send = async |verb: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        world.client.raw(verb, path, headers, body.to_owned().into()).await
    };
    for path in [
        "/api",
        "/api/",
        "/api/governance",
        "/api/governance/",
        "/api/governance/teams/",
        "/api/governance/teams/a/b",
        "/api/v1/teams",
    ] {
        let reply = send("GET", path, &[], "").await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for (verb, path, allow) in [
        ("PATCH", "/api/governance/teams", "GET, POST"),
        ("DELETE", "/api/governance/teams", "GET, POST"),
        ("POST", "/api/governance/teams/a", "GET, PUT, DELETE"),
        ("PUT", "/api/governance/virtual-keys/quota", "GET"),
        ("TRACE", "/api/governance/providers/openai", "PUT, DELETE"),
    ] {
        let reply = send(verb, path, &[], "").await;
        reply.error(405);
        assert_eq!(reply.headers["allow"], allow, "{verb} {path}");
    }
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/x-www-form-urlencoded")]]
    {
        send("POST", "/api/governance/teams", headers, "{\"name\": \"t\"}").await.error(415);
    }
    for body in ["", "{", "null", "[]", "\"x\"", "{\"name\": \"t\"} {}", "{\"name\": \"\u{0}\"}", "{\"name\": nan}"] {
        send("POST", "/api/governance/teams", &JSON, body).await.error(400);
    }
    let deep = format!("{{\"name\": \"t\", \"profile\": {}1{}}}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    send("POST", "/api/governance/teams", &JSON, &deep).await.error(400);
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(4 * 1024 * 1024));
    send("POST", "/api/governance/teams", &JSON, &large).await.error(413);
    let many = format!("{{{}\"name\": 1}}", (0..10_000).map(|n| format!("\"f{n}\": 1,")).collect::<String>());
    let reply = send("POST", "/api/governance/teams", &JSON, &many).await;
    reply.error(400);
    assert!(reply.body.len() < 64 * 1024, "{} bytes", reply.body.len());
    send("POST", "/api/governance/teams?name=x", &JSON, "{\"name\": \"t\"}").await.error(400);
    send("DELETE", "/api/governance/teams/x?children=delete", &[], "").await.error(400);
    let list = world.client.get("teams").await.of(200);
    assert_eq!(list["count"], json!(0), "nothing of this was done");
    world.end().await;
}

#[tokio::test]
async fn without_tokens_pages_and_foreign_hosts_are_refused() {
    let mut rig = Rig::new();
    let address = rig.start().await;
    let client = Client { address, authorization: None };
    client.get("teams").await.of(200);
    client.post("teams", &json!({ "name": "t" })).await.of(200);
    let path = "/api/governance/teams";
    client.raw("GET", path, &[("origin", "http://localhost:3000")], Bytes::new()).await.error(403);
    client.raw("POST", path, &[JSON[0], ("origin", "null")], "{\"name\": \"u\"}".into()).await.error(403);
    client.raw("GET", path, &[("host", "evil.example")], Bytes::new()).await.error(403);
    client.raw("GET", path, &[("sec-fetch-site", "cross-site")], Bytes::new()).await.error(403);
    client.raw("GET", path, &[("sec-fetch-site", "none")], Bytes::new()).await.of(200);
    rig.stop().await;
}
