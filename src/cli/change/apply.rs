//! `tollgate plan` and `tollgate apply`: a server made as files say, in one revision.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::call::{PATIENCE, apply, explained, upserts};
use super::owned::{Gone, gone};
use super::told::{Counts, Item, others, show};
use crate::cli::Failure;
use crate::cli::files::reference::{is_id, segment};
use crate::cli::files::{Document, FilesArgs, failed, load};
use crate::cli::remote::{RemoteArgs, print, print_json_line, refused};
use crate::cli::resource::api::Api;
use crate::cli::resource::delete::confirm;
use crate::cli::resource::key::{SecretArgs, tell};
use crate::cli::resource::place::shortened;
use crate::cli::wait::WaitArgs;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;
use crate::proto::v1::config_service_client::ConfigServiceClient;

/// Of so many changed resources at most it is looked up who changed them.
const MAX_DRIFT: usize = 50;

#[derive(Args, Debug)]
struct SetArgs {
    /// Name of this set of files: what they describe is marked as managed by it
    #[arg(long, env = "TOLLGATE_SET", default_value = "", hide_default_value = true, value_name = "NAME")]
    set: String,

    /// Also delete what is marked as managed by the set and is in its files no longer; needs --set
    #[arg(long, env = "TOLLGATE_PRUNE", value_parser = BoolishValueParser::new(), requires = "set")]
    prune: bool,

    /// Whether the documents may only describe what is not there yet
    #[arg(skip)]
    create_only: bool,
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
All of it is one revision, or nothing is done. Applied again, the files change nothing. It asks before it deletes.

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

/// The documents, the deletions, and the server's answer about all of them.
struct Planned {
    documents: Vec<Document>,
    gone: Vec<Gone>,
    response: v1::ApplyResponse,
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
        drift(&api, &planned, &mut items, &set.set).await?;
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
    let set = SetArgs { set: String::new(), prune: false, create_only: true };
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
    let secrets_file = secrets.open()?;
    let answer = planned.carry_out(&api, set, remote.json).await?;
    let values: Vec<_> = answer
        .outcomes
        .iter()
        .zip(&planned.documents)
        .filter(|(outcome, _)| !outcome.value.is_empty())
        .map(|(outcome, document)| (label(&document.resource), outcome.value.clone()))
        .collect();
    if remote.json && secrets_file.is_none() {
        print_json_line(&answer)?;
    } else {
        if !values.is_empty() {
            tell(secrets_file, secrets, &values)?;
        }
        if remote.json {
            let mut answer = answer.clone();
            answer.outcomes.iter_mut().for_each(|outcome| outcome.value.clear());
            print_json_line(&answer)?;
        } else {
            print(&format!("{} at revision {}", counts.text(), answer.revision))?;
        }
    }
    wait.wait(&api.server, answer.revision).await
}

/// Makes a server as the documents of files say, which delete nothing and have no values of keys.
pub(in crate::cli) async fn files(api: &Api, files: &[PathBuf], set: &str, quiet: bool) -> Result<(), Failure> {
    let set = SetArgs { set: set.to_owned(), prune: false, create_only: false };
    let planned = Planned::make(api, load(files)?, &set).await?;
    let items = planned.items()?;
    let counts = Counts::of(&items);
    if !quiet {
        show(&items)?;
    }
    let revision = match counts.is_nothing() {
        true => planned.response.revision,
        false => planned.carry_out(api, &set, false).await?.revision,
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

impl Planned {
    /// Asks the server what it would do.
    async fn make(api: &Api, documents: Vec<Document>, set: &SetArgs) -> Result<Self, Failure> {
        let ask = async |changes| {
            let options = v1::ApplyOptions {
                validate_only: true,
                managed_by: set.set.clone(),
                create_only: set.create_only,
                return_resources: true,
                ..v1::ApplyOptions::default()
            };
            apply(&api.server, options, changes).await.map_err(|status| explained(&status, &documents))
        };
        let mut changes = upserts(&documents);
        let mut response = ask(changes.clone()).await?;
        let mut goes = Vec::new();
        if set.prune {
            let kept: HashSet<_> = response.outcomes.iter().filter_map(|outcome| outcome.key.clone()).collect();
            goes = gone(api, &set.set, &kept).await?;
            if !goes.is_empty() {
                changes.extend(goes.iter().map(|gone| gone.change.clone()));
                response = ask(changes).await?;
                spare_others(&response, &goes)?;
            }
        }
        Ok(Self { documents, gone: goes, response })
    }

    /// Makes the changes.
    async fn carry_out(&self, api: &Api, set: &SetArgs, return_resources: bool) -> Result<v1::ApplyResponse, Failure> {
        let options = v1::ApplyOptions {
            request_id: uuid::Uuid::now_v7().to_string(),
            managed_by: set.set.clone(),
            create_only: set.create_only,
            return_resources,
            ..v1::ApplyOptions::default()
        };
        let answer = apply(&api.server, options, self.as_planned()).await;
        answer.map_err(|status| explained(&status, &self.documents))
    }

    fn items(&self) -> Result<Vec<Item>, Failure> {
        let names = self
            .documents
            .iter()
            .map(|document| label(&document.resource))
            .chain(self.gone.iter().map(|gone| gone.name.clone()));
        self.response.outcomes.iter().zip(names).map(|(outcome, name)| Item::new(outcome, Some(name))).collect()
    }

    /// The changes, each on condition that its resource is still what the plan was made of.
    fn as_planned(&self) -> Vec<v1::ApplyChange> {
        let mut changes = upserts(&self.documents);
        for (change, outcome) in changes.iter_mut().zip(&self.response.outcomes) {
            change.revision = outcome.before.as_ref().map_or(0, revision);
        }
        changes.extend(self.gone.iter().map(|gone| gone.change.clone()));
        changes
    }
}

/// The revision of a resource.
fn revision(resource: &v1::ConfigResource) -> i64 {
    match &resource.resource {
        Some(Resource::Customer(it)) => it.revision,
        Some(Resource::Team(it)) => it.revision,
        Some(Resource::VirtualKey(it)) => it.revision,
        Some(Resource::RoutingRule(it)) => it.revision,
        Some(Resource::ModelConfig(it)) => it.revision,
        Some(Resource::ProviderGovernance(it)) => it.revision,
        Some(Resource::PricingOverride(it)) => it.revision,
        Some(Resource::Provider(it)) => it.revision,
        Some(Resource::McpClient(it)) => it.revision,
        Some(Resource::ModelPrice(it)) => it.revision,
        Some(Resource::Webhook(it)) => it.revision,
        Some(Resource::Token(it)) => it.revision,
        None => 0,
    }
}

/// Refuses deletions that would change what others manage.
fn spare_others(response: &v1::ApplyResponse, gone: &[Gone]) -> Result<(), Failure> {
    let own: HashSet<_> = gone.iter().map(|gone| &gone.key).collect();
    let foreign: Vec<_> = response.also_changed.iter().filter(|key| !own.contains(key)).cloned().collect();
    let hidden = usize::try_from(response.total_changed_count).unwrap_or_default() > response.also_changed.len();
    if foreign.is_empty() && !hidden {
        return Ok(());
    }
    let count = i32::try_from(foreign.len()).unwrap_or(i32::MAX).max(1);
    let with = others(&foreign, count).unwrap_or_default();
    let text = format!(
        "--prune would change what is not managed by this set, {with}; change or delete that first, or keep what it hangs on"
    );
    Err(Failure::Failed(text.into()))
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

/// Says of resources that the set manages who changed them elsewhere.
async fn drift(api: &Api, planned: &Planned, items: &mut [Item], set: &str) -> Result<(), Failure> {
    if set.is_empty() {
        return Ok(());
    }
    let mut client = ConfigServiceClient::new(api.server.clone());
    let changed = items.iter_mut().zip(&planned.response.outcomes);
    let changed = changed.filter(|(item, _)| item.operation == v1::ApplyOperation::Updated).take(MAX_DRIFT);
    for (item, outcome) in changed {
        let key = outcome.key.clone().unwrap_or_default();
        let request = v1::ListChangesRequest { page_size: 1, kind: key.kind, id: key.id, ..Default::default() };
        let page = client.list_changes(request).await.map_err(|status| refused(&status))?.into_inner();
        let elsewhere = page.changes.into_iter().next().filter(|change| !change.method.contains("ChangeService/"));
        item.drift = elsewhere.map(|change| {
            let actor = change.actor.split('/').next().unwrap_or_default().to_owned();
            format!("elsewhere at revision {} by {actor}", change.revision)
        });
    }
    Ok(())
}
