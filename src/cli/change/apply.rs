//! `tollgate plan` and `tollgate apply`: a server made as files say, in one revision.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::call::PATIENCE;
use super::planned::{Made, Planned};
use super::told::{Counts, others, show};
use crate::cli::Failure;
use crate::cli::files::reference::{is_id, segment};
use crate::cli::files::{Document, FilesArgs, failed, load};
use crate::cli::remote::{RemoteArgs, print, print_json_line};
use crate::cli::resource::api::Api;
use crate::cli::resource::delete::confirm;
use crate::cli::resource::place::shortened;
use crate::cli::resource::secrets::{SecretArgs, tell};
use crate::cli::wait::WaitArgs;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

#[derive(Args, Debug)]
pub(super) struct SetArgs {
    /// Name of this set of files: what they describe is marked as managed by it
    #[arg(long, env = "TOLLGATE_SET", default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(super) set: String,

    /// Also delete what is marked as managed by the set and is in its files no longer; needs --set
    #[arg(long, env = "TOLLGATE_PRUNE", value_parser = BoolishValueParser::new(), requires = "set")]
    pub(super) prune: bool,

    /// Also change what another set manages, and mark it as managed by this one
    #[arg(long, env = "TOLLGATE_TAKE_OVER", value_parser = BoolishValueParser::new())]
    pub(super) take_over: bool,

    /// Whether the documents may only describe what is not there yet
    #[arg(skip)]
    pub(super) create_only: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
`+` is created, `~` changed (each field with old and new value), `-` deleted. Everything is checked by the server, what the \
documents name of each other too, and nothing is changed.

Exit codes: 0, and 1 on errors; with --exit-code: 0 if nothing would change, 2 if something would, 1 on errors.

Examples:
  tollgate plan -f config/ --set acme --prune
  tollgate plan -f config/ --exit-code || echo 'the server is not as the files say'")]
pub(in crate::cli) struct PlanArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    files: FilesArgs,

    #[command(flatten)]
    set: SetArgs,

    /// Exit with 2 if something would change
    #[arg(long, env = "TOLLGATE_EXIT_CODE", value_parser = BoolishValueParser::new())]
    exit_code: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "\
All of it is one revision, or nothing is done. Applied again, the files change nothing. It asks before it deletes. \
Of more than 10,000 changes all are checked together, and then made in several calls, parents first; if one of them \
fails, the same command goes on from there.

Examples:
  tollgate apply -f acme.yaml
  tollgate apply -f config/ --set acme --prune --yes --secrets-out new-keys.txt
      For CI: the values of new keys go into a file that only its owner may read.")]
pub(in crate::cli) struct ApplyArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    #[command(flatten)]
    files: FilesArgs,

    #[command(flatten)]
    set: SetArgs,

    /// Do not ask before deleting
    #[arg(short = 'y', long, env = "TOLLGATE_YES", value_parser = BoolishValueParser::new())]
    yes: bool,

    #[command(flatten)]
    secrets: SecretArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(in crate::cli) async fn plan(args: PlanArgs) -> Result<(), Failure> {
    let PlanArgs { remote, files, set, exit_code } = args;
    let documents = load(&files.files)?;
    let api = Api { server: remote.connect_for(PATIENCE).await? };
    let planned = Planned::make(&api, documents, &set).await?;
    let mut items = planned.items()?;
    let counts = Counts::of(&items);
    if remote.json {
        print_json_line(&planned.response)?;
    } else {
        planned.tell_drift(&api, &mut items, &set.set).await?;
        show(&items)?;
        if let Some(text) = others(&planned.response.also_changed, planned.response.total_changed_count) {
            print(&text)?;
        }
        print(&counts.plan())?;
    }
    if exit_code && !counts.is_nothing() { Err(Failure::Told(2)) } else { Ok(()) }
}

pub(in crate::cli) async fn run(args: ApplyArgs) -> Result<(), Failure> {
    let ApplyArgs { remote, files, set, yes, secrets, wait } = args;
    make(&remote, &files.files, &set, yes, &secrets, wait).await
}

/// Creates what the documents of files describe, none of which may be there yet; with `dry_run`, it only says so.
pub(in crate::cli) async fn create(
    remote: &RemoteArgs,
    files: &[PathBuf],
    dry_run: bool,
    secrets: &SecretArgs,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let set = SetArgs { set: String::new(), prune: false, take_over: false, create_only: true };
    if !dry_run {
        return make(remote, files, &set, false, secrets, wait).await;
    }
    let api = Api { server: remote.connect_for(PATIENCE).await? };
    let planned = Planned::make(&api, load(files)?, &set).await?;
    if remote.json {
        return print_json_line(&planned.response);
    }
    let items = planned.items()?;
    show(&items)?;
    print(&Counts::of(&items).plan())
}

/// Makes a server as the documents of files say, and tells what that changed.
async fn make(
    remote: &RemoteArgs,
    files: &[PathBuf],
    set: &SetArgs,
    yes: bool,
    secrets: &SecretArgs,
    wait: WaitArgs,
) -> Result<(), Failure> {
    let mut documents = load(files)?;
    bring_values(&mut documents)?;
    let api = Api { server: remote.connect_for(PATIENCE).await? };
    let planned = Planned::make(&api, documents, set).await?;
    let items = planned.items()?;
    let counts = Counts::of(&items);
    if !remote.json {
        show(&items)?;
    }
    if counts.is_nothing() {
        if remote.json {
            return print_json_line(&planned.response);
        }
        return print(&format!("nothing to change at revision {}", planned.response.revision));
    }
    if counts.deleted > 0 {
        confirm(&format!("delete {} resources", counts.deleted), yes)?;
    }
    let mut secrets_file = secrets.open()?;
    // After each call: what comes after it may fail, and nobody shows a value twice.
    let mut made = |Made { mut answer, names }: Made| {
        if remote.json && secrets_file.is_none() {
            return print_json_line(&answer);
        }
        let values = answer.outcomes.iter_mut().zip(names).filter(|(outcome, _)| !outcome.value.is_empty());
        let values: Vec<_> = values.map(|(outcome, name)| (name, std::mem::take(&mut outcome.value))).collect();
        if !values.is_empty() {
            tell(secrets_file.as_mut(), &values)?;
        }
        if remote.json { print_json_line(&answer) } else { Ok(()) }
    };
    let revision = planned.carry_out(&api, set, remote.json, &mut made).await?;
    if !remote.json {
        print(&format!("{} at revision {revision}", counts.text()))?;
    }
    wait.wait(&api.server, revision).await
}

/// Makes a server as the documents of files say, which delete nothing and have no values of keys.
pub(in crate::cli) async fn files(api: &Api, files: &[PathBuf], set: &str, quiet: bool) -> Result<(), Failure> {
    let set = SetArgs { set: set.to_owned(), prune: false, take_over: false, create_only: false };
    let planned = Planned::make(api, load(files)?, &set).await?;
    let items = planned.items()?;
    let counts = Counts::of(&items);
    if !quiet {
        show(&items)?;
    }
    let revision = match counts.is_nothing() {
        true => planned.response.revision,
        false => planned.carry_out(api, &set, false, &mut |_| Ok(())).await?,
    };
    if quiet { Ok(()) } else { print(&format!("{} at revision {revision}", counts.text())) }
}

/// Reads the values of keys from where the documents say they are.
fn bring_values(documents: &mut [Document]) -> Result<(), Failure> {
    let mut faults = Vec::new();
    for document in documents {
        let Some(value_from) = &document.value_from else { continue };
        match (value_from.read(), &mut document.resource.resource) {
            (Ok(value), Some(Resource::VirtualKey(key))) => key.value = value,
            (Ok(_), _) => {}
            (Err(text), _) => faults.push(document.fault("value_from", text)),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(failed(&faults)) }
}

/// How people know a resource that a document describes: by its path.
pub(in crate::cli) fn label(resource: &v1::ConfigResource) -> String {
    let parent = |id: &str| id.strip_prefix("name:").unwrap_or(id).to_owned();
    let joined = |parts: &[&str]| shortened(&parts.join("/"));
    match &resource.resource {
        Some(Resource::Customer(it)) => segment(&it.name),
        Some(Resource::Team(it)) => joined(&[&parent(&it.customer_id), &segment(&it.name)]),
        Some(Resource::VirtualKey(it)) if it.team_id.is_empty() => match parent(&it.customer_id) {
            customer if customer.is_empty() => segment(&it.name),
            customer => format!("{customer}//{}", segment(&it.name)),
        },
        // The id of a team says nothing of its customer.
        Some(Resource::VirtualKey(it)) if is_id(&it.team_id) => segment(&it.name),
        Some(Resource::VirtualKey(it)) => joined(&[&parent(&it.team_id), &segment(&it.name)]),
        Some(Resource::RoutingRule(it)) => it.name.clone(),
        Some(Resource::ModelConfig(it)) if it.provider.is_empty() => it.model_name.clone(),
        Some(Resource::ModelConfig(it)) => joined(&[&it.provider, &it.model_name]),
        Some(Resource::ProviderGovernance(it)) => it.provider.clone(),
        Some(Resource::PricingOverride(it)) => it.name.clone(),
        Some(Resource::Provider(it)) => it.name.clone(),
        Some(Resource::McpClient(it)) => it.name.clone(),
        Some(Resource::ModelPrice(it)) => joined(&[&it.provider, &it.model]),
        Some(Resource::Webhook(it)) => it.name.clone(),
        Some(Resource::Token(it)) => it.name.clone(),
        None => String::new(),
    }
}
