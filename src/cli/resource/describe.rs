//! `tollgate describe`: all about one resource, for people.

use clap::Args;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

use super::api::{Api, listing, number, text};
use super::columns::{columns, json, rows};
use super::find::find;
use super::place::{Places, path};
use super::subject::{Subject, kind, noun};
use crate::cli::Failure;
use crate::cli::files::render::document;
use crate::cli::remote::{RemoteArgs, moment, print, refused};
use crate::cli::table;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;

/// How many of the latest changes are shown.
const CHANGES: i32 = 5;

#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  tollgate describe key Acme/Search/notebook
      Its fields, its limits with usage, and its latest changes.")]
pub(in crate::cli) struct DescribeArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,

    /// Name, path or id
    #[arg(value_name = "NAME")]
    name: String,
}

pub(in crate::cli) async fn run(args: DescribeArgs) -> Result<(), Failure> {
    let DescribeArgs { remote, kind, name } = args;
    let api = Api { server: remote.connect().await? };
    let message = find(&api, kind, &name).await?;
    if remote.json {
        return print(&serde_json::to_string(&message)?);
    }
    let places = Places::of(&api, std::slice::from_ref(&message)).await?;
    let value = json(&message);
    print(&format!("{} {}", noun(kind), path(kind, &message)))?;
    let named = [("id", "id"), ("value", "value"), ("managed by", "managed_by"), ("created by", "created_by")];
    for (name, field) in named.into_iter().chain([("created", "created_at"), ("updated", "updated_at")]) {
        if let Some(text) = value[field].as_str().filter(|text| !text.is_empty()) {
            print(&format!("  {name:<11}{text}"))?;
        }
    }
    print(&format!("  {:<11}{}", "revision", number(&message, "revision")))?;
    let document = document(&message, &places);
    print("")?;
    document.lines().skip(1).try_for_each(|line| print(&format!("  {line}")))?;
    limits(&api, kind, &message).await?;
    changes(&api, kind, &text(&message, "id")).await
}

/// The limits of the resource itself and of its parts, with what is used.
async fn limits(api: &Api, kind: Kind, message: &DynamicMessage) -> Result<(), Failure> {
    let field = match kind {
        Kind::Customer => "customer_id",
        Kind::Team => "team_id",
        Kind::VirtualKey => "virtual_key_id",
        Kind::ModelConfig => "model_config_id",
        Kind::ProviderGovernance | Kind::Provider => "provider",
        _ => return Ok(()),
    };
    let mut shown = Vec::new();
    for subject in [Subject::Budgets, Subject::Limits] {
        let mut found = api.list(listing(subject)?.text(field, &text(message, "id"))).await?;
        for config in list(message, "provider_configs") {
            let call = listing(subject)?.with("provider_config_id", Value::I64(number(&config, "id")));
            found.extend(api.list(call).await?);
        }
        if kind == Kind::Provider {
            for key in list(message, "keys") {
                found.extend(api.list(listing(subject)?.text("provider_key_id", &text(&key, "id"))).await?);
            }
        }
        let places = Places::of(api, &found).await?;
        shown.extend(found.iter().flat_map(|limit| rows(subject, limit, &places, false)));
    }
    if shown.is_empty() {
        return Ok(());
    }
    print("")?;
    table::show(&columns(Subject::Budgets, false), &shown, false)
}

fn list(message: &DynamicMessage, field: &str) -> Vec<DynamicMessage> {
    let Some(field) = message.descriptor().get_field_by_name(field) else { return Vec::new() };
    let value = message.get_field(&field);
    value.as_list().map(|items| items.iter().filter_map(Value::as_message).cloned().collect()).unwrap_or_default()
}

async fn changes(api: &Api, kind: Kind, id: &str) -> Result<(), Failure> {
    let request = v1::ListChangesRequest {
        page_size: CHANGES,
        kind: kind.number(),
        id: id.to_owned(),
        ..v1::ListChangesRequest::default()
    };
    let mut client = ConfigServiceClient::new(api.server.clone());
    let page = client.list_changes(request).await.map_err(|status| refused(&status))?.into_inner();
    if page.changes.is_empty() {
        return Ok(());
    }
    print("\nlatest changes:")?;
    for change in page.changes {
        let op = change.op().as_str_name().trim_start_matches("CHANGE_OP_").to_lowercase();
        let at = change.commit_time.as_ref().map(moment).unwrap_or_default();
        let actor = change.actor.split('/').next().unwrap_or_default();
        print(&format!("  {at}  r{:<7} {op:<7} by {actor}", change.revision))?;
    }
    Ok(())
}
