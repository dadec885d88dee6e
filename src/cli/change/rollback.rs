//! `tollgate rollback`: configuration as it was at an earlier revision.

use clap::Args;
use clap::builder::BoolishValueParser;

use super::call::{PATIENCE, apply};
use super::told::{Counts, Item, show};
use crate::cli::Failure;
use crate::cli::remote::{RemoteArgs, print, print_json_line, refused};
use crate::cli::resource::api::{Api, text};
use crate::cli::resource::delete::confirm;
use crate::cli::resource::find::find;
use crate::cli::resource::subject::kind;
use crate::cli::wait::WaitArgs;
use crate::domain::Kind;
use crate::proto::v1;

#[derive(Args, Debug)]
#[command(after_help = "\
Shows what would change, asks, and makes one new revision: nothing of the history is lost. A deleted resource comes back with its \
id, a key with the hash of its value; limits that still exist keep what they have counted, others begin at 0. Changes that \
the retention has removed cannot be undone.

Examples:
  tollgate rollback --to 4711 --dry-run
  tollgate rollback --to 4711 --kind rules --yes")]
pub(in crate::cli) struct RollbackArgs {
    #[command(flatten)]
    remote: RemoteArgs,

    /// The revision whose configuration is wanted again
    #[arg(long, env = "TOLLGATE_TO_REVISION", value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..))]
    to: i64,

    /// Only resources of this kind
    #[arg(long, env = "TOLLGATE_KIND", value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,

    /// Only this resource: an id, or the name of one that exists; needs --kind
    #[arg(long, env = "TOLLGATE_ID", default_value = "", hide_default_value = true, value_name = "NAME")]
    id: String,

    /// Do not ask
    #[arg(short = 'y', long, env = "TOLLGATE_YES", value_parser = BoolishValueParser::new())]
    yes: bool,

    /// Show what would change, and change nothing
    #[arg(long, env = "TOLLGATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    dry_run: bool,

    #[command(flatten)]
    wait: WaitArgs,
}

pub(in crate::cli) async fn run(args: RollbackArgs) -> Result<(), Failure> {
    let RollbackArgs { remote, to, kind, id, yes, dry_run, wait } = args;
    if kind.is_none() && !id.is_empty() {
        return Err(Failure::Usage("--id needs --kind, as --kind key".into()));
    }
    let api = Api { server: remote.connect_for(PATIENCE).await? };
    let key = match kind {
        None => None,
        Some(kind) => {
            // A deleted resource can be named by its id alone.
            let is_id = id.is_empty() || uuid::Uuid::try_parse(&id).is_ok();
            let id = if is_id { id } else { text(&find(&api, kind, &id).await?, "id") };
            Some(v1::ResourceKey { kind: kind.number(), id })
        }
    };
    let options = v1::ApplyOptions {
        validate_only: true,
        rollback_to_revision: to,
        rollback_keys: key.into_iter().collect(),
        return_resources: true,
        ..v1::ApplyOptions::default()
    };
    let answer = apply(&api.server, options.clone(), Vec::new()).await.map_err(|status| refused(&status))?;
    let items = answer.outcomes.iter().map(|outcome| Item::new(outcome, None)).collect::<Result<Vec<_>, _>>()?;
    let counts = Counts::of(&items);
    if !remote.json {
        show(&items)?;
    }
    if counts.is_nothing() || dry_run {
        return match remote.json {
            true => print_json_line(&answer),
            false if counts.is_nothing() => print(&format!("configuration is what it was at revision {to}")),
            false => print(&counts.plan()),
        };
    }
    confirm(&format!("go back to revision {to}: {}", counts.plan()), yes)?;
    let request_id = uuid::Uuid::now_v7().to_string();
    let options = v1::ApplyOptions { validate_only: false, request_id, return_resources: remote.json, ..options };
    let answer = apply(&api.server, options, Vec::new()).await.map_err(|status| refused(&status))?;
    if remote.json {
        print_json_line(&answer)?;
    } else {
        print(&format!("{}; configuration of revision {to} is back at revision {}", counts.text(), answer.revision))?;
    }
    wait.wait(&api.server, answer.revision).await
}
