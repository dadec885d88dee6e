//! A line in the log for a call, when it ends: which method, for whom, with what status, after how long. Calls that succeed
//! at once have one at DEBUG, unless all are to be logged: there are most of them, and the line is what they cost most.
//!
//! A [`CallLog`] is made when the call comes in, moves into the body of the answer, and writes the line when the body
//! ends or is dropped, so that streams are logged at their end and a client that leaves is seen to have left.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Level, Span};

use super::details::complete;
use super::limits::Place;
use super::observe::Observed;
use super::status;
use crate::access::Principal;
use crate::api::{CallId, Peer};
use crate::http::{Protocol, Seat};

/// The part of the program by which filters name these lines, whatever file they are written in.
const TARGET: &str = "tollgate::call";

/// A call that takes so long is logged, however it ends.
const SLOW: Duration = Duration::from_millis(100);

/// Writes the line. Dropped without [`CallLog::end`], it says that the call was cancelled.
pub(super) struct CallLog {
    span: Span,
    started: Instant,
    ended: bool,
    quiet: bool,
    /// Whether the line is written of a call that succeeds at once, too.
    all: bool,
    observed: Observed,
}

impl CallLog {
    /// Begins the call `method`, written as `package.Service/Method`. `all`: whether it is logged whatever becomes of it.
    pub(super) fn begin(
        method: &str,
        protocol: Protocol,
        id: &CallId,
        peer: Option<Peer>,
        observed: Observed,
        all: bool,
    ) -> Self {
        // A span of level ERROR is there whatever lines are filtered, so that those that are left have its fields.
        let span = tracing::error_span!(
            target: TARGET,
            "call",
            rpc.method = method,
            protocol = protocol.name(),
            call.id = id.as_str(),
            peer.addr = peer.map(tracing::field::display),
            actor = tracing::field::Empty
        );
        Self { span, started: Instant::now(), ended: false, quiet: false, all, observed }
    }

    /// Notes who calls.
    pub(super) fn caller(&self, caller: &Principal) {
        self.span.record("actor", caller.actor().as_ref());
    }

    /// Makes the line one of level DEBUG: there are too many like it.
    pub(super) fn hush(&mut self) {
        self.quiet = true;
    }

    /// The span in which the call is to be served.
    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    /// Ends the call. Only the first end counts.
    pub(super) fn end(&mut self, code: Code) {
        self.line(code, "completed");
    }

    fn line(&mut self, code: Code, outcome: &'static str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let took = self.started.elapsed();
        self.observed.end(code, took);
        let duration_ms = took.as_micros() as f64 / 1000.0;
        let node_id = self.observed.notes().node_id();
        let _entered = self.span.enter();
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: TARGET,
                    $level,
                    rpc.status = status::name(code),
                    node.id = node_id,
                    outcome,
                    duration_ms,
                    "call"
                )
            };
        }
        let succeeded_at_once = code == Code::Ok && took < SLOW;
        if self.quiet || (succeeded_at_once && !self.all) {
            line!(Level::DEBUG);
            return;
        }
        match code {
            Code::Internal | Code::Unknown | Code::DataLoss => line!(Level::ERROR),
            Code::ResourceExhausted | Code::Unavailable => line!(Level::WARN),
            Code::Ok
            | Code::Cancelled
            | Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => line!(Level::INFO),
        }
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line(Code::Internal, "panicked");
        } else {
            self.line(Code::Cancelled, "cancelled");
        }
    }
}

/// The status that header or trailer fields carry.
pub(super) fn code(fields: &HeaderMap) -> Option<Code> {
    fields.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// What ends a stream from outside.
pub(super) type ForcedEnd = Pin<Box<dyn Future<Output = Status> + Send>>;

/// The body of an answer, with all that has to end when it ends.
pub(super) struct CallBody {
    inner: Body,
    log: CallLog,
    /// The call's place among those in flight.
    place: Option<Place>,
    /// Where the place stays once the call has ended: what it answered may not be sent yet.
    seat: Option<Seat>,
    /// When it resolves, the answer ends with that status. For streams, which would hold up a shutdown, or outlive the
    /// rights of their caller.
    curtain: Option<ForcedEnd>,
}

impl CallBody {
    pub(super) fn new(
        inner: Body,
        log: CallLog,
        (place, seat): (Place, Option<Seat>),
        curtain: Option<ForcedEnd>,
    ) -> Self {
        Self { inner, log, place: Some(place), seat, curtain }
    }

    fn end(&mut self, code: Code) {
        self.log.end(code);
        if let (Some(place), Some(seat)) = (self.place.take(), self.seat.take()) {
            seat.keep(place);
        }
        self.curtain = None;
    }
}

impl http_body::Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(Poll::Ready(status)) = this.curtain.as_mut().map(|curtain| curtain.as_mut().poll(cx)) {
            this.inner = Body::empty();
            this.end(status.code());
            let mut trailers = HeaderMap::new();
            // It fails only if the message is no header value, and ours is.
            return Poll::Ready(match status.add_header(&mut trailers) {
                Ok(()) => Some(Ok(Frame::trailers(trailers))),
                Err(error) => Some(Err(error)),
            });
        }
        let mut frame = {
            let _entered = this.log.span.enter();
            std::task::ready!(Pin::new(&mut this.inner).poll_frame(cx))
        };
        match &mut frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    complete(trailers);
                    this.end(code(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(error)) => this.end(error.code()),
            None => this.end(Code::Unknown),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
