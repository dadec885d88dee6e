//! What happens to every call before and after the service that answers it: it gets an id and a line in the log, is
//! refused if the guard, the caller's rights or the limits say so, is ended at its deadline, and a panic in it is an
//! INTERNAL answer.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument as _;

use super::abuse::Abuse;
use super::details::complete;
use super::guard::{Guard, is_grpc_web};
use super::limits::{Allowance, Limits};
use super::log::{CallBody, CallLog, ForcedEnd, code};
use super::observe::Observers;
use super::status;
use crate::access::Principal;
use crate::api::{Auth, CallId, Caller, Peer};
use crate::http::{BodyLimit, Protocol, Seat};
use crate::seeded::{self, Bug};
use crate::watch::Currency;

/// The answer's field that has the call's id.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long streams may take to end by themselves, with a GoAway or the like, once shutdown has begun.
const STREAM_LINGER: Duration = Duration::from_secs(1);
/// The same once their caller's rights have lapsed: all of it within a second.
const LAPSE_LINGER: Duration = Duration::from_millis(250);

/// Bytes of a path that are logged: all that exist are shorter, and whoever reaches the port chooses the others.
const MAX_SHOWN: usize = 128;

/// Bytes of the header fields of a call, counted as HTTP/2 does: each with 32 more.
const MAX_METADATA: usize = 16 * 1024;

/// Bytes of a request of a caller who is not known.
const MAX_UNKNOWN_BODY: usize = 16 * 1024;

/// The services, and what every call to them goes through.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    rules: Arc<Rules>,
    drain: CancellationToken,
}

/// The checks and observers that all calls share. They stand behind one pointer, since each call copies it.
pub(super) struct Rules {
    pub(super) guard: Guard,
    pub(super) abuse: Abuse,
    pub(super) limits: Limits,
    pub(super) auth: Auth,
    pub(super) currency: Currency,
    pub(super) observers: Observers,
    /// Whether calls are logged that succeed at once, too.
    pub(super) log_calls: bool,
}

/// A call that was served.
struct Served {
    response: Response<Body>,
    allowance: Allowance,
    caller: Option<Principal>,
}

impl Calls {
    /// `drain` is cancelled when shutdown begins.
    pub(super) fn new(routes: Routes, rules: Rules, drain: CancellationToken) -> Self {
        Self { routes: routes.prepare(), rules: Arc::new(rules), drain }
    }

    async fn answer(mut self, mut request: Request<Body>) -> Response<Body> {
        let id = CallId::make();
        let method = request.uri().path().trim_start_matches('/');
        let peer = request.extensions().get::<Peer>().copied();
        let protocol = request.extensions().get::<Protocol>().copied().unwrap_or_default();
        let observed = self.rules.observers.begin(method, protocol, request.headers(), &id, peer);
        let notes = observed.notes().clone();
        let mut log = CallLog::begin(shown(method), protocol, &id, peer, observed, self.rules.log_calls);
        let seat = request.extensions().get::<Seat>().cloned();
        request.extensions_mut().insert(id.clone());
        request.extensions_mut().insert(notes);
        // gRPC-Web that is to be refused comes here untranslated; its clients read the status only in an answer of
        // their own type.
        let web = request.headers().get(CONTENT_TYPE).filter(|it| is_grpc_web(it)).cloned();

        let span = log.span().clone();
        let mut response = match self.serve(request, &id, &mut log).instrument(span).await {
            Ok(Served { response, allowance, caller }) => {
                let (mut head, body) = response.into_parts();
                complete(&mut head.headers);
                if let Some(code) = code(&head.headers) {
                    log.end(code);
                }
                let curtain = allowance.time.is_none().then(|| self.curtain(caller.as_ref()));
                Response::from_parts(head, Body::new(CallBody::new(body, log, (allowance.place, seat), curtain)))
            }
            Err(status) => {
                log.end(status.code());
                let mut response = status.into_http();
                if let Some(web) = web {
                    response.headers_mut().insert(CONTENT_TYPE, web);
                }
                response
            }
        };
        identify(&mut response, &id);
        response
    }

    async fn serve(&mut self, request: Request<Body>, id: &CallId, log: &mut CallLog) -> Result<Served, Status> {
        let (mut head, body) = request.into_parts();
        if size(&head.headers) > MAX_METADATA {
            return Err(status::too_large(format!("the metadata of the call have more than {MAX_METADATA} bytes")));
        }
        self.rules.guard.check(&head, self.rules.auth.has_never_had_tokens()).map_err(status::permission_denied)?;
        let peer = head.extensions.get::<Peer>().copied();
        let method = head.uri.path().trim_start_matches('/');
        let caller = match self.rules.auth.admit(method, &head.headers, head.extensions.get()) {
            Ok(Caller::Known(principal)) => Some(principal),
            Ok(Caller::Unknown) => {
                self.rules.abuse.call(peer).inspect_err(|_| log.hush())?;
                None
            }
            Err(refused) => {
                if refused.code() == Code::Unauthenticated {
                    self.rules.abuse.call(peer).inspect_err(|_| log.hush())?;
                    self.rules.abuse.failure(peer).await.inspect_err(|_| log.hush())?;
                }
                return Err(refused);
            }
        };
        if let Some(caller) = &caller {
            log.caller(caller);
            head.extensions.insert(caller.clone());
        }
        let is_current = self.rules.currency.is_current() || seeded::is(Bug::CallsAreAnswered);
        if !is_current && !is_of_the_server(method) {
            return Err(status::not_current());
        }
        let place = head.extensions.get::<Seat>().and_then(Seat::take);
        let allowance = self.rules.limits.admit(head.uri.path(), &head.headers, caller.as_ref(), peer, place);
        let allowance = allowance.inspect_err(|_| {
            if caller.is_none() {
                self.rules.abuse.refused(peer);
                log.hush();
            }
        })?;
        let body = if caller.is_some() {
            body
        } else {
            // A request that came as JSON is read later, and may be longer than the message that it becomes.
            if let Some(limit) = head.extensions.get::<BodyLimit>() {
                limit.lower(MAX_UNKNOWN_BODY);
            }
            bounded(body)
        };

        // A service keeps nothing across calls that a panic could leave half done: what is shared changes in the
        // ledger's own task.
        let answer = AssertUnwindSafe(self.routes.call(Request::from_parts(head, body))).catch_unwind();
        let answer = match allowance.time {
            Some(time) => tokio::time::timeout(time, answer).await.map_err(|_| status::late())?,
            None => answer.await,
        };
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => return Err(status::internal(id)),
        };
        if caller.is_none() && code(response.headers()) == Some(Code::Unauthenticated) {
            // The method itself looked at the credentials, and did not know them.
            self.rules.abuse.failure(peer).await.inspect_err(|_| log.hush())?;
        }
        Ok(Served { response, allowance, caller })
    }

    fn curtain(&self, caller: Option<&Principal>) -> ForcedEnd {
        // Of its own: what all streams look at each time would go from one core to the other each time.
        let drain = self.drain.child_token();
        let lapse = caller.map(|caller| caller.lapse().child_token());
        Box::pin(async move {
            let lapsed = async {
                match lapse {
                    Some(lapse) => lapse.cancelled_owned().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = drain.cancelled_owned() => {
                    tokio::time::sleep(STREAM_LINGER).await;
                    status::shutting_down()
                }
                () = lapsed => {
                    tokio::time::sleep(LAPSE_LINGER).await;
                    status::lapsed()
                }
            }
        })
    }
}

/// Gives an answer the id by which the log names its call.
pub(super) fn identify(response: &mut Response<Body>, id: &CallId) {
    if let Ok(id) = HeaderValue::try_from(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
}

/// Whether a method says something of the server, and nothing of what it holds: health, reflection.
fn is_of_the_server(method: &str) -> bool {
    method.starts_with("grpc.")
}

/// A method, as it is logged.
fn shown(method: &str) -> &str {
    method.get(..method.floor_char_boundary(MAX_SHOWN)).unwrap_or(method)
}

/// The size of header fields, as HTTP/2 counts it.
fn size(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
}

/// The body of a call of somebody who is not known, whose requests have next to nothing to say.
fn bounded(body: Body) -> Body {
    let limited = Limited::new(body, MAX_UNKNOWN_BODY);
    Body::new(limited.map_err(|error| match error.downcast::<Status>() {
        // It could not be read, and says why.
        Ok(status) => *status,
        Err(_) => status::too_large("the request is too large for a caller without a token"),
    }))
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}
