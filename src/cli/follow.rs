//! Follows `WatchConfig` as a node does, for the commands that show what comes: with the public reducer, taking up again
//! what was cut.

use std::error::Error as _;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::Failure;
use super::target::{Server, Target};
use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::proto::v1::{WatchConfigRequest, WatchConfigResponse};
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

/// Who shows what comes.
pub(super) trait Sink {
    /// Takes a message, before it is folded.
    fn message(&mut self, _message: &WatchConfigResponse) -> io::Result<()> {
        Ok(())
    }

    /// Takes what a message brought about. [`ControlFlow::Break`] if there is no more to do.
    fn progress(&mut self, progress: &Progress, reducer: &Reducer) -> io::Result<ControlFlow<()>>;

    /// When there will be something to [`show`](Self::show), whatever comes until then.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Shows what is due.
    fn show(&mut self, _reducer: &Reducer) -> io::Result<()> {
        Ok(())
    }

    /// A stream has ended, for whatever reason.
    fn ended(&mut self, _reducer: &Reducer) -> io::Result<()> {
        Ok(())
    }
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

/// What to follow.
pub(super) struct Follow {
    /// The server.
    pub(super) target: Target,
    /// What to ask of it; the token and the least revision are the reducer's.
    pub(super) request: WatchConfigRequest,
    /// Whether a stream that is cut is a failure.
    pub(super) once: bool,
}

impl Follow {
    /// Follows until there is no more to do.
    pub(super) async fn run(self, mut reducer: Reducer, sink: &mut impl Sink) -> Result<(), Failure> {
        let Self { target, request, once } = self;
        let server = target.server();
        let channel = target
            .endpoint()?
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect_lazy();
        let channel = target.authenticated(channel)?;
        let mut backoff = MIN_BACKOFF;
        loop {
            let started = Instant::now();
            let (token, min_revision) = reducer.connect();
            let request = WatchConfigRequest { resume_token: token.to_owned(), min_revision, ..request.clone() };
            let mut end = match stream(&channel, request, &mut reducer, sink).await {
                Ok(end) | Err(end) => end,
            };
            if let Err(error) = sink.ended(&reducer) {
                end = error.into();
            }
            let (why, at_least) = match end {
                End::Done => return Ok(()),
                End::Failed(failure) => return Err(failure),
                End::Again(why, at_least) => (why, at_least),
            };
            let why = target.with_hint(why);
            if once {
                return Err(Failure::Failed(format!("{server}: {why}").into()));
            }
            if started.elapsed() > MAX_BACKOFF {
                backoff = MIN_BACKOFF;
            }
            let pause = at_least + backoff.mul_f64(rand::random_range(0.5..=1.0));
            eprintln!("tollgate: {server}: {why}; connecting again in {} ms", pause.as_millis());
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
}

/// Follows one stream to its end.
async fn stream(
    channel: &Server,
    request: WatchConfigRequest,
    reducer: &mut Reducer,
    sink: &mut impl Sink,
) -> Result<End, End> {
    let mut client = ConfigServiceClient::new(channel.clone());
    let mut patience = BEGIN_PATIENCE;
    let silent = |_| End::Again("nothing was heard for too long".to_owned(), Duration::ZERO);
    let mut messages =
        tokio::time::timeout(patience, client.watch_config(request)).await.map_err(silent)??.into_inner();
    let mut heard = Instant::now();
    loop {
        let due = sink.due();
        let message = tokio::select! {
            message = tokio::time::timeout_at(heard + patience, messages.message()) => message.map_err(silent)??,
            () = tokio::time::sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                sink.show(reducer)?;
                continue;
            }
        };
        heard = Instant::now();
        let Some(message) = message else {
            return Ok(End::Again("the server ended the stream".to_owned(), Duration::ZERO));
        };
        sink.message(&message)?;
        let progress = reducer.apply(message)?;
        if sink.progress(&progress, reducer)?.is_break() {
            return Ok(End::Done);
        }
        match progress {
            Progress::Begun { heartbeat_interval, .. } => {
                patience = (heartbeat_interval * LOST_AFTER_HEARTBEATS).max(MIN_PATIENCE);
            }
            Progress::GoAway { reason, retry_after } => {
                return Ok(End::Again(format!("the server says: {reason}"), retry_after));
            }
            Progress::Pending
            | Progress::Staged(_)
            | Progress::Applied(_)
            | Progress::Bookmarked { .. }
            | Progress::Used(_) => {}
        }
    }
}
