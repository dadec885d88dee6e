//! `tollgate watch`: follows `WatchConfig` as a node does, and prints what comes.
//!
//! It folds the stream with the public reducer, so that it also checks the server: digests that do not match are
//! reported, and mended with a snapshot.

mod print;
#[cfg(test)]
mod tests;
mod token_file;

use std::error::Error as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::BoolishValueParser;
use tonic::transport::Channel;
use tonic::{Code, Status};

use self::print::{Printer, Stamp};
use self::token_file::TokenFile;
use super::target::Target;
use super::{Failure, stop_signal};
use crate::domain::Kind;
use crate::proto::v1::WatchConfigRequest;
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::watch::{Progress, ProtocolError, Reducer};

/// Pause before connecting again, doubled up to the second while it fails, and drawn between half and all of it, so
/// that clients that lost one server do not come back together.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How long the stream may take to begin: the server may have to catch up for 5 s first.
const BEGIN_PATIENCE: Duration = Duration::from_secs(15);
/// The stream counts as lost after this many heartbeat intervals of silence, and never before the least.
const LOST_AFTER_HEARTBEATS: u32 = 3;
const MIN_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Args, Debug)]
#[command(after_help = "\
One line per resource that comes or goes, and per bookmark: time, store revision, what happened,
kind, id and name; of a resource that was held before, also which fields changed. What concerns the
connection goes to standard error. A lost connection is taken up again where it was. With
--resume-token or --state-file the first stream shows only what changed since; digests are checked
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

    /// Go on from this token, which a bookmark gave
    #[arg(long, env = "TOLLGATE_RESUME_TOKEN", value_name = "TOKEN", conflicts_with = "state_file")]
    resume_token: Option<String>,

    /// Go on from the token in this file, if it is there, and keep the token of the last bookmark in it
    #[arg(long, env = "TOLLGATE_STATE_FILE", value_name = "PATH")]
    state_file: Option<PathBuf>,

    /// Exit once everything is here that the server had when the stream began
    #[arg(long, env = "TOLLGATE_ONCE", value_parser = BoolishValueParser::new())]
    once: bool,

    /// How this watcher names itself to the server
    #[arg(long, env = "TOLLGATE_NODE_ID", default_value = "tollgate-watch", value_name = "TEXT")]
    node_id: String,
}

fn kind(text: &str) -> Result<Kind, String> {
    let name = text.trim().replace('-', "_");
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.into_iter().map(Kind::name).collect();
        format!("is none of {}", names.join(", "))
    })
}

/// Why a stream ended.
enum End {
    /// There is no more to do.
    Done,
    /// To be taken up again after a pause, at least this long.
    Again(String, Duration),
    /// Taking it up again would not help.
    Failed(Failure),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        // tonic's own text has the whole cause in debug form.
        let mut why = format!("{:?}", status.code());
        if !status.message().is_empty() {
            why = format!("{why}: {}", status.message());
        }
        why = super::with_causes(why, status.source());
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Unimplemented => Self::Failed(Failure::Failed(why.into())),
            _ => Self::Again(why, Duration::ZERO),
        }
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        match error {
            ProtocolError::UnknownEvent
            | ProtocolError::UnknownMode(_)
            | ProtocolError::UnknownResource
            | ProtocolError::UnknownKind(_) => Self::Failed(error.into()),
            error => Self::Again(error.to_string(), Duration::ZERO),
        }
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever read the output has had enough.
            io::ErrorKind::BrokenPipe => Self::Done,
            _ => Self::Failed(error.into()),
        }
    }
}

/// Follows until a signal, or until there is no more to do.
pub(super) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let mut stop = stop_signal()?;
    let printer = Printer::new(args.json)?;
    tokio::select! {
        followed = follow(args, printer) => followed,
        _ = stop.received() => Ok(()),
    }
}

/// Follows until there is no more to do. The printer knows already whether the output is JSON.
async fn follow<W: Write>(args: WatchArgs, mut printer: Printer<W>) -> Result<(), Failure> {
    let WatchArgs { target, json: _, kinds, resume_token, state_file, once, node_id } = args;
    let mut token_file = TokenFile::open(state_file)?;
    let mut reducer = match resume_token.or_else(|| token_file.token()) {
        Some(token) => Reducer::without_base(token),
        None => Reducer::new(),
    };
    let server = target.server();
    let channel = target
        .endpoint()?
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_lazy();
    let request = WatchConfigRequest {
        node_id,
        kinds: kinds.into_iter().map(Kind::number).collect(),
        ..WatchConfigRequest::default()
    };

    let mut backoff = MIN_BACKOFF;
    loop {
        let started = Instant::now();
        let request = WatchConfigRequest { resume_token: reducer.connect().to_owned(), ..request.clone() };
        let end = stream(&channel, request, &mut reducer, &mut printer, &mut token_file, once).await;
        if reducer.must_forget_token() {
            token_file.forget()?;
        }
        let (why, at_least) = match end {
            End::Done => return Ok(()),
            End::Failed(failure) => return Err(failure),
            End::Again(why, at_least) => (why, at_least),
        };
        if once {
            return Err(Failure::Failed(format!("{server}: {}", target.with_hint(why)).into()));
        }
        if started.elapsed() > MAX_BACKOFF {
            backoff = MIN_BACKOFF;
        }
        let pause = at_least + backoff.mul_f64(rand::random_range(0.5..=1.0));
        let why = target.with_hint(why);
        eprintln!("tollgate: {server}: {why}; connecting again in {} ms", pause.as_millis());
        tokio::time::sleep(pause).await;
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

/// Follows one stream to its end.
async fn stream<W: Write>(
    channel: &Channel,
    request: WatchConfigRequest,
    reducer: &mut Reducer,
    printer: &mut Printer<W>,
    token_file: &mut TokenFile,
    once: bool,
) -> End {
    match try_stream(channel, request, reducer, printer, token_file, once).await {
        Ok(end) | Err(end) => end,
    }
}

async fn try_stream<W: Write>(
    channel: &Channel,
    request: WatchConfigRequest,
    reducer: &mut Reducer,
    printer: &mut Printer<W>,
    token_file: &mut TokenFile,
    once: bool,
) -> Result<End, End> {
    let mut client = ConfigServiceClient::new(channel.clone());
    let mut patience = BEGIN_PATIENCE;
    let silent = |_| End::Again("nothing was heard for too long".to_owned(), Duration::ZERO);
    let mut messages =
        tokio::time::timeout(patience, client.watch_config(request)).await.map_err(silent)??.into_inner();
    let mut goal = i64::MAX;
    loop {
        let Some(message) = tokio::time::timeout(patience, messages.message()).await.map_err(silent)?? else {
            return Ok(End::Again("the server ended the stream".to_owned(), Duration::ZERO));
        };
        printer.message(&message)?;
        let stamp = Stamp::of(&message);
        let progress = reducer.apply(message)?;
        printer.progress(&progress, stamp, &reducer.state())?;
        match progress {
            Progress::Begun { head_revision, heartbeat_interval, .. } => {
                goal = head_revision;
                patience = (heartbeat_interval * LOST_AFTER_HEARTBEATS).max(MIN_PATIENCE);
            }
            Progress::Bookmarked { revision, .. } => {
                // What was printed must be out before the token says that it need not come again.
                token_file.keep(reducer.resume_token())?;
                if once && revision >= goal {
                    return Ok(End::Done);
                }
            }
            Progress::GoAway { reason, retry_after } => {
                return Ok(End::Again(format!("the server says: {reason}"), retry_after));
            }
            Progress::Pending | Progress::Staged(_) | Progress::Applied(_) | Progress::Used(_) => {}
        }
    }
}
