//! `tollgate node`: runs a node beside a gateway, or asks one that runs.

mod ask;
mod run;

use clap::{Args, Subcommand};

use super::Failure;
use crate::settings::LogFormat;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
A node keeps a copy of the configuration, admits or refuses each request from memory, and reports what was used. Gateways ask \
it by gRPC (tollgate.node.v1) or by JSON over HTTP on the same address (docs/node.md).

Examples:
  tollgate node
      Follow the server on this machine, listen on 127.0.0.1:50052, keep unreported usage in ./tollgate-node.
  tollgate node --server https://tollgate.example.com:50051 --node-id gw-1 --listen unix:///run/tollgate/node.sock
      Follow a server elsewhere, with the access token in TOLLGATE_TOKEN; listen on a Unix socket.
  tollgate node --envoy --listen unix:///run/tollgate/node.sock
      Govern what passes through the Envoy beside it, with the configuration in deploy/envoy (docs/gateways.md).
  tollgate node check sk-… openai/gpt-4o
      Ask the node on this machine whether it would admit a request.
  curl -H 'content-type: application/json' -d '{\"virtual_key_value\": \"sk-…\", \"model\": \"gpt-4o\"}' \
127.0.0.1:50052/v1/admit
      Admit a request.")]
pub(super) struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,

    #[command(flatten)]
    run: run::RunArgs,
}

#[derive(Subcommand, Debug)]
enum NodeCommand {
    /// Ask a running node whether it would admit a request; nothing is held or counted
    Check(ask::CheckArgs),
    /// Show how a running node stands
    Status(ask::StatusArgs),
}

pub(super) async fn run(args: NodeArgs, format: LogFormat) -> Result<(), Failure> {
    match args.command {
        None => run::run(args.run, format).await,
        Some(NodeCommand::Check(args)) => ask::check(args).await,
        Some(NodeCommand::Status(args)) => ask::status(args).await,
    }
}
