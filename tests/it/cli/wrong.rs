//! Wrong settings: refused with the value, where it comes from and the remedy, before anything is done.

use super::*;

/// A command with variables of the environment.
fn with(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = command(args);
    command.envs(variables.iter().copied());
    command
}

#[tokio::test]
async fn a_wrong_value_is_named_with_its_variable_and_an_empty_one_counts_as_unset() {
    let (mut rig, api) = Rig::started().await;
    let server = format!("http://{}", rig.address());
    let get = ["get", "teams", "--server", &server];
    for (variable, value, why) in [
        ("TOLLGATE_TIMEOUT", "abc", "is no duration"),
        ("TOLLGATE_TIMEOUT", "0s", "leaves no time for an answer"),
        ("TOLLGATE_JSON", "maybe", "write true or false there"),
        ("TOLLGATE_FORMAT", "xml", "possible values: table"),
    ] {
        let said = ended(with(&get, &[(variable, value)])).await.bad(2);
        assert!(said.contains(value) && said.contains(why) && said.contains(&format!("that of {variable}")), "{said}");
        ended(with(&get, &[(variable, "")])).await.good();
    }
    let said = run(&rig, &["get", "teams", "--timeout", "abc"]).await.bad(2);
    assert!(said.contains("abc") && !said.contains("in the environment"), "{said}");
    for command in ["get teams", "usage", "status", "changes", "nodes", "credit", "spend", "token list", "webhooks"] {
        let command: Vec<_> = command.split(' ').chain(["--timeout", "0s"]).collect();
        assert!(run(&rig, &command).await.bad(2).contains("leaves no time"), "{command:?}");
    }
    drop(api);
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_as_long_as_was_said() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", silent.local_addr().unwrap());
    for args in [&["get", "teams"][..], &["usage"], &["status"]] {
        let args = [args, &["--server", &server, "--timeout", "300ms"]].concat();
        let said = ended(command(&args)).await.bad(1);
        assert!(said.contains("--timeout"), "{said}");
    }
    drop(silent);
    let said = ended(command(&["get", "teams", "--server", &server])).await.bad(1);
    assert!(said.contains("is it running there?") && said.contains("TOLLGATE_SERVER"), "{said}");
}

#[tokio::test]
async fn a_context_on_the_command_line_goes_before_a_server_of_the_environment() {
    let (mut rig, api) = Rig::started().await;
    let server = format!("http://{}", rig.address());
    let config = rig.database.directory().join("config.toml");
    std::fs::write(&config, format!("[contexts.here]\nserver = \"{server}\"\n")).unwrap();
    let config = ("TOLLGATE_CONFIG", config.to_str().unwrap());
    let nobody = "http://127.0.0.1:1";
    let other = [config, ("TOLLGATE_SERVER", nobody), ("TOLLGATE_TOKEN", "of another server")];
    ended(with(&["get", "teams", "--context", "here"], &other)).await.good();
    assert!(ended(with(&["get", "teams"], &other)).await.bad(1).contains("127.0.0.1:1"));
    let context = [config, ("TOLLGATE_CONTEXT", "here")];
    ended(with(&["get", "teams"], &context)).await.good();
    assert!(ended(with(&["get", "teams", "--server", nobody], &context)).await.bad(1).contains("127.0.0.1:1"));
    for (args, variables) in [
        (&["get", "teams", "--server", &server, "--context", "here"][..], &[config][..]),
        (&["get", "teams"], &[config, ("TOLLGATE_CONTEXT", "here"), ("TOLLGATE_SERVER", nobody)]),
    ] {
        let said = ended(with(args, variables)).await.bad(2);
        assert!(said.contains("both say where the server is"), "{said}");
    }
    drop(api);
    rig.stop().await;
}
