//! What an operator gets who says nothing, and what must be said for more.

use std::process::{Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tollgate::proto::v1;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::server::{self, ServerError};
use tollgate::settings::BootstrapToken;
use tonic::Code;

use super::support::{ROOT, caller, closed, make, start, token};
use crate::watch::rig::{Rig, endpoint, soon};

#[tokio::test]
async fn without_a_token_only_this_machine_is_served() {
    let mut rig = Rig::new();
    let everywhere = || TcpListener::bind("0.0.0.0:0");
    let refused = server::run(everywhere().await.unwrap(), rig.settings.clone(), std::future::pending()).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ServerError::NotLoopback { .. }), "{refused}");
    for remedy in ["token create", "127.0.0.1", "--insecure"] {
        assert!(refused.to_string().contains(remedy), "{refused}");
    }

    // With a first token, with `--insecure`, and with tokens from before, it may be reached from elsewhere.
    rig.settings.access.insecure = true;
    server::run(everywhere().await.unwrap(), rig.settings.clone(), async {}).await.unwrap();
    rig.settings.access.insecure = false;
    rig.settings.access.bootstrap_token = Some(BootstrapToken(ROOT.to_owned()));
    server::run(everywhere().await.unwrap(), rig.settings.clone(), async {}).await.unwrap();
    rig.settings.access.bootstrap_token = None;
    server::run(everywhere().await.unwrap(), rig.settings.clone(), async {}).await.unwrap();
    let channel = start(&mut rig).await;
    let list = v1::ListTeamsRequest::default;
    let refused = TeamServiceClient::new(caller(&channel, "")).list_teams(list()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "authentication stays on");
    TeamServiceClient::new(caller(&channel, ROOT)).list_teams(list()).await.unwrap();
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn foreign_hosts_are_served_once_there_is_a_token() {
    let mut rig = Rig::new();
    let channel = start(&mut rig).await;
    let foreign = endpoint(rig.address()).origin("http://tollgate.example.com".parse().unwrap());
    let foreign = soon(foreign.connect()).await.unwrap();
    let list = |token: &str| {
        let mut teams = TeamServiceClient::new(caller(&foreign, token));
        async move { teams.list_teams(v1::ListTeamsRequest::default()).await.map(|_| ()).map_err(|it| it.code()) }
    };
    assert_eq!(list("").await, Err(Code::PermissionDenied));
    let request = v1::CreateTokenRequest { token: Some(token("root", v1::Role::Admin)), ..Default::default() };
    let mut tokens = v1::token_service_client::TokenServiceClient::new(channel.clone());
    let root = tokens.create_token(request).await.unwrap().into_inner().token.unwrap();
    assert_eq!(list("").await, Err(Code::Unauthenticated));
    assert_eq!(list(&root.value).await, Ok(()));
    drop((tokens, channel));
    drop(foreign);
    rig.stop().await;
}

#[tokio::test]
async fn insecure_serves_everybody_even_where_there_are_tokens() {
    let (mut rig, channel) = closed().await;
    drop(channel);
    rig.stop().await;
    rig.settings.access.insecure = true;
    let channel = start(&mut rig).await;
    TeamServiceClient::new(channel.clone()).list_teams(v1::ListTeamsRequest::default()).await.unwrap();
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn the_audit_trail_names_who_did_it() {
    let (mut rig, channel) = closed().await;
    let ops = make(&channel, token("ops", v1::Role::Admin)).await.unwrap();
    let team = v1::Team { name: "Research".to_owned(), ..Default::default() };
    let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
    TeamServiceClient::new(caller(&channel, &ops.value)).create_team(request).await.unwrap();
    let key = v1::VirtualKey { name: "notebook".to_owned(), ..Default::default() };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    let mut keys = v1::virtual_key_service_client::VirtualKeyServiceClient::new(caller(&channel, &ops.value));
    let key = keys.create_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap();

    let actor = format!("ops/{}", ops.id);
    assert_eq!(key.created_by, actor);
    let mut config = v1::config_service_client::ConfigServiceClient::new(caller(&channel, ROOT));
    for by in [actor.as_str(), "ops"] {
        let request = v1::ListChangesRequest { actor: by.to_owned(), ..Default::default() };
        let changes = config.list_changes(request).await.unwrap().into_inner().changes;
        let who: Vec<_> = changes.iter().map(|change| (change.actor.as_str(), change.method.as_str())).collect();
        assert_eq!(
            who,
            [
                (actor.as_str(), "tollgate.v1.VirtualKeyService/CreateVirtualKey"),
                (actor.as_str(), "tollgate.v1.TeamService/CreateTeam"),
            ],
            "by {by}"
        );
        assert!(changes.iter().all(|change| change.peer.starts_with("127.0.0.1:")));
    }
    drop((keys, config, channel));
    rig.stop().await;
}

/// The command line as it is run, to its end.
fn run(dir: &TempDir, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).envs(env.iter().copied()).current_dir(dir.path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_must_not_be_served_is_refused_at_the_command_line() {
    let dir = TempDir::new().unwrap();
    let (code, text) = run(&dir, &["serve", "--listen", "0.0.0.0:0"], &[]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--insecure") && text.contains("0.0.0.0"), "{text}");

    let bad = "tg_much-too-short";
    for (args, env) in
        [(vec!["serve", "--bootstrap-token", bad], vec![]), (vec!["serve"], vec![("TOLLGATE_BOOTSTRAP_TOKEN", bad)])]
    {
        let (code, text) = run(&dir, &args, &env);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("--bootstrap-token") && !text.contains(bad), "{text}");
    }
}

#[tokio::test]
async fn what_is_open_to_others_is_said_on_every_start() {
    let dir = TempDir::new().unwrap();
    for (listen, flags, warnings) in [
        ("127.0.0.1:0", &[][..], &[][..]),
        ("127.0.0.1:0", &["--insecure"], &["authentication is OFF"]),
        ("0.0.0.0:0", &["--insecure"], &["authentication is OFF", "without TLS at 0.0.0.0:"]),
        ("0.0.0.0:0", &["--bootstrap-token", ROOT], &["without TLS at 0.0.0.0:"]),
    ] {
        let (ready, log) = (dir.path().join("ready"), dir.path().join("log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        command.args(["serve", "--log-format", "json", "--listen", listen, "--ready-file"]).arg(&ready).args(flags);
        command.current_dir(dir.path()).stderr(std::fs::File::create(&log).unwrap());
        let mut server = command.spawn().unwrap();
        soon(async {
            while !ready.exists() {
                assert!(server.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(&log).unwrap());
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        server.kill().unwrap();
        server.wait().unwrap();
        std::fs::remove_file(&ready).unwrap();
        let log = std::fs::read_to_string(&log).unwrap();
        let warned: Vec<_> = log.lines().filter(|line| line.contains("\"level\":\"WARN\"")).collect();
        assert_eq!(warned.len(), warnings.len(), "{listen} {flags:?}: {log}");
        for (line, warning) in warned.iter().zip(warnings) {
            assert!(line.contains(warning), "{line}");
        }
    }
}
