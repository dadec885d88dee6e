//! `tollgate status`: a control plane at a glance.

use std::collections::BTreeMap;

use clap::Args;
use prost_reflect::Value;
use serde_json::json;
use tonic::Code;

use super::Failure;
use super::remote::{RemoteArgs, print, refused};
use super::resource::api::{Api, Call, listing, number};
use super::resource::get::ORDER;
use super::resource::subject::{Subject, noun};
use super::table::distance;
use super::target::Server;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  tollgate status --json | jq .revision")]
pub(super) struct StatusArgs {
    #[command(flatten)]
    remote: RemoteArgs,
}

pub(super) async fn run(args: StatusArgs) -> Result<(), Failure> {
    let StatusArgs { remote } = args;
    let api = Api { server: remote.connect().await? };
    let (server, info) = (remote.server().to_string(), info(&api.server).await?);
    let server = server.trim_end_matches('/');
    let mut resources = Vec::new();
    for kind in ORDER {
        let call =
            listing(Subject::Kind(kind))?.with("page_size", Value::I32(1)).with("from_memory", Value::Bool(true));
        resources.push((kind, number(&api.call(call).await?, "total_size")));
    }
    // A viewer sees no access tokens.
    let tokens = match api.status(Call::new("TokenService", "ListTokens")?).await {
        Ok(_) => Some(counted(&api.list(Call::new("TokenService", "ListTokens")?).await?, "role", "ROLE_")),
        Err(status) if matches!(status.code(), Code::PermissionDenied) => None,
        Err(status) => return Err(refused(&status)),
    };
    let engine = short(info.database_engine().as_str_name(), "DATABASE_ENGINE_");
    let nodes: BTreeMap<_, _> = info
        .node_counts
        .iter()
        .map(|nodes| (short(nodes.state().as_str_name(), "NODE_STATE_"), i64::from(nodes.count)))
        .collect();
    if remote.json {
        let resources: serde_json::Map<_, _> =
            resources.iter().map(|(kind, count)| (kind.name().to_owned(), (*count).into())).collect();
        let replicas: Vec<_> = info.replicas.iter().map(|replica| object(replica, &info.replica_id)).collect();
        let status = json!({
            "server": server,
            "version": info.version,
            "database": engine,
            "store_id": info.store_id,
            "revision": info.head_revision,
            "retained_revision": info.retained_revision,
            "authentication": info.authentication_required,
            "replicas": replicas,
            "resources": resources,
            "nodes": nodes,
            "tokens": tokens,
        });
        return print(&status.to_string());
    }
    let told = |counts: &BTreeMap<String, i64>| {
        let told: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    };
    print(&format!("server     {server}, version {}", info.version))?;
    print(&format!("database   {engine}, store {}", info.store_id))?;
    print(&format!("revision   {}; watchers resume from {}", info.head_revision, info.retained_revision))?;
    let access = if info.authentication_required { "authenticated callers" } else { "EVERYBODY is an administrator" };
    print(&format!("access     {access}"))?;
    let width = info.replicas.iter().map(|replica| replica.name.chars().count()).max().unwrap_or(0);
    let replicas = info.replicas.iter().map(|replica| line(replica, width, &info));
    head("replicas", replicas)?;
    print(&format!("nodes      {}", told(&nodes)))?;
    print(&format!("tokens     {}", tokens.as_ref().map_or_else(|| "(for administrators)".to_owned(), told)))?;
    let resources = resources.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| {
        let noun = noun(*kind);
        let ending = if *count == 1 || noun.ends_with("governance") { "" } else { "s" };
        format!("{count} {noun}{ending}")
    });
    head("resources", resources)
}

/// Prints lines, the first behind their name.
fn head(name: &str, lines: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut name = name;
    for line in lines {
        print(&format!("{name:<9}  {line}"))?;
        name = "";
    }
    Ok(())
}

/// The name of a value of an enum, without what all of them begin with.
fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

fn seconds(time: Option<prost_types::Timestamp>) -> i64 {
    time.map_or(0, |time| time.seconds)
}

/// A replica as a line.
fn line(replica: &v1::Replica, width: usize, info: &v1::ServerInfo) -> String {
    let v1::Replica { name, version, revision, .. } = replica;
    let state = short(replica.state().as_str_name(), "REPLICA_STATE_").replace('_', " ");
    let now = seconds(info.server_time);
    let state = match replica.state() {
        v1::ReplicaState::Silent => format!("{state}, heard {} ago", distance(seconds(replica.last_seen), now)),
        _ => format!("{state}, revision {revision}, up {}", distance(seconds(replica.started_at), now)),
    };
    let version = if *version == info.version { String::new() } else { format!(", version {version}") };
    format!("{name:<width$}  {state}{version}")
}

/// A replica as JSON.
fn object(replica: &v1::Replica, answers: &str) -> serde_json::Value {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().map(ToString::to_string);
    json!({
        "id": replica.id,
        "name": replica.name,
        "version": replica.version,
        "state": short(replica.state().as_str_name(), "REPLICA_STATE_"),
        "revision": replica.revision,
        "started_at": time(&replica.started_at),
        "last_seen": time(&replica.last_seen),
        "answers": replica.id == answers,
    })
}

/// Asks the server for the information on the control plane.
pub(super) async fn info(server: &Server) -> Result<v1::ServerInfo, Failure> {
    let answer = ConfigServiceClient::new(server.clone()).get_server_info(v1::GetServerInfoRequest {}).await;
    let info = answer.map_err(|status| refused(&status))?.into_inner().server_info;
    info.ok_or_else(|| Failure::Failed("the server tells nothing of itself".into()))
}

/// How many have which value of an enum.
fn counted(messages: &[prost_reflect::DynamicMessage], field: &str, prefix: &str) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for message in messages {
        let value = super::resource::columns::json(message);
        let name = short(value[field].as_str().unwrap_or_default(), prefix);
        *counts.entry(name).or_default() += 1;
    }
    counts
}
