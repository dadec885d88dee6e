//! Settings as operators give them: what is empty, misspelled or does not exist, and what a start says on a terminal.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use tollgate::proto::v1;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;

use crate::watch::rig::Rig;

fn tollgate(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    command
}

fn run(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = tollgate(dir, args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// How each command fails at once, by something that is no setting.
const FAILING: [(&str, &[&str]); 50] = [
    ("serve", &["--listen", "127.0.0.1:0", "--database", "sqlite://no/such/place.db"]),
    ("watch", &["--once", "--server", "http://127.0.0.1:1"]),
    ("explain", &["--model", "m", "--server", "http://127.0.0.1:1"]),
    ("changes", &["--server", "http://127.0.0.1:1"]),
    ("token create", &["--name", "n", "--role", "admin", "--server", "http://127.0.0.1:1"]),
    ("token list", &["--server", "http://127.0.0.1:1"]),
    ("token revoke", &["x", "--server", "http://127.0.0.1:1"]),
    ("verify", &["--database", "sqlite://no/such/place.db"]),
    ("export", &["--database", "sqlite://no/such/place.db"]),
    ("import", &["--database", "sqlite://no/such/place.db"]),
    ("migrate status", &["--database", "sqlite://no/such/place.db"]),
    ("migrate up", &["--database", "sqlite://no/such/place.db"]),
    ("migrate-from bifrost", &["--config", "no-such.json", "--out", "moved"]),
    ("migrate-from litellm", &["--config", "no-such.yaml", "--out", "moved"]),
    ("node", &["--listen", "unix:///no/such/place/node.sock"]),
    ("node check", &["sk-none", "m", "--node", "127.0.0.1:1"]),
    ("node status", &["--node", "127.0.0.1:1"]),
    ("price", &["--model", "m", "--server", "http://127.0.0.1:1"]),
    ("prices list", &["--server", "http://127.0.0.1:1"]),
    ("prices diff", &["x", "--server", "http://127.0.0.1:1"]),
    ("prices import", &["x", "--server", "http://127.0.0.1:1"]),
    ("prices unpriced", &["--server", "http://127.0.0.1:1"]),
    ("spend", &["--server", "http://127.0.0.1:1"]),
    ("nodes", &["--server", "http://127.0.0.1:1"]),
    ("nodes forget", &["x", "--server", "http://127.0.0.1:1"]),
    ("credit", &["--server", "http://127.0.0.1:1"]),
    ("usage", &["--server", "http://127.0.0.1:1"]),
    ("usage adjust", &["x", "--usd", "-1", "--reason", "r", "--server", "http://127.0.0.1:1"]),
    ("webhooks", &["--server", "http://127.0.0.1:1"]),
    ("webhooks list", &["--server", "http://127.0.0.1:1"]),
    (
        "webhooks create",
        &["--name", "n", "--url", "https://h", "--event", "node-silent", "--server", "http://127.0.0.1:1"],
    ),
    ("webhooks delete", &["x", "--server", "http://127.0.0.1:1"]),
    ("webhooks test", &["x", "--server", "http://127.0.0.1:1"]),
    ("webhooks deliveries", &["--server", "http://127.0.0.1:1"]),
    ("get", &["teams", "--server", "http://127.0.0.1:1"]),
    ("describe", &["team", "x", "--server", "http://127.0.0.1:1"]),
    ("create", &["team", "x", "--server", "http://127.0.0.1:1"]),
    ("update", &["team", "x", "--clear", "labels", "--server", "http://127.0.0.1:1"]),
    ("edit", &["team", "x", "--server", "http://127.0.0.1:1"]),
    ("delete", &["team", "x", "--server", "http://127.0.0.1:1"]),
    ("rotate", &["key", "x", "--server", "http://127.0.0.1:1"]),
    ("lookup", &["key", HASH, "--server", "http://127.0.0.1:1"]),
    ("validate", &["-f", "no-such.yaml"]),
    ("plan", &["-f", "no-such.yaml", "--server", "http://127.0.0.1:1"]),
    ("apply", &["-f", "no-such.yaml", "--server", "http://127.0.0.1:1"]),
    ("diff", &["1", "--server", "http://127.0.0.1:1"]),
    ("rollback", &["--to", "1", "--server", "http://127.0.0.1:1"]),
    ("status", &["--server", "http://127.0.0.1:1"]),
    ("health", &["--server", "http://127.0.0.1:1"]),
    ("man", &["--dir", "/proc/no/such/place"]),
];

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The commands that read no variables of their own, or fail by settings alone.
const OTHERS: [&str; 2] = ["completion", "context"];

/// The names under `Commands:` in a help text.
fn commands(help: &str) -> Vec<&str> {
    let rest = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    rest.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect()
}

/// An empty variable is what `${X:-}` and blank values of templates leave: each command does as if it were not there.
#[test]
fn every_empty_variable_counts_as_unset() {
    let dir = TempDir::new().unwrap();
    let help = |of: &[&str]| {
        let output = tollgate(dir.path(), &[of, &["--help"]].concat()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut variables = BTreeSet::new();
    for (command, args) in FAILING {
        let words: Vec<_> = command.split(' ').collect();
        let help = help(&words);
        let names = help.split_whitespace().filter(|word| word.starts_with("TOLLGATE_"));
        let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        let of_command: BTreeSet<String> = names.map(|word| word.chars().take_while(is_name).collect()).collect();
        assert!(of_command.len() > 2, "{command}: {help}");
        let args = [&words[..], args].concat();
        let mut unset = tollgate(dir.path(), &args);
        let mut empty = tollgate(dir.path(), &args);
        empty.envs(of_command.iter().map(|name| (name, "")));
        let ended = |output: Output| (output.status.code(), String::from_utf8(output.stderr).unwrap());
        let (unset, empty) = (ended(unset.output().unwrap()), ended(empty.output().unwrap()));
        assert_eq!(unset.0, Some(1), "{command} {unset:?}");
        assert_eq!(empty, unset, "{command}");
        variables.extend(of_command);
    }
    assert!(variables.len() > 50, "only {variables:?} were tried");
    let tried: BTreeSet<_> = FAILING.into_iter().filter_map(|(command, _)| command.split(' ').next()).collect();
    let all = help(&[]);
    let all = commands(&all).into_iter().filter(|command| *command != "help" && !OTHERS.contains(command)).collect();
    assert_eq!(tried, all, "a command was not tried");
}

#[test]
fn a_wrong_setting_ends_with_2_and_says_what_is_accepted() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("empty.pem"), "").unwrap();
    let tls = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", "empty.pem", "--tls-key"];
    let cases: [(&[&str], &str); 9] = [
        (&["serve", "--listen", "127.0.0.1:0", "--database", "./x.db"], "expected sqlite://PATH"),
        (&["verify", "--database", "mysql://h/d"], "expected sqlite://PATH"),
        (&["token", "create", "--name", "n", "--role", "admin", "--database", "x.db"], "expected sqlite://PATH"),
        (&["serve", "--log-level", "inof"], "off, error, warn, info, debug, trace"),
        (&["serve", "--listen", "127.0.0.1"], "written as 127.0.0.1:50051"),
        (&["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "9464"], "--metrics-listen \"9464\""),
        (&["serve", "--listen", "127.0.0.1:0", "--otlp-endpoint", "collector"], "http://127.0.0.1:4317"),
        (&[&tls[..], &["absent.key"]].concat(), "--tls-key absent.key"),
        (&[&tls[..], &["empty.pem"]].concat(), "--tls-cert empty.pem"),
    ];
    for (args, says) in cases {
        let (code, error) = run(dir.path(), args);
        assert_eq!(code, Some(2), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn a_token_is_made_in_a_store_that_is_there() {
    let dir = TempDir::new().unwrap();
    let create = ["token", "create", "--name", "ops", "--role", "admin", "--database", "sqlite://t.db"];
    let (code, error) = run(dir.path(), &create);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("there is no database t.db") && error.contains("tollgate migrate up"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
    assert_eq!(run(dir.path(), &["migrate", "up", "--database", "sqlite://t.db"]).0, Some(0));
    assert_eq!(run(dir.path(), &create).0, Some(0));
}

/// Runs `tollgate serve` on a terminal until it answers calls, then stops it.
const ON_A_TERMINAL: &str = r#"
import os, pty, signal, subprocess, sys, time
ours, theirs = pty.openpty()
server = subprocess.Popen(sys.argv[1:], stdin=theirs, stdout=theirs, stderr=theirs)
os.close(theirs)
text = b""
while b"listening on" not in text or text.count(b"\n") < 3:
    text += os.read(ours, 65536)
server.send_signal(signal.SIGTERM)
try:
    while True:
        more = os.read(ours, 65536)
        if not more: break
        text += more
except OSError: pass
server.wait()
sys.stdout.buffer.write(text.replace(b"\r\n", b"\n"))
"#;

#[test]
fn a_first_start_on_a_terminal_is_three_lines() {
    for (colour, escapes) in [("", true), ("1", false)] {
        let dir = TempDir::new().unwrap();
        let mut command = Command::new("python3");
        command.args(["-c", ON_A_TERMINAL, env!("CARGO_BIN_EXE_tollgate"), "serve", "--listen", "127.0.0.1:0"]);
        command.current_dir(dir.path()).env("TERM", "xterm").env("NO_COLOR", colour);
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let start: Vec<_> = text.lines().take_while(|line| !line.contains("asked to stop")).collect();
        assert_eq!(start.len(), 3, "{text}");
        assert!(start[0].starts_with("listening on http://127.0.0.1:"), "{text}");
        assert_eq!(start[1], "data in sqlite://tollgate.db");
        assert!(start[2].starts_with("no access tokens yet: this machine only"), "{text}");
        assert_eq!(text.contains('\u{1b}'), escapes, "{text:?}");
    }
}

#[tokio::test]
async fn a_key_is_named_by_its_id_its_name_or_its_value() {
    let (mut rig, api) = Rig::started().await;
    let mut client = VirtualKeyServiceClient::new(api.0.clone());
    let mut make = async |name: &str, value: &str| {
        let key = v1::VirtualKey { name: name.to_owned(), value: value.to_owned(), ..v1::VirtualKey::default() };
        let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
        client.create_virtual_key(request).await.unwrap().into_inner().virtual_key.unwrap()
    };
    let notebook = make("notebook", "").await;
    make("Notebook 2", "chosen-by-an-operator-0001").await;
    let server = format!("http://{}", rig.address());
    let ask = async |command: &'static str, key: &str| {
        let (server, key) = (server.clone(), key.to_owned());
        let asked = move || {
            let args = [command, "--model", "m", "--server", &server, "--virtual-key", &key];
            let output = tollgate(Path::new("."), &args).output().unwrap();
            (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    };
    for command in ["explain", "price"] {
        for key in [&notebook.id, "notebook", &notebook.value, "chosen-by-an-operator-0001"] {
            let (code, said) = ask(command, key).await;
            // The keys may use nothing: 3 says that their requests would be refused.
            let found = matches!(code, Some(0 | 3)) && !said.contains("UNKNOWN_KEY");
            assert!(found, "{command} {key}: {said}");
        }
        let (_, said) = ask(command, "note").await;
        assert!(said.contains("id, name or value"), "{said}");
    }
    drop((api, client));
    rig.stop().await;
}
