//! `tollgate watch`: follows `WatchConfig` as a node does, and prints what comes.
//!
//! It follows and folds the stream as a node does, so that it also checks the server: digests that do not match are
//! reported, and mended with a snapshot.

mod print;
#[cfg(test)]
mod tests;
mod token_file;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use tollgate_node::follow::Lost;

use self::print::{Printer, Stamp};
use self::token_file::TokenFile;
use super::follow::{self, End, Sink, written};
use super::target::Target;
use super::{Failure, stop_signal};
use crate::domain::Kind;
use crate::proto::v1::{WatchConfigRequest, WatchConfigResponse};
use crate::reducer::{Progress, Reducer, View};

#[derive(Args, Debug)]
#[command(after_help = "\
One line per resource that comes or goes, and per bookmark: time, store revision, event, kind, id \
and name; of a resource that was held before, also the fields that changed. Messages about the \
connection go to standard error. A lost connection is taken up again where it was. With \
--resume-token or --state-file the first stream shows only the changes since; digests are checked \
from the first snapshot on.

Examples:
  tollgate watch
      Print all configuration, then each change.
  tollgate watch --kinds virtual_key,team --json | jq -c '.batch // empty'
      Follow two kinds, as protobuf JSON.
  tollgate watch --state-file ./token --once
      Print what has changed since the last time, then exit.")]
pub(super) struct WatchArgs {
    #[command(flatten)]
    target: Target,

    /// Print each message as one line of protobuf JSON
    #[arg(long, env = "TOLLGATE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,

    /// The kinds to watch [default: all]
    #[arg(long, env = "TOLLGATE_KINDS", value_delimiter = ',', value_name = "KIND,…", value_parser = kind)]
    kinds: Vec<Kind>,

    /// Also print usage of limits: first all that is not zero, then each change
    #[arg(long, env = "TOLLGATE_USAGE", value_parser = BoolishValueParser::new())]
    usage: bool,

    /// Go on from this resume token, which a bookmark gave
    #[arg(long, env = "TOLLGATE_RESUME_TOKEN", value_name = "TOKEN", conflicts_with = "state_file")]
    resume_token: Option<String>,

    /// Go on from the resume token in this file, if it exists, and keep the one of the last bookmark in it
    #[arg(long, env = "TOLLGATE_STATE_FILE", value_name = "PATH")]
    state_file: Option<PathBuf>,

    /// Exit once everything has arrived that the server had when the stream began
    #[arg(long, env = "TOLLGATE_ONCE", value_parser = BoolishValueParser::new())]
    once: bool,

    /// Name shown in the server's log and metrics
    #[arg(long, env = "TOLLGATE_NODE_ID", default_value = "tollgate-watch", value_name = "TEXT")]
    node_id: String,
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    let name = text.trim().replace('-', "_");
    let streamed = Kind::ALL.into_iter().filter(|kind| kind.is_streamed());
    streamed.clone().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = streamed.map(Kind::name).collect();
        format!("is none of {}", names.join(", "))
    })
}

/// Follows until a signal, or until there is no more to do.
pub(super) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let mut stop = stop_signal()?;
    let printer = Printer::new(args.json)?;
    tokio::select! {
        followed = show(args, printer) => followed,
        _ = stop.received() => Ok(()),
    }
}

/// Follows until there is no more to do. The printer knows already whether the output is JSON.
async fn show<W: Write>(args: WatchArgs, printer: Printer<W>) -> Result<(), Failure> {
    let WatchArgs { target, json: _, kinds, usage, resume_token, state_file, once, node_id } = args;
    let token_file = TokenFile::open(state_file)?;
    let reducer = match resume_token.or_else(|| token_file.token()) {
        Some(token) => Reducer::without_base(token),
        None => Reducer::new(),
    };
    let request = WatchConfigRequest {
        node_id,
        kinds: kinds.into_iter().map(Kind::number).collect(),
        include_usage: usage,
        ..WatchConfigRequest::default()
    };
    let (stamp, goal) = (Stamp::default(), i64::MAX);
    let mut watcher = Watcher { target: &target, printer, token_file, once, usage, stamp, goal };
    follow::run(&target, &request, reducer, &mut watcher).await
}

/// Prints what comes, and keeps the token.
struct Watcher<'a, W: Write> {
    target: &'a Target,
    printer: Printer<W>,
    token_file: TokenFile,
    once: bool,
    usage: bool,
    /// Of the last message.
    stamp: Stamp,
    /// What the server had when the stream began.
    goal: i64,
}

impl<W: Write> Sink<View> for Watcher<'_, W> {
    type End = End;

    fn message(&mut self, message: &WatchConfigResponse) -> ControlFlow<End> {
        self.stamp = Stamp::of(message);
        written(self.printer.message(message))
    }

    fn progress(&mut self, progress: &Progress, reducer: &Reducer) -> ControlFlow<End> {
        written(self.printer.progress(progress, self.stamp, &reducer.state()))?;
        match progress {
            Progress::Begun { head_revision, .. } => self.goal = *head_revision,
            Progress::Bookmarked { revision, .. } => {
                // What was printed must be out before the token says that it need not come again.
                written(self.token_file.keep(reducer.resume_token()))?;
                if self.once && !self.usage && *revision >= self.goal {
                    return ControlFlow::Break(Ok(()));
                }
            }
            // Usage comes when all of the configuration is here.
            Progress::Used { .. } if self.once => return ControlFlow::Break(Ok(())),
            Progress::Pending
            | Progress::Staged(_)
            | Progress::Applied(_)
            | Progress::Used { .. }
            | Progress::GoAway { .. } => {}
        }
        ControlFlow::Continue(())
    }

    fn lost(&mut self, lost: &Lost, pause: Duration, reducer: &Reducer) -> ControlFlow<End> {
        if reducer.must_forget_token() {
            written(self.token_file.forget())?;
        }
        follow::lost(self.target, self.once, lost, pause)
    }
}
