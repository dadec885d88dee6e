//! `tollgate rotate` and `tollgate lookup`.

use std::io;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use prost_reflect::Value;

use super::api::{Api, Call, number, resource, text};
use super::find::find;
use super::place::path;
use super::secrets::{SecretArgs, reveal};
use super::shown::{Output, OutputArgs, show};
use super::subject::Subject;
use super::write::told;
use crate::cli::Failure;
use crate::cli::remote::{RemoteArgs, dynamic};
use crate::cli::wait::WaitArgs;
use crate::domain::Kind;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tollgate rotate key Acme/Search/notebook --grace 1h
      The old value works for another hour.
  tollgate rotate key notebook --wait
      Returns when no node takes the old value any more.")]
pub(in crate::cli) struct RotateArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind: key
    #[arg(value_name = "KIND", value_parser = super::subject::kind)]
    kind: Kind,

    /// Name, path or id of the key
    #[arg(value_name = "NAME")]
    name: String,

    /// How long the old value goes on working
    #[arg(long, env = "TOLLGATE_GRACE", default_value = "0s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Duration,

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

pub(in crate::cli) async fn rotate(args: RotateArgs) -> Result<(), Failure> {
    let RotateArgs { remote, kind, name, grace, dry_run, output, secrets, wait } = args;
    if kind != Kind::VirtualKey {
        return Err(Failure::Usage("only keys are rotated: tollgate rotate key NAME".into()));
    }
    let api = Api { server: remote.connect().await? };
    let key = find(&api, kind, &name).await?;
    let grace =
        prost_types::Duration::try_from(grace).map_err(|_| Failure::Usage("--grace is at most 30 days".into()))?;
    let call = Call::of(kind, "Rotate")?.text("id", &text(&key, "id"));
    let call = call.with("grace_period", Value::Message(dynamic(&grace)?)).with("validate_only", Value::Bool(dry_run));
    let output = if remote.json { Output::Json } else { output.output };
    if dry_run {
        return told(&api, kind, "would be rotated", &resource(&api.call(call).await?)?, output).await;
    }
    let file = secrets.open()?;
    let mut rotated = resource(&api.call(call).await?)?;
    let kept = reveal(file, &path(kind, &key), &mut rotated, output);
    told(&api, kind, "rotated", &rotated, output).await?;
    kept?;
    wait.wait(&api.server, number(&rotated, "revision")).await
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tollgate lookup key - < leaked.txt
      Find the owner of a key that was found somewhere.
  tollgate lookup key 64-hexadecimal-digits
      By the SHA-256 of a value.")]
pub(in crate::cli) struct LookupArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind: key
    #[arg(value_name = "KIND", value_parser = super::subject::kind)]
    kind: Kind,

    /// SHA-256 of the value, in hexadecimal digits; `-` reads a value or its hash from standard input
    #[arg(value_name = "HASH")]
    hash: String,

    #[command(flatten)]
    output: OutputArgs,
}

pub(in crate::cli) async fn lookup(args: LookupArgs) -> Result<(), Failure> {
    let LookupArgs { remote, kind, hash, output } = args;
    if kind != Kind::VirtualKey {
        return Err(Failure::Usage("only keys have values: tollgate lookup key -".into()));
    }
    let from_input = hash == "-";
    let known = if from_input { io::read_to_string(io::stdin())?.trim().to_owned() } else { hash };
    let hash = hex::decode(&known).ok().filter(|hash| hash.len() == 32);
    let call = Call::of(kind, "Lookup")?;
    let call = match hash {
        Some(hash) => call.with("value_sha256", Value::Bytes(hash.into())),
        None if from_input => call.with("value", Value::String(known)),
        None => {
            let text =
                "other users of the machine see what is on a command line: give a value on standard input, with `-`";
            return Err(Failure::Usage(text.into()));
        }
    };
    let api = Api { server: remote.connect().await? };
    let answer = api.call(call).await?;
    let previous = answer.get_field_by_name("previous").and_then(|value| value.as_bool()).unwrap_or(false);
    if previous {
        eprintln!("tollgate: this is the value before the last rotation, which still works");
    }
    let key = find(&api, kind, &text(&resource(&answer)?, "id")).await?;
    let output = if remote.json { Output::Json } else { output.output };
    show(&api, Subject::Kind(kind), &[key], output).await
}
