//! `tollgate create` and `tollgate update`: a resource from flags.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost_reflect::{DynamicMessage, Value};
use tonic::{Code, Status};

use super::api::{Api, Call, mask, number, resource, text};
use super::fields::FieldArgs;
use super::find::{find, full, resolve};
use super::secrets::{SecretArgs, reveal};
use super::shown::{Output, OutputArgs, show};
use super::subject::{Subject, kind, noun, word};
use crate::cli::Failure;
use crate::cli::change::apply;
use crate::cli::files::ValueFrom;
use crate::cli::files::reference::shorthand;
use crate::cli::remote::{RemoteArgs, descriptor, dynamic, print, refused};
use crate::cli::resource::place::path;
use crate::cli::wait::WaitArgs;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::apply_change::Change;

#[derive(Args, Debug)]
#[command(after_help = "\
NAME of a team or a key may be its path, which says its parents too. Any field can be given with --set; whole documents, of \
which nothing may be there yet, are read with -f, and all of them are created or none.

Examples:
  tollgate create customer Acme --budget 500/1M
  tollgate create team Acme/Search
  tollgate create key notebook --team Acme/Search --allow 'openai:gpt-4o*' --budget 500/1M --rpm 60
      Prints the value of the new key, this once.
  tollgate create -f acme.yaml --secrets-out new-keys.txt
      Fails if anything in the file exists; `tollgate apply -f` would change it.
  tollgate create rule cheap --set scope=global --set 'cel_expression=model == \"gpt-4o\"' --set \
'targets=[{model: gpt-4o-mini, weight: 1}]'")]
pub(in crate::cli) struct CreateArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = kind, required_unless_present = "files", conflicts_with = "files",
          requires = "name")]
    kind: Option<Kind>,

    /// The name
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Instead of a kind and a name: a file with documents in YAML or JSON, or a folder, as `tollgate apply` reads them; `-` is
    /// standard input. May be given several times
    #[arg(short = 'f', long = "file", env = "TOLLGATE_CREATE_FILES", value_delimiter = ',', value_name = "PATH")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    fields: FieldArgs,

    /// Where the value of a key is, if the server is not to make one: a file, or `-` for standard input
    #[arg(long, env = "TOLLGATE_VALUE_FROM", value_name = "PATH")]
    value_from: Option<PathBuf>,

    /// Check everything, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    secrets: SecretArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(in crate::cli) async fn create(args: CreateArgs) -> Result<(), Failure> {
    let CreateArgs { remote, kind, name, files, fields, value_from, dry_run, output, secrets, wait } = args;
    let (Some(kind), Some(name)) = (kind, name) else {
        if fields != FieldArgs::default() || value_from.is_some() || !matches!(output.output, Output::Table) {
            let text = "with -f, documents say all of it; leave out fields, --value-from and -o (--json works)";
            return Err(Failure::Usage(text.into()));
        }
        return apply::create(&remote, &files, dry_run, &secrets, wait).await;
    };
    let mut message = fields.message(kind, &name)?;
    if let Some(place) = value_from {
        message.set_field_by_name("value", Value::String(brought(kind, place)?));
    } else if secrets.is_set() && kind != Kind::VirtualKey {
        return Err(Failure::Usage("--secrets-out is for keys".into()));
    }
    let api = Api { server: remote.connect().await? };
    resolve(&api, &mut message).await?;
    let file = if dry_run { None } else { secrets.open()? };
    let mut created = match kind {
        // Its own method makes it what is asked, whether it is there or not.
        Kind::ProviderGovernance => created_only(&api, kind, message, dry_run).await,
        _ => {
            let call = Call::of(kind, "Create")?.with(kind.name(), Value::Message(message));
            let answer = api.status(call.with("validate_only", Value::Bool(dry_run))).await;
            answer.map_err(|status| taken(&status, kind, &name)).and_then(|answer| resource(&answer))
        }
    }?;
    let output = if remote.json { Output::Json } else { output.output };
    if dry_run {
        return told(&api, kind, "would be created", &created, output).await;
    }
    let kept = match kind {
        Kind::VirtualKey => reveal(file, &named(&api, kind, &created).await, &mut created, output),
        _ => Ok(()),
    };
    told(&api, kind, "created", &created, output).await?;
    kept?;
    wait.wait(&api.server, number(&created, "revision")).await
}

/// The value of a key that the caller brings.
fn brought(kind: Kind, place: PathBuf) -> Result<String, Failure> {
    if kind != Kind::VirtualKey {
        return Err(Failure::Usage("--value-from is for keys".into()));
    }
    let value = match place.as_os_str() == "-" {
        true => Ok(std::io::read_to_string(std::io::stdin())?.trim().to_owned()),
        false => ValueFrom::File(place).read(),
    };
    let value = value.and_then(|value| match value.is_empty() {
        // The server would make one, and the caller believe that it is another.
        true => Err("has nothing; leave it out for the server to make a value".to_owned()),
        false => Ok(value),
    });
    value.map_err(|text| Failure::Usage(format!("--value-from {text}").into()))
}

/// Creates a resource by the method that changes nothing that exists, for a kind that has no method of its own for that.
async fn created_only(
    api: &Api,
    kind: Kind,
    message: DynamicMessage,
    validate_only: bool,
) -> Result<DynamicMessage, Failure> {
    let name = path(kind, &message);
    let mut upsert = DynamicMessage::new(descriptor("tollgate.v1.ConfigResource")?);
    upsert.set_field_by_name(kind.name(), Value::Message(message));
    let upsert = upsert.transcode_to().map_err(|error| Failure::Failed(error.into()))?;
    let change = v1::ApplyChange { change: Some(Change::Upsert(upsert)), ..v1::ApplyChange::default() };
    let options =
        v1::ApplyOptions { validate_only, create_only: true, return_resources: true, ..v1::ApplyOptions::default() };
    let answer = apply(&api.server, options, vec![change]).await.map_err(|status| taken(&status, kind, &name))?;
    let after = answer.outcomes.into_iter().find_map(|outcome| outcome.after);
    let after = after.ok_or_else(|| Failure::Failed("the server answered without a resource".into()))?;
    resource(&dynamic(&after)?)
}

/// A refusal to create, with the remedy where the resource is there already.
fn taken(status: &Status, kind: Kind, name: &str) -> Failure {
    let is_value = status.message().contains(".value");
    match (refused(status), status.code()) {
        (Failure::Failed(why), Code::AlreadyExists) if !is_value => {
            let why = why.to_string().replace("changes[0].upsert.", "");
            Failure::Failed(format!("{why}; to change it: tollgate update {} '{name}' …", word(kind)).into())
        }
        (failure, _) => failure,
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Only the fields that are given change. A list, as that of budgets, is replaced as a whole; entries that stay keep what they \
have counted.

Examples:
  tollgate update key Acme/Search/notebook --budget 800/1M
  tollgate update key Acme/Search/notebook --set is_active=false --wait
      Returns when all nodes refuse the key.
  tollgate update team Acme/Search --name 'Search and Ads'
      Only the name; keys, limits and ids stay.
  tollgate update key Acme/Search/notebook --clear team
      Take it out of its team.")]
pub(in crate::cli) struct UpdateArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,

    /// Name, path or id
    #[arg(value_name = "NAME")]
    named: String,

    /// A new name. The id stays, and with it all that belongs to the resource
    #[arg(long, env = "TOLLGATE_NEW_NAME", value_name = "NAME", help_heading = "Fields")]
    name: Option<String>,

    #[command(flatten)]
    fields: FieldArgs,

    /// A field to clear; may be given several times
    #[arg(long, env = "TOLLGATE_CLEAR", value_delimiter = ',', value_name = "FIELD", help_heading = "Fields")]
    clear: Vec<String>,

    /// Check everything, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(in crate::cli) async fn update(args: UpdateArgs) -> Result<(), Failure> {
    let UpdateArgs { remote, kind, named: name, name: new_name, fields, clear, dry_run, output, wait } = args;
    let (mut message, mut paths) = fields.changes(kind, new_name.as_deref())?;
    // `team` of documents and flags is `team_id` in the API.
    for field in clear {
        let field = shorthand(kind, &field).map_or(field, |shorthand| shorthand.field.to_owned());
        if paths.contains(&field) {
            return Err(Failure::Usage(format!("--clear {field}: is given a value too; leave one of them out").into()));
        }
        paths.push(field);
    }
    if paths.is_empty() {
        return Err(Failure::Usage(
            "nothing is to be changed; give a field, as --budget 500/1M or --set FIELD=VALUE".into(),
        ));
    }
    let api = Api { server: remote.connect().await? };
    resolve(&api, &mut message).await?;
    let before = find(&api, kind, &name).await?;
    message.set_field_by_name("id", Value::String(text(&before, "id")));
    let call = Call::of(kind, "Update")?.with(kind.name(), Value::Message(message));
    let call = call.with("update_mask", mask(paths)?).with("validate_only", Value::Bool(dry_run));
    let after = resource(&api.call(call).await?)?;
    let output = if remote.json { Output::Json } else { output.output };
    let changed = number(&before, "revision") != number(&after, "revision");
    let did = match (dry_run, changed) {
        (true, _) => "would be updated",
        (false, true) => "updated",
        (false, false) => "is so already",
    };
    told(&api, kind, did, &after, output).await?;
    if dry_run { Ok(()) } else { wait.wait(&api.server, number(&after, "revision")).await }
}

/// Says what became of a resource, or prints it if another format is asked for.
pub(super) async fn told(
    api: &Api,
    kind: Kind,
    did: &str,
    message: &DynamicMessage,
    output: Output,
) -> Result<(), Failure> {
    match output {
        Output::Table => print(&format!("{} {} {did}", noun(kind), named(api, kind, message).await)),
        output => show(api, Subject::Kind(kind), std::slice::from_ref(message), output).await,
    }
}

/// The path of a resource that came without its parents. If they cannot be had, its name must do.
pub(super) async fn named(api: &Api, kind: Kind, message: &DynamicMessage) -> String {
    let asked = async {
        let call = Call::of(kind, "Get")?.text("id", &text(message, "id")).with("view", full());
        resource(&api.call(call).await?)
    };
    match kind {
        Kind::Team | Kind::VirtualKey => asked.await.map_or_else(|_| path(kind, message), |found| path(kind, &found)),
        _ => path(kind, message),
    }
}
