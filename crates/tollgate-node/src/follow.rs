//! Follows `WatchConfig`, taking up again what was cut.
//!
//! It owns the connection and the pauses; the [`Reducer`] owns the copy; a [`Sink`] hears of everything.

use std::error::Error as _;
use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::proto::v1::{WatchConfigRequest, WatchConfigResponse};
use tollgate_core::reducer::{Fold, Progress, ProtocolError, Reducer};
use tonic::{Code, Status};

use crate::proto::v1::config_service_client::ConfigServiceClient;
use crate::server::{Server, Servers, with_causes};

/// Pause before connecting again, doubled up to the second while it fails, and drawn between half and all of it, so
/// that clients that lost one server do not come back together.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How long the stream may take to begin: the server may have to catch up for 5 s first.
const BEGIN_PATIENCE: Duration = Duration::from_secs(15);
/// The stream counts as lost after this many heartbeat intervals of silence, and never before the least.
const LOST_AFTER_HEARTBEATS: u32 = 3;
const MIN_PATIENCE: Duration = Duration::from_secs(1);

/// Who hears of what comes. [`ControlFlow::Break`] ends it.
pub trait Sink<V: Fold> {
    /// With what it ends.
    type End;

    /// Takes a message, before it is folded.
    fn message(&mut self, _message: &WatchConfigResponse) -> ControlFlow<Self::End> {
        ControlFlow::Continue(())
    }

    /// Takes what a message brought about.
    fn progress(&mut self, progress: &Progress<V::Resource>, reducer: &Reducer<V>) -> ControlFlow<Self::End>;

    /// When there will be something to [`show`](Self::show), whatever comes until then.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Shows what is due.
    fn show(&mut self, _reducer: &Reducer<V>) -> ControlFlow<Self::End> {
        ControlFlow::Continue(())
    }

    /// A stream has ended, for this reason. It is taken up again after `pause`.
    fn lost(&mut self, lost: &Lost, pause: Duration, reducer: &Reducer<V>) -> ControlFlow<Self::End>;
}

/// Why a stream has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// What happened, for people.
    pub why: String,
    /// Whether taking it up again would not help, as far as can be seen: the server refuses the request or the access
    /// token, or is newer than this client.
    pub for_good: bool,
    /// How long the server asks to wait.
    at_least: Duration,
}

impl Lost {
    pub(crate) fn again(why: impl Into<String>) -> Self {
        Self { why: why.into(), for_good: false, at_least: Duration::ZERO }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<Status> for Lost {
    fn from(status: Status) -> Self {
        // tonic's own text has the whole cause in debug form.
        let mut why = format!("{:?}", status.code());
        if !status.message().is_empty() {
            why = format!("{why}: {}", status.message());
        }
        if let Some(source) = status.source() {
            why = format!("{why}: {}", with_causes(source));
        }
        let for_good = matches!(
            status.code(),
            Code::InvalidArgument
                | Code::NotFound
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::FailedPrecondition
                | Code::Unimplemented
        );
        Self { for_good, ..Self::again(why) }
    }
}

impl From<ProtocolError> for Lost {
    fn from(error: ProtocolError) -> Self {
        let for_good = matches!(
            error,
            ProtocolError::UnknownEvent
                | ProtocolError::UnknownMode(_)
                | ProtocolError::UnknownResource
                | ProtocolError::UnreadableResource { .. }
                | ProtocolError::WithoutHashes
                | ProtocolError::UnknownKind(_)
        );
        Self { for_good, ..Self::again(error.to_string()) }
    }
}

/// Follows until the sink has had enough. The resume token and the least revision of `request` are the reducer's. Where there are
/// several servers, the next is tried at once when one fails, and there is a pause when all have failed.
pub async fn follow<V: Fold, S: Sink<V>>(
    servers: &Servers,
    request: &WatchConfigRequest,
    reducer: &mut Reducer<V>,
    sink: &mut S,
) -> S::End {
    let (mut backoff, mut failed) = (MIN_BACKOFF, 0);
    loop {
        let (at, server) = servers.current();
        let started = Instant::now();
        let (token, min_revision) = reducer.connect();
        let request = WatchConfigRequest { resume_token: token.to_owned(), min_revision, ..request.clone() };
        let lost = match stream(&server, request, reducer, sink).await {
            Ok(end) => return end,
            Err(lost) => lost,
        };
        if started.elapsed() > MAX_BACKOFF {
            (backoff, failed) = (MIN_BACKOFF, 0);
        }
        servers.failed(at);
        failed += 1;
        let is_round = failed % servers.count() == 0;
        let pause = match is_round {
            true => lost.at_least + backoff.mul_f64(rand::random_range(0.5..=1.0)),
            false => Duration::ZERO,
        };
        if let ControlFlow::Break(end) = sink.lost(&lost, pause, reducer) {
            return end;
        }
        tokio::time::sleep(pause).await;
        if is_round {
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }
}

/// Follows one stream until the sink has had enough.
async fn stream<V: Fold, S: Sink<V>>(
    server: &Server,
    request: WatchConfigRequest,
    reducer: &mut Reducer<V>,
    sink: &mut S,
) -> Result<S::End, Lost> {
    let mut client = ConfigServiceClient::new(server.clone());
    let mut patience = BEGIN_PATIENCE;
    let silent = |_| Lost::again("nothing was heard for too long");
    let mut messages =
        tokio::time::timeout(patience, client.watch_config(request)).await.map_err(silent)??.into_inner();
    let mut heard = Instant::now();
    loop {
        let due = sink.due();
        let message = tokio::select! {
            message = tokio::time::timeout_at(heard + patience, messages.message()) => message.map_err(silent)??,
            () = tokio::time::sleep_until(due.unwrap_or(heard)), if due.is_some() => {
                match sink.show(reducer) {
                    ControlFlow::Break(end) => return Ok(end),
                    ControlFlow::Continue(()) => continue,
                }
            }
        };
        heard = Instant::now();
        let Some(message) = message else {
            return Err(Lost::again("the server ended the stream"));
        };
        if let ControlFlow::Break(end) = sink.message(&message) {
            return Ok(end);
        }
        let progress = reducer.apply(message)?;
        if let ControlFlow::Break(end) = sink.progress(&progress, reducer) {
            return Ok(end);
        }
        match progress {
            Progress::Begun { heartbeat_interval, .. } => {
                patience = (heartbeat_interval * LOST_AFTER_HEARTBEATS).max(MIN_PATIENCE);
            }
            Progress::GoAway { reason, retry_after } => {
                let at_least = retry_after;
                return Err(Lost { at_least, ..Lost::again(format!("the server says: {reason}")) });
            }
            Progress::Pending
            | Progress::Staged(_)
            | Progress::Applied(_)
            | Progress::Bookmarked { .. }
            | Progress::Used { .. } => {}
        }
    }
}
