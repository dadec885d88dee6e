//! `tollgate context`, `status`, `health`, `completion` and `man`.

use std::io::Write as _;
use std::process::Stdio;

use super::*;
use crate::engine::on_postgres;

#[tokio::test]
async fn a_context_says_where_the_server_is_and_keeps_the_access_token() {
    let (mut rig, api) = Rig::started().await;
    let server = format!("http://{}", rig.address());
    let create = ["token", "create", "--name", "ops", "--role", "admin", "--json", "--server", &server];
    let token: Value = serde_json::from_str(&ended(command(&create)).await.good()).unwrap();
    let token = token["value"].as_str().or(token["token"]["value"].as_str()).unwrap().to_owned();

    let config = rig.database.directory().join("user/config.toml");
    let with = |args: &[&str]| {
        let mut command = command(args);
        command.env("TOLLGATE_CONFIG", &config);
        command
    };
    let mut add = with(&["context", "add", "here", "--server", &server, "--token-file", "-"]);
    let mut child = add.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    Ran::of(child.wait_with_output().unwrap()).good();
    for kept in [config.clone(), config.with_file_name("tokens").join("here")] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(kept).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    ended(with(&["context", "add", "other", "--server", "http://127.0.0.1:1", "--token-command", "false"]))
        .await
        .good();
    let listed = ended(with(&["context", "list"])).await.good();
    assert!(listed.contains("*  here   http://127.0.0.1:"), "{listed}");
    assert!(!listed.contains(&token));

    // The first context is the present one; a flag names another, and a server that is given goes without any.
    let status = ended(with(&["status", "--json"])).await.json().remove(0);
    assert_eq!((status["tokens"]["admin"].as_i64(), status["resources"]["customer"].as_i64()), (Some(1), Some(0)));
    assert!(ended(with(&["status", "--context", "other"])).await.bad(2).contains("token_command false failed"));
    assert!(ended(with(&["status", "--context", "none"])).await.bad(2).contains("there is here, other"));
    let without = ended(with(&["status", "--server", &server])).await.bad(1);
    assert!(without.contains("Unauthenticated"), "an access token goes to the server of its context alone: {without}");
    ended(with(&["context", "use", "other"])).await.good();
    assert!(ended(with(&["get", "teams"])).await.bad(2).contains("token_command"));
    ended(with(&["get", "teams", "--context", "here"])).await.good();
    let help = ended(with(&["get", "--help", "--context", "here"])).await.good();
    assert!(!help.contains(&token));

    let open = file(&rig, "open", &token);
    let add = ["context", "add", "open", "--server", &server, "--token-file", open.to_str().unwrap()];
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(ended(with(&add)).await.bad(2).contains("chmod 600"));
    std::fs::write(&config, "current = ").unwrap();
    assert!(ended(with(&["get", "teams"])).await.bad(2).contains("config.toml: "));
    // A command that needs no server needs no context.
    ended(with(&["completion", "bash"])).await.good();
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn probes_ask_for_health_and_people_for_the_status() {
    let (mut rig, api) = Rig::started().await;
    assert_eq!(run(&rig, &["health"]).await.good(), "serving\n");
    assert_eq!(run(&rig, &["health", "--quiet"]).await.good(), "");
    assert_eq!(run(&rig, &["health", "--json"]).await.json()[0]["status"], "SERVING");
    run(&rig, &["create", "customer", "Acme"]).await.good();
    let status = run(&rig, &["status"]).await.lines();
    assert!(status[0].starts_with("server     http://127.0.0.1:"), "{status:#?}");
    assert!(status.iter().any(|line| line.ends_with("1 customer")), "{status:#?}");
    let version = env!("CARGO_PKG_VERSION");
    let engine = if on_postgres() { "postgresql" } else { "sqlite" };
    let replica = format!(":{}  current, revision ", rig.address().port());
    for text in [version, &*format!("database   {engine}, store "), "EVERYBODY is an administrator", &*replica] {
        assert!(status.iter().any(|line| line.contains(text)), "{text}: {status:#?}");
    }
    let told = run(&rig, &["status", "--json"]).await.json().remove(0);
    assert_eq!((told["version"].as_str(), told["database"].as_str()), (Some(version), Some(engine)));
    assert_eq!((told["authentication"].as_bool(), told["retained_revision"].as_i64()), (Some(false), Some(0)));
    assert_eq!(told["replicas"][0]["answers"].as_bool(), Some(true), "{told}");
    assert!(told["replicas"][0]["last_seen"].as_str().unwrap().ends_with('Z'), "{told}");
    assert!(status.iter().all(|line| line.chars().count() <= 80), "{status:#?}");
    drop(api);
    let address = format!("http://{}", rig.address());
    rig.stop().await;
    ended(command(&["health", "--server", &address])).await.bad(1);
}

#[tokio::test]
async fn shells_and_readers_of_manuals_get_all_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = ended(command(&["completion", shell])).await.good();
        assert!(script.contains("secrets-out") && script.contains("rollback"), "{shell}");
    }
    assert!(ended(command(&["man"])).await.good().starts_with(".ie"));
    let dir = tempfile::tempdir().unwrap();
    ended(command(&["man", "--dir", dir.path().to_str().unwrap()])).await.good();
    assert!(dir.path().join("tollgate-get.1").exists());
}
