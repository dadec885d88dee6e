//! `compose.node.yaml`: its service is run as Compose runs it, without the container.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use tollgate::proto::v1::Role;

use super::running::{Running, node_command};
use super::*;
use crate::access::support;

/// The scalars of a file of YAML by their paths: `services.node.command.0`.
fn scalars(text: &str) -> BTreeMap<String, String> {
    use saphyr_parser::{Event, Parser};

    /// A mapping with the key that its next value has, or a list with its length.
    enum Open {
        Mapping(Option<String>),
        List(usize),
    }
    let (mut found, mut open, mut path): (_, Vec<Open>, Vec<String>) = (BTreeMap::new(), Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let event = event.unwrap().0;
        if let (Event::Scalar(text, ..), Some(Open::Mapping(key @ None))) = (&event, open.last_mut()) {
            *key = Some(text.to_string());
            continue;
        }
        if matches!(event, Event::SequenceEnd | Event::MappingEnd) {
            open.pop();
            path.pop();
            continue;
        }
        let step = match open.last_mut() {
            Some(Open::Mapping(key)) => key.take().unwrap(),
            Some(Open::List(length)) => {
                *length += 1;
                (*length - 1).to_string()
            }
            None => String::new(),
        };
        path.push(step);
        match event {
            Event::Scalar(text, ..) => {
                found.insert(path.join(".").trim_start_matches('.').to_owned(), text.to_string());
                path.pop();
            }
            Event::SequenceStart(..) => open.push(Open::List(0)),
            Event::MappingStart(..) => open.push(Open::Mapping(None)),
            _ => drop(path.pop()),
        }
    }
    found
}

/// A value as Compose makes it of the environment; the error is what it says if a variable is missing.
fn filled_in(value: &str, environment: &BTreeMap<&str, &str>) -> Result<String, String> {
    let Some(inner) = value.strip_prefix("${").and_then(|it| it.strip_suffix('}')) else { return Ok(value.to_owned()) };
    let (name, otherwise) = inner.split_once(':').unwrap();
    match (environment.get(name), otherwise.split_at(1)) {
        (Some(set), _) => Ok((*set).to_owned()),
        (None, ("-", default)) => Ok(default.to_owned()),
        (None, (_, complaint)) => Err(complaint.to_owned()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_of_the_compose_file_runs_and_is_healthy() {
    let file =
        scalars(&std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.node.yaml")).unwrap());
    let under = |place: &str| {
        let place = format!("services.node.{place}.");
        let named = file.iter().filter_map(move |(path, value)| Some((path.strip_prefix(&place)?.to_owned(), value)));
        named.map(|(name, value)| (name, value.clone())).collect::<BTreeMap<_, _>>()
    };
    let names = under("environment");
    let Output { stdout, .. } = node_command(&["--help"]).output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    for name in names.keys() {
        let is_set = ["=", "]"].iter().any(|end| help.contains(&format!("[env: {name}{end}")));
        assert!(is_set, "{name} is no setting of a node");
    }
    let missing = names.values().filter_map(|value| filled_in(value, &BTreeMap::new()).err()).collect::<Vec<_>>();
    assert_eq!(missing, ["see the top of compose.node.yaml"], "an access token is all that has to be given");

    let (mut rig, channel) = support::closed().await;
    let of_node = v1::Token { node_id: "gw-7".to_owned(), ..support::token("gw-7", Role::Node) };
    let token = support::make(&channel, of_node).await.unwrap().value;
    let server = format!("http://{}", rig.address());
    let given = BTreeMap::from([
        ("TOLLGATE_SERVER", server.as_str()),
        ("TOLLGATE_NODE_ID", "gw-7"),
        ("TOLLGATE_NODE_TOKEN", token.as_str()),
    ]);
    let environment = names.iter().map(|(name, value)| match given.get(name.as_str()) {
        // Without a value of its own it is passed on.
        passed if value.is_empty() || value == "~" => (name.clone(), passed.copied().unwrap_or_default().to_owned()),
        _ => (name.clone(), filled_in(value, &given).unwrap()),
    });
    let mut environment: BTreeMap<_, _> = environment.collect();
    // The volume is at the data directory.
    let directory = tempfile::TempDir::new().unwrap();
    let volume = file.iter().find(|(path, _)| path.starts_with("services.node.volumes.")).unwrap().1;
    let data = environment.insert("TOLLGATE_NODE_DATA_DIR".to_owned(), directory.path().display().to_string());
    assert_eq!(Some(volume.split_once(':').unwrap().1), data.as_deref());
    assert_eq!(under("command").into_values().collect::<Vec<_>>(), ["node"]);

    let node = Running::launch_in(&environment, directory.path()).await.unwrap();
    assert_eq!(node.status().await["nodeId"], "gw-7");
    let check = under("healthcheck.test").into_values().collect::<Vec<_>>();
    assert_eq!(check[..3], ["CMD", "/usr/local/bin/tollgate", "node"]);
    let arguments: Vec<_> = check[3..].iter().map(String::as_str).collect();
    let healthy = node.ask(&arguments).await;
    assert!(healthy.status.success(), "{healthy:?}");
    let place = node.place.clone();
    assert_eq!(node.terminate().await, Some(0));
    let gone = node_command(&arguments).env("TOLLGATE_NODE", place).output().unwrap();
    assert!(!gone.status.success(), "{gone:?}");
    rig.stop().await;
}
