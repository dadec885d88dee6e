//! The rules of calls hold whatever a call comes as.

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::support::{BOTH, json, json_with, request, send};
use crate::access::support::{ROOT, closed};
use crate::watch::rig::{Rig, soon};

const LIST: &str = "TeamService/ListTeams";

#[tokio::test]
async fn without_a_token_only_programs_of_this_machine_are_served() {
    let (mut rig, api) = Rig::started().await;
    let port = rig.address().port();
    let rebound = format!("evil.example:{port}");
    let here = format!("localhost:{port}");
    for version in BOTH {
        for (fields, status) in [
            (vec![], 200),
            (vec![("host", here.as_str())], 200),
            (vec![("host", rebound.as_str())], 403),
            (vec![("origin", "https://evil.example")], 403),
            (vec![("origin", "null")], 403),
            // Of a page that has the server's own origin, as by a name that leads here.
            (vec![("origin", "http://localhost"), ("host", "localhost")], 403),
            // Content types that a page can send without asking first.
            (vec![("content-type", "text/plain")], 415),
            (vec![("content-type", "application/x-www-form-urlencoded")], 415),
        ] {
            let fields: Vec<_> = [("authorization", "")].into_iter().chain(fields).collect();
            let answer = send(rig.address(), version, json_with(LIST, &fields, b"{}".to_vec())).await;
            assert_eq!(answer.status.as_u16(), status, "{fields:?}: {answer:?}");
        }
        let get = |fields: &[(&'static str, &str)]| {
            request(Method::GET, &format!("/tollgate.v1.{LIST}?encoding=json&message=%7B%7D"), fields, "")
        };
        for (fields, status) in [
            (vec![], 200),
            (vec![("sec-fetch-site", "none")], 200),
            (vec![("host", rebound.as_str())], 403),
            (vec![("origin", "https://evil.example")], 403),
            (vec![("sec-fetch-site", "cross-site")], 403),
            (vec![("sec-fetch-site", "same-site")], 403),
        ] {
            let answer = send(rig.address(), version, get(&fields)).await;
            assert_eq!(answer.status.as_u16(), status, "{fields:?}: {answer:?}");
        }
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_call_is_told_what_would_be_one() {
    let (mut rig, channel) = closed().await;
    let json = ("content-type", "application/json");
    let stream = ("content-type", "application/connect+json");
    let watch = "/tollgate.v1.ConfigService/WatchConfig";
    let list = "/tollgate.v1.TeamService/ListTeams";
    for version in BOTH {
        for (verb, path, fields, status, field) in [
            (Method::POST, "/tollgate.v1.TeamService/None", vec![json], 404, ("accept-post", "")),
            (Method::POST, "/none", vec![json], 404, ("accept-post", "")),
            (Method::GET, "/", vec![], 404, ("allow", "")),
            (Method::PUT, list, vec![json], 405, ("allow", "GET, POST")),
            (Method::GET, watch, vec![], 405, ("allow", "POST")),
            (Method::OPTIONS, list, vec![], 405, ("allow", "GET, POST")),
            (Method::POST, list, vec![("content-type", "text/plain")], 415, ("accept-post", "application/json, ")),
            (
                Method::POST,
                list,
                vec![("content-type", "application/json; charset=latin1")],
                415,
                ("accept-post", "app"),
            ),
            (Method::POST, list, vec![], 415, ("accept-post", "application/json, ")),
            (Method::POST, list, vec![stream], 415, ("accept-post", "application/json, ")),
            (Method::POST, watch, vec![json], 415, ("accept-post", "application/json, ")),
        ] {
            let answer = send(rig.address(), version, request(verb.clone(), path, &fields, "{}")).await;
            let text = String::from_utf8_lossy(&answer.body);
            assert_eq!(answer.status.as_u16(), status, "{verb} {path} {fields:?}: {text}");
            assert!(answer.field(field.0).starts_with(field.1), "{verb} {path}: {:?}", answer.fields);
            assert!(text.starts_with("This is a gRPC server") && !answer.field("x-request-id").is_empty(), "{text}");
        }
    }
    drop(channel);
    rig.stop().await;
}

/// Nobody reads what somebody sends who may not call.
#[tokio::test]
async fn strangers_are_refused_before_their_request_is_read() {
    let (mut rig, channel) = closed().await;
    let quota = "VirtualKeyService/GetVirtualKeyQuota";
    for version in BOTH {
        let nobody = [("authorization", "")];
        let long = [vec![b' '; 20_000], b"{}".to_vec()].concat();
        let answer = send(rig.address(), version, json_with(quota, &nobody, long)).await;
        assert_eq!(answer.refusal().2, "TOO_LARGE", "{answer:?}");
        let answer = send(rig.address(), version, json_with(quota, &nobody, b"{}".to_vec())).await;
        assert_eq!(answer.refusal().2, "UNAUTHENTICATED", "{answer:?}");
    }
    // The head of a request whose body never comes.
    let mut socket = TcpStream::connect(rig.address()).await.unwrap();
    let head = format!(
        "POST /tollgate.v1.{LIST} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: 4000000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401", "{}", String::from_utf8_lossy(&answer));

    // With an access token it is asked for.
    let mut socket = TcpStream::connect(rig.address()).await.unwrap();
    let head = format!(
        "POST /tollgate.v1.{LIST} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         authorization: Bearer {ROOT}\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    soon(socket.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    socket.write_all(b"{}").await.unwrap();
    let mut rest = [0; 1024];
    let mut told = Vec::new();
    while !told.windows(12).any(|it| it == b"HTTP/1.1 200") {
        let read = soon(socket.read(&mut rest)).await.unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&told));
        told.extend_from_slice(&rest[..read]);
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn metadata_and_places_are_counted_alike() {
    let mut rig = Rig::new();
    rig.settings.transport.max_calls_per_caller = 1;
    rig.settings.access.bootstrap_token = Some(tollgate::settings::BootstrapToken(ROOT.to_owned()));
    rig.start().await;
    let large = "v".repeat(17_000);
    for version in BOTH {
        let answer = send(rig.address(), version, json_with(LIST, &[("x-much", &large)], b"{}".to_vec())).await;
        assert_eq!(answer.refusal().2, "TOO_LARGE", "{:?}", answer.status);
    }
    let address = rig.address();
    let waiting = tokio::spawn(async move {
        let waits = || json("ConfigService/WaitForRevision", r#"{"revision":"1","timeout":"50s","nodeIds":["none"]}"#);
        // Until it has the place.
        while send(address, BOTH[1], waits()).await.status == 429 {}
    });
    let refused = loop {
        let answer = soon(send(rig.address(), BOTH[0], json(LIST, "{}"))).await;
        if answer.status != 200 {
            break answer;
        }
    };
    let (status, code, reason) = refused.refusal();
    assert_eq!((status, code.as_str(), reason.as_str()), (429, "resource_exhausted", "OVERLOADED"));
    assert!(refused.json()["details"].as_array().unwrap().iter().any(|it| it["type"] == "google.rpc.RetryInfo"));
    waiting.abort();
    rig.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_method_and_by_protocol() {
    let mut rig = Rig::new();
    let metrics = rig.start_with_metrics().await;
    for version in BOTH {
        send(rig.address(), version, json(LIST, "{}")).await;
        send(rig.address(), version, json(LIST, "{")).await;
        send(rig.address(), version, json("TeamService/None", "{}")).await;
    }
    let text = send(metrics, BOTH[0], request(Method::GET, "/metrics", &[], "")).await;
    let text = String::from_utf8(text.body.to_vec()).unwrap();
    for line in [
        r#"tollgate_rpc_total{method="tollgate.v1.TeamService/ListTeams",code="OK"} 2"#,
        r#"tollgate_rpc_total{method="tollgate.v1.TeamService/ListTeams",code="INVALID_ARGUMENT"} 2"#,
        r#"tollgate_http_requests_total{protocol="connect"} 4"#,
        r#"tollgate_http_requests_total{protocol="none"} 2"#,
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
    rig.stop().await;
}
