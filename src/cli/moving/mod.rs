//! `tollgate migrate-from`: documents of this product, and a report, from what another gateway has. It reads, and writes
//! nothing but files, unless it is to apply them.

mod bifrost;
mod carry;
mod draft;
mod litellm;
mod money;
mod output;
mod record;
mod report;
mod rows;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand};

use self::carry::CarryArgs;
use self::draft::Drafts;
use self::report::Report;
use super::Failure;

#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct MigrateFromArgs {
    #[command(subcommand)]
    gateway: Gateway,
}

#[derive(Subcommand, Debug)]
enum Gateway {
    /// From Bifrost: keys by their hashes, teams, customers, limits, rules and pricing overrides
    Bifrost(bifrost::BifrostArgs),
    /// From LiteLLM's proxy: keys by their hashes, teams, organisations, budgets and limits
    Litellm(litellm::LitellmArgs),
}

#[derive(Args, Debug)]
struct OutputArgs {
    /// Folder for the documents; it must be empty, or is made
    #[arg(long, env = "TOLLGATE_MIGRATE_OUT", value_name = "DIR")]
    out: PathBuf,

    /// File for the report, in Markdown [default: report.md in the folder]
    #[arg(long, env = "TOLLGATE_MIGRATE_REPORT", value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print the report as JSON, with all places
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,

    #[command(flatten)]
    carry: CarryArgs,
}

/// The documents that were made of another gateway's configuration.
struct Migrated {
    /// The gateway's name.
    gateway: &'static str,
    drafts: Drafts,
    report: Report,
}

pub(super) async fn run(args: MigrateFromArgs) -> Result<(), Failure> {
    match args.gateway {
        Gateway::Bifrost(args) => bifrost::run(args).await,
        Gateway::Litellm(args) => litellm::run(args).await,
    }
}
