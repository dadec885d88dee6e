//! The command line: one file per command. `main` calls [`main`].
//!
//! Exit codes: 0 if all went well, 1 if not, 2 if the command line or a setting is wrong, 3 if a server ended because its database
//! is corrupt, or if `explain` or `node check` tells that a request would be refused; `plan --exit-code` ends with 2 if
//! something would change. A failure is one line on standard error; standard output has results only.

mod change;
mod changes;
mod command_line;
mod context;
mod credit;
mod database;
mod explain;
mod export;
mod files;
mod follow;
mod health;
mod import;
mod key;
mod migrate;
mod moving;
mod node;
mod nodes;
mod price;
mod prices;
mod progress;
mod redraw;
mod remote;
mod resource;
#[cfg(test)]
mod scripted;
mod serve;
mod shell;
mod spend;
mod status;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod token;
mod usage;
mod validate;
mod verify;
mod wait;
mod watch;
mod webhooks;

use std::error::Error;
use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::server::ServerError;
use crate::settings::{LogFormat, LogSettings};
use crate::store::StoreError;
use crate::telemetry;

/// A gRPC control plane for the governance of LLM gateways.
#[derive(Parser, Debug)]
#[command(name = "tollgate", version, max_term_width = 100)]
#[command(after_help = "Each flag can be given in the environment instead, by the name shown beside it. An empty \
                        variable counts as unset.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List resources of a kind, or show some by name
    Get(resource::get::GetArgs),
    /// Show all about one resource: fields, limits with usage, latest changes
    Describe(resource::describe::DescribeArgs),
    /// Create a resource
    Create(Box<resource::write::CreateArgs>),
    /// Change fields of a resource
    Update(Box<resource::write::UpdateArgs>),
    /// Change a resource in an editor
    Edit(resource::edit::EditArgs),
    /// Delete resources
    Delete(resource::delete::DeleteArgs),
    /// Give a virtual key a new value
    Rotate(resource::key::RotateArgs),
    /// Find the virtual key that a value belongs to
    Lookup(resource::key::LookupArgs),
    /// Check files with configuration, without a server
    Validate(validate::ValidateArgs),
    /// Show what files would change on the server
    Plan(change::apply::PlanArgs),
    /// Make the server as files say, in one revision
    Apply(change::apply::ApplyArgs),
    /// Show what differs between two revisions
    Diff(change::diff::DiffArgs),
    /// Make configuration again what it was at a revision
    Rollback(change::rollback::RollbackArgs),
    /// Show a control plane at a glance: revision, nodes, access tokens, resources
    Status(status::StatusArgs),
    /// Say whether a server serves, for probes
    Health(health::HealthArgs),
    /// Name servers, so that commands find them without flags
    Context(context::ContextArgs),
    /// Run the server
    Serve(serve::ServeArgs),
    /// Run a node beside a gateway: it admits requests from memory and reports their usage
    Node(Box<node::NodeArgs>),
    /// Print the configuration as gateways receive it: all of it first, then each change
    Watch(watch::WatchArgs),
    /// Explain the decision on a request, without making one
    Explain(explain::ExplainArgs),
    /// Print the audit trail: changes with caller, method and time
    Changes(changes::ChangesArgs),
    /// List the nodes, and forget those that will not come back
    Nodes(nodes::NodesArgs),
    /// Show the hard limits of which nodes hold credit
    Credit(credit::CreditArgs),
    /// Create, list and revoke access tokens
    Token(token::TokenArgs),
    /// Check that log, tables and memory agree
    Verify(verify::VerifyArgs),
    /// Write a whole store into a file, to move it to another database
    Export(export::ExportArgs),
    /// Fill an empty database from a file that `export` wrote
    Import(import::ImportArgs),
    /// Show which migrations a database has, and apply the others
    Migrate(migrate::MigrateArgs),
    /// Make files of what another gateway has: keys by their hashes, teams, limits
    MigrateFrom(moving::MigrateFromArgs),
    /// Show which pricing override applies to a request, and why the others do not
    Price(price::PriceArgs),
    /// List prices of models, and take them over from a file
    Prices(prices::PricesArgs),
    /// Show what was spent when, by whom and on what
    Spend(spend::SpendArgs),
    /// Show the limits nearest to exhaustion, with their owners
    Usage(usage::UsageArgs),
    /// Show where alerts are sent and what became of them; create, test and delete webhooks
    Webhooks(webhooks::WebhooksArgs),
    /// Print a script that completes commands in a shell
    Completion(shell::CompletionArgs),
    /// Print the manual page
    Man(shell::ManArgs),
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Logs (on standard error)")]
struct LogArgs {
    /// How logs look [default: pretty if standard error is a terminal, else json]
    #[arg(long, global = true, env = "TOLLGATE_LOG_FORMAT", value_enum, value_name = "FORMAT")]
    log_format: Option<Format>,

    /// Level of the log: off, error, warn, info, debug or trace, also by part of the program: `info,tollgate::call=warn`
    /// leaves out the lines of calls that their callers got wrong
    #[arg(long, global = true, env = "TOLLGATE_LOG", default_value = "info", value_name = "FILTER")]
    log_level: String,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Format {
    /// One flat JSON object per line
    Json,
    /// For people
    Pretty,
}

impl LogArgs {
    fn settings(self) -> LogSettings {
        let Self { log_format, log_level: filter } = self;
        let format = match log_format {
            Some(Format::Json) => LogFormat::Json,
            Some(Format::Pretty) => LogFormat::Pretty,
            None if io::stderr().is_terminal() => LogFormat::Pretty,
            None => LogFormat::Json,
        };
        LogSettings { format, filter }
    }
}

/// The exit code for a request that would be refused.
const REFUSED: u8 = 3;

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// It was asked for something that cannot be: exit code 2.
    Usage(Box<dyn Error>),
    /// It went wrong: exit code 1.
    Failed(Box<dyn Error>),
    /// The database contradicts itself: exit code 3.
    Corrupt(Box<dyn Error>),
    /// The result is not what was hoped for, and is printed already: this exit code.
    Told(u8),
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let error: Box<dyn Error> = Box::new(error);
        if is_setting(error.as_ref()) {
            Self::Usage(error)
        } else if error.downcast_ref().is_some_and(ServerError::is_corruption) {
            Self::Corrupt(error)
        } else {
            Self::Failed(error)
        }
    }
}

/// Whether an error is about a setting, so that trying again does not help.
fn is_setting(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(ServerError::is_setting)
        || error.downcast_ref().is_some_and(StoreError::is_setting)
}

/// Runs the command that the arguments of this process name, and returns its exit code.
pub fn main() -> ExitCode {
    let Cli { command, log } = match command_line::parsed() {
        Ok(cli) => cli,
        Err(failure) => return ended(Err(failure)),
    };
    let log = log.settings();
    let format = log.format;
    let done = match telemetry::init(log) {
        Err(error) => Err(Failure::Usage(error.into())),
        Ok(()) => match command {
            Command::Get(args) => block_on(resource::get::run(args)),
            Command::Describe(args) => block_on(resource::describe::run(args)),
            Command::Create(args) => block_on(resource::write::create(*args)),
            Command::Update(args) => block_on(resource::write::update(*args)),
            Command::Edit(args) => block_on(resource::edit::run(args)),
            Command::Delete(args) => block_on(resource::delete::run(args)),
            Command::Rotate(args) => block_on(resource::key::rotate(args)),
            Command::Lookup(args) => block_on(resource::key::lookup(args)),
            Command::Plan(args) => block_on(change::apply::plan(args)),
            Command::Apply(args) => block_on(change::apply::run(args)),
            Command::Diff(args) => block_on(change::diff::run(args)),
            Command::Rollback(args) => block_on(change::rollback::run(args)),
            Command::Status(args) => block_on(status::run(args)),
            Command::Health(args) => block_on(health::run(args)),
            Command::Context(args) => context::run(args),
            Command::Completion(args) => shell::completion(&args),
            Command::Man(args) => shell::man(args),
            Command::Serve(args) => block_on(serve::run(args, format)),
            Command::Node(args) => block_on(node::run(*args, format)),
            Command::Watch(args) => block_on(watch::run(args)),
            Command::Explain(args) => block_on(explain::run(args)),
            Command::Changes(args) => block_on(changes::run(args)),
            Command::Nodes(args) => block_on(nodes::run(args)),
            Command::Credit(args) => block_on(credit::run(args)),
            Command::Token(args) => block_on(token::run(args)),
            Command::Verify(args) => block_on(verify::run(args)),
            Command::Export(args) => block_on(export::run(args)),
            Command::Import(args) => block_on(import::run(args)),
            Command::Migrate(args) => block_on(migrate::run(args)),
            Command::MigrateFrom(args) => block_on(moving::run(args)),
            Command::Price(args) => block_on(price::run(args)),
            Command::Prices(args) => block_on(prices::run(args)),
            Command::Spend(args) => block_on(spend::run(args)),
            Command::Usage(args) => block_on(usage::run(args)),
            Command::Webhooks(args) => block_on(webhooks::run(args)),
            Command::Validate(args) => validate::run(&args),
        },
    };
    ended(done)
}

/// Says how a command ended.
fn ended(done: Result<(), Failure>) -> ExitCode {
    let (code, error) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Usage(error)) => (2, error),
        Err(Failure::Failed(error)) => (1, error),
        Err(Failure::Corrupt(error)) => (3, error),
        Err(Failure::Told(code)) => return ExitCode::from(code),
    };
    eprintln!("tollgate: {}", chain(error.as_ref()));
    ExitCode::from(code)
}

/// How long a thread that has nothing to do is kept.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    check_threads()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_keep_alive(FOR_EVER).build()?;
    // Names are looked up by a thread of their own. Tokio panics if there is none and the system gives none, so one is
    // started now and kept; where it is busy, others wait for it.
    runtime.spawn_blocking(|| ());
    let done = runtime.block_on(command);
    // A name that is being looked up must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Whether the system gives the threads that the runtime begins with. Where it does not, Tokio panics, and may then wait for
/// ever for those that it had started.
fn check_threads() -> Result<(), Failure> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) + 1;
    let gate = std::sync::RwLock::new(());
    let started = std::thread::scope(|scope| {
        let _closed = gate.write();
        let wait = || drop(gate.read());
        (0..count).try_for_each(|_| std::thread::Builder::new().spawn_scoped(scope, wait).map(drop))
    });
    started.map_err(|error| {
        let text = format!(
            "the system gives no {count} threads to begin with ({error}): raise the limit of processes of the user \
             (`ulimit -u`), LimitNPROC= or TasksMax= of the unit, or the container's limit of pids"
        );
        Failure::Failed(text.into())
    })
}

/// An error with its causes on one line.
fn chain(error: &dyn Error) -> String {
    with_causes(error.to_string(), error.source())
}

/// A text with the causes that it does not name already, on one line.
fn with_causes(mut line: String, mut cause: Option<&dyn Error>) -> String {
    while let Some(error) = cause {
        let text = error.to_string();
        // Some errors repeat their cause: `connect error: refused`, caused by `refused`.
        let new = text.split(": ").filter(|part| !line.contains(part)).collect::<Vec<_>>().join(": ");
        if !new.is_empty() {
            line = format!("{line}: {new}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}

/// Resolves when the process is asked to stop: SIGINT (Ctrl-C), or SIGTERM where there is one.
///
/// The listeners are in place when this returns, so that a signal between two calls is not lost.
fn stop_signal() -> io::Result<StopSignal> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(StopSignal { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
    #[cfg(not(unix))]
    Ok(StopSignal {})
}

struct StopSignal {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    async fn received(&mut self) -> &'static str {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
        #[cfg(not(unix))]
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}
