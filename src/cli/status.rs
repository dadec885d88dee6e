//! `tollgate status`: a control plane at a glance.

use std::collections::BTreeMap;

use clap::Args;
use prost_reflect::Value;
use serde_json::json;
use tokio_stream::StreamExt as _;
use tonic::Code;

use super::Failure;
use super::remote::{RemoteArgs, print, refused};
use super::resource::api::{Api, Call, listing, number};
use super::resource::get::ORDER;
use super::resource::subject::{Subject, noun};
use super::target::Server;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::proto::v1::watch_config_response::Event;

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
    let (server, revision) = (remote.server().to_string(), revision(&api.server).await?);
    let server = server.trim_end_matches('/');
    let mut resources = Vec::new();
    for kind in ORDER {
        let call =
            listing(Subject::Kind(kind))?.with("page_size", Value::I32(1)).with("from_memory", Value::Bool(true));
        resources.push((kind, number(&api.call(call).await?, "total_size")));
    }
    let nodes = api.list(Call::new("NodeService", "ListNodes")?).await?;
    let states = counted(&nodes, "state", "NODE_STATE_");
    // A viewer sees no access tokens.
    let tokens = match api.status(Call::new("TokenService", "ListTokens")?).await {
        Ok(_) => Some(counted(&api.list(Call::new("TokenService", "ListTokens")?).await?, "role", "ROLE_")),
        Err(status) if matches!(status.code(), Code::PermissionDenied) => None,
        Err(status) => return Err(refused(&status)),
    };
    if remote.json {
        let resources: serde_json::Map<_, _> =
            resources.iter().map(|(kind, count)| (kind.name().to_owned(), (*count).into())).collect();
        let status = json!({
            "server": server,
            "revision": revision,
            "resources": resources,
            "nodes": states,
            "tokens": tokens,
        });
        return print(&status.to_string());
    }
    let told = |counts: &BTreeMap<String, usize>| {
        let told: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        if told.is_empty() { "none".to_owned() } else { told.join(", ") }
    };
    print(&format!("server     {server}"))?;
    print(&format!("revision   {revision}"))?;
    print(&format!("nodes      {}", told(&states)))?;
    print(&format!("tokens     {}", tokens.as_ref().map_or_else(|| "(for administrators)".to_owned(), told)))?;
    let mut head = "resources";
    for (kind, count) in resources.iter().filter(|(_, count)| *count > 0) {
        let noun = noun(*kind);
        let ending = if *count == 1 || noun.ends_with("governance") { "" } else { "s" };
        print(&format!("{head:<9}  {count} {noun}{ending}"))?;
        head = "";
    }
    Ok(())
}

/// The revision that the server is at.
async fn revision(server: &Server) -> Result<i64, Failure> {
    // The stream begins with it; of the kinds only the rarest is asked for, and the stream is left at once.
    let kinds = vec![v1::ResourceKind::McpClient.into()];
    let request = v1::WatchConfigRequest { node_id: "tollgate status".to_owned(), kinds, ..Default::default() };
    let mut client = ConfigServiceClient::new(server.clone());
    let mut stream = client.watch_config(request).await.map_err(|status| refused(&status))?.into_inner();
    match stream.next().await {
        Some(Ok(v1::WatchConfigResponse { event: Some(Event::Begin(begin)) })) => Ok(begin.head_revision),
        Some(Err(status)) => Err(refused(&status)),
        _ => Err(Failure::Failed("the server says no revision".into())),
    }
}

/// How many have which value of an enum.
fn counted(messages: &[prost_reflect::DynamicMessage], field: &str, prefix: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        let value = super::resource::columns::json(message);
        let name = value[field].as_str().unwrap_or_default().trim_start_matches(prefix).to_lowercase();
        *counts.entry(name).or_default() += 1;
    }
    counts
}
