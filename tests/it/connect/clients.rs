//! The clients that people have: curl, and buf without flags.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::support::refusal;
use crate::access::support::{ROOT, closed};
use crate::watch::rig::Rig;

/// Runs a program to its end.
async fn run(program: &'static str, arguments: Vec<String>) -> Output {
    let run = move || Command::new(program).args(arguments).output();
    tokio::task::spawn_blocking(run).await.unwrap().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// Whether a program is there. Where it is not, its test is skipped, and says so; it fails where `CI` is set.
fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "{program} is not installed");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

fn strings(arguments: &[&str]) -> Vec<String> {
    arguments.iter().map(|it| (*it).to_owned()).collect()
}

/// The answer that `curl` gets, with the status of HTTP.
async fn curl(rig: &Rig, arguments: &[&str], path: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", rig.address());
    let bearer = format!("authorization: Bearer {ROOT}");
    let mut all = strings(&["--silent", "--show-error", "--write-out", "\n%{http_code}", "-H", &bearer]);
    all.extend(strings(arguments));
    all.push(url);
    let output = run("curl", all).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
}

#[tokio::test]
async fn curl_is_a_client() {
    if !is_there("curl") {
        return;
    }
    let (mut rig, channel) = closed().await;
    let json = ["-H", "content-type: application/json", "-d"];
    for (name, version) in [("Research", "--http1.1"), ("Search", "--http2-prior-knowledge")] {
        let body = format!(r#"{{"team":{{"name":"{name}","labels":{{"floor":"2"}}}}}}"#);
        let arguments = [&json[..], &[&body, version, "--compressed"]].concat();
        let (status, made) = curl(&rig, &arguments, "/tollgate.v1.TeamService/CreateTeam").await;
        assert_eq!((status, &made["team"]["labels"]["floor"]), (200, &json!("2")));
        let (status, refused) = curl(&rig, &arguments, "/tollgate.v1.TeamService/CreateTeam").await;
        let (_, code, reason) = refusal(http::StatusCode::from_u16(status).unwrap(), &refused);
        assert_eq!((status, code.as_str(), reason.as_str()), (409, "already_exists", "ALREADY_EXISTS"));
    }
    let get = ["-G", "-d", "encoding=json", "--data-urlencode", r#"message={"search": "sea"}"#];
    let (status, listed) = curl(&rig, &get, "/tollgate.v1.TeamService/ListTeams").await;
    assert_eq!((status, listed["teams"].as_array().map(Vec::len)), (200, Some(2)), "{listed}");
    // The content type that curl sends of itself is not that of JSON.
    let (status, text) = curl(&rig, &["-d", "{}"], "/tollgate.v1.TeamService/ListTeams").await;
    assert!(status == 415 && text.as_str().unwrap().contains("application/json"), "{text}");
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn buf_curl_needs_no_flags() {
    if !is_there("buf") {
        return;
    }
    let (mut rig, api) = Rig::started().await;
    let url = |method: &str| format!("http://{}/tollgate.v1.{method}", rig.address());
    let made =
        run("buf", strings(&["curl", "--data", r#"{"team":{"name":"Search"}}"#, &url("TeamService/CreateTeam")])).await;
    let shown = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && shown.contains("Search"), "{made:?}");
    let refused = run("buf", strings(&["curl", "--data", r#"{"id":"none"}"#, &url("TeamService/GetTeam")])).await;
    // The code of gRPC, and what buf adds to say that it is one.
    assert_eq!(refused.status.code(), Some(tonic::Code::NotFound as i32 * 8), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("NOT_FOUND"), "{refused:?}");
    drop(api);
    rig.stop().await;
}
