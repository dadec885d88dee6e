//! `tollgate delete`: resources by name.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use prost_reflect::Value;

use super::api::{Api, Call, number, text};
use super::find::find;
use super::place::path;
use super::subject::{kind, noun};
use crate::cli::Failure;
use crate::cli::remote::{RemoteArgs, print};
use crate::cli::wait::WaitArgs;
use crate::domain::Kind;
use crate::proto::v1;

#[derive(Args, Debug)]
#[command(after_help = "\
Asks before it deletes; without a terminal it wants --yes. A customer or team that has teams or keys is deleted only if \
--children says what becomes of them.

Examples:
  tollgate delete key Acme/Search/notebook --wait
      Returns when all nodes refuse the key.
  tollgate delete team Acme/Search --children deactivate --yes")]
pub(in crate::cli) struct DeleteArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The kind
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: Kind,

    /// Names, paths or ids
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,

    /// The fate of the teams and keys of a customer, or of the keys of a team
    #[arg(long, env = "TOLLGATE_CHILDREN", value_enum, value_name = "FATE")]
    children: Option<Children>,

    /// Do not ask
    #[arg(short = 'y', long, env = "TOLLGATE_YES", value_parser = BoolishValueParser::new())]
    yes: bool,

    /// Check everything, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Children {
    /// They go on without it
    Detach,
    /// They go on without it, and are not active
    Deactivate,
    /// They are deleted too
    Delete,
}

impl Children {
    const fn message(self) -> v1::Children {
        match self {
            Self::Detach => v1::Children::Detach,
            Self::Deactivate => v1::Children::Deactivate,
            Self::Delete => v1::Children::Delete,
        }
    }
}

pub(in crate::cli) async fn run(args: DeleteArgs) -> Result<(), Failure> {
    let DeleteArgs { remote, kind, names, children, yes, dry_run, wait } = args;
    if children.is_some() && !matches!(kind, Kind::Customer | Kind::Team) {
        return Err(Failure::Usage("--children is for customers and teams".into()));
    }
    let api = Api { server: remote.connect().await? };
    let mut found = Vec::new();
    for name in &names {
        found.push(find(&api, kind, name).await?);
    }
    let paths: Vec<_> = found.iter().map(|message| path(kind, message)).collect();
    if !dry_run {
        confirm(&format!("delete {} {}", noun(kind), paths.join(", ")), yes)?;
    }
    let mut last = 0;
    for (message, path) in found.iter().zip(&paths) {
        let call = Call::of(kind, "Delete")?.text("id", &text(message, "id"));
        // Only the resource that was found is deleted, and only as it was found.
        let call = call.with("revision", Value::I64(number(message, "revision")));
        let mut call = call.with("validate_only", Value::Bool(dry_run));
        if let Some(children) = children {
            call = call.with("children", Value::EnumNumber(children.message().into()));
        }
        let answer = api.call(call).await?;
        last = last.max(number(&answer, "revision"));
        if remote.json {
            print(&serde_json::to_string(&answer)?)?;
            continue;
        }
        let others = match number(&answer, "total_changed_count") {
            0 => String::new(),
            1 => ", with 1 other resource changed".to_owned(),
            count => format!(", with {count} other resources changed"),
        };
        let done = if dry_run { "would be deleted" } else { "deleted" };
        print(&format!("{} {path} {done}{others}", noun(kind)))?;
    }
    if dry_run { Ok(()) } else { wait.wait(&api.server, last).await }
}

/// Asks whether to go on.
///
/// # Errors
///
/// The answer is no, or there is nobody to ask.
pub(in crate::cli) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask on; give --yes".into()));
    }
    eprint!("{}? [y/N] ", crate::cli::remote::printable(question));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Failed("nothing was done, as asked".into())),
    }
}
