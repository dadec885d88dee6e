//! Pages of other origins, and the answers that browsers get for them.

use http::{Method, Request, Version};

use super::support::{Answer, BOTH, json_with, request, send};
use crate::access::support::ROOT;
use crate::watch::rig::Rig;
use tollgate::settings::BootstrapToken;

const CONSOLE: &str = "https://console.example";
const LIST: &str = "/tollgate.v1.TeamService/ListTeams";

async fn started(origins: &[&str], grpc_web: bool) -> Rig {
    let mut rig = Rig::new();
    rig.settings.access.bootstrap_token = Some(BootstrapToken(ROOT.to_owned()));
    rig.settings.transport.allow_origins = origins.iter().map(|it| it.parse().unwrap()).collect();
    rig.settings.transport.grpc_web = grpc_web;
    rig.start().await;
    rig
}

fn preflight(origin: &str) -> Request<bytes::Bytes> {
    let fields = [
        ("authorization", ""),
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,connect-protocol-version,content-type"),
    ];
    request(Method::OPTIONS, LIST, &fields, "")
}

/// Whether a browser lets a page of `origin` read an answer.
fn may_read(answer: &Answer, origin: &str) -> bool {
    answer.field("access-control-allow-origin") == origin
}

async fn by_grpc_web(rig: &Rig, version: Version, origin: &str) -> Answer {
    let fields = [("content-type", "application/grpc-web+proto"), ("origin", origin)];
    send(rig.address(), version, request(Method::POST, LIST, &fields, vec![0; 5])).await
}

#[tokio::test]
async fn pages_of_listed_origins_are_served() {
    let mut rig = started(&[CONSOLE, "http://localhost:3000"], true).await;
    for version in BOTH {
        let asked = send(rig.address(), version, preflight(CONSOLE)).await;
        assert!(asked.status == 204 && may_read(&asked, CONSOLE), "{asked:?}");
        let allowed = asked.field("access-control-allow-headers");
        assert_eq!(allowed, "authorization,connect-protocol-version,content-type");
        assert!(asked.field("access-control-allow-methods").contains("POST") && asked.field("vary").contains("origin"));

        for (body, status) in [("{}", 200), ("{", 400)] {
            let fields = [("origin", CONSOLE)];
            let listed = send(rig.address(), version, json_with("TeamService/ListTeams", &fields, body.into())).await;
            assert!(listed.status == status && may_read(&listed, CONSOLE), "{listed:?}");
            let vary: Vec<_> = listed.fields.get_all("vary").iter().collect();
            assert!(vary.contains(&&"origin".parse().unwrap()), "{vary:?}");
            assert!(listed.field("access-control-expose-headers").contains("x-request-id"));
        }
        let get = format!("{LIST}?encoding=json&message=%7B%7D");
        let fields = [("origin", CONSOLE), ("sec-fetch-site", "cross-site")];
        let listed = send(rig.address(), version, request(Method::GET, &get, &fields, "")).await;
        assert!(listed.status == 200 && may_read(&listed, CONSOLE), "{listed:?}");

        let listed = by_grpc_web(&rig, version, CONSOLE).await;
        assert!(listed.status == 200 && may_read(&listed, CONSOLE), "{listed:?}");
        assert!(String::from_utf8_lossy(&listed.body).contains("grpc-status:0"), "{listed:?}");
        for field in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(listed.field("access-control-expose-headers").contains(field), "{field}");
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_before_anything_is_done() {
    for (origins, grpc_web) in [(&[CONSOLE][..], true), (&[], true), (&[], false)] {
        let mut rig = started(origins, grpc_web).await;
        let create = r#"{"team":{"name":"Of a page"}}"#;
        for (version, origin) in BOTH.into_iter().flat_map(|it| [(it, "https://evil.example"), (it, "null")]) {
            let asked = send(rig.address(), version, preflight(origin)).await;
            assert!(asked.status == 405 && !may_read(&asked, origin), "{asked:?}");
            let made = json_with("TeamService/CreateTeam", &[("origin", origin)], create.into());
            let made = send(rig.address(), version, made).await;
            let (status, _, reason) = made.refusal();
            assert!((status, reason.as_str()) == (403, "PERMISSION_DENIED") && !may_read(&made, origin), "{made:?}");
            let listed = by_grpc_web(&rig, version, origin).await;
            assert!(listed.field("grpc-status") == "7" && !may_read(&listed, origin), "{listed:?}");
        }
        let listed = json_with("TeamService/ListTeams", &[], "{}".into());
        assert_eq!(send(rig.address(), BOTH[0], listed).await.json().get("teams"), None);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_page_from_where_the_server_is_needs_no_leave() {
    for (grpc_web, status) in [(true, 200), (false, 403)] {
        let mut rig = started(&[], grpc_web).await;
        let fields = [("origin", "https://tollgate.example"), ("host", "tollgate.example")];
        for version in BOTH {
            let listed = json_with("TeamService/ListTeams", &fields, "{}".into());
            assert_eq!(send(rig.address(), version, listed).await.status, status);
        }
        rig.stop().await;
    }
}

#[tokio::test]
async fn without_a_token_no_origin_is_served_whatever_is_listed() {
    let mut rig = Rig::new();
    rig.settings.transport.allow_origins = vec!["*".parse().unwrap()];
    rig.start().await;
    for version in BOTH {
        let asked = send(rig.address(), version, preflight(CONSOLE)).await;
        assert!(asked.status == 405 && !may_read(&asked, CONSOLE), "{asked:?}");
        let listed = json_with("TeamService/ListTeams", &[("origin", CONSOLE)], "{}".into());
        assert_eq!(send(rig.address(), version, listed).await.status, 403);
    }
    rig.stop().await;
}
