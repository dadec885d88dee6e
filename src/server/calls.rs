//! What happens to every call before and after the service that answers it: it gets an id and a line in the log, is
//! refused if the guard or the limits say so, is ended at its deadline, and a panic in it is an INTERNAL answer.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument as _;

use super::guard::{Guard, is_grpc_web};
use super::limits::{Allowance, Limits};
use super::log::{CallBody, CallLog, code};
use super::status;
use crate::api::{CallId, Peer};

/// The answer's field that has the call's id.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long streams may take to end by themselves, with a GoAway or the like, once shutdown has begun.
const STREAM_LINGER: Duration = Duration::from_secs(1);

/// The services, and what every call to them goes through.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    guard: Guard,
    limits: Arc<Limits>,
    drain: CancellationToken,
}

impl Calls {
    /// `drain` is cancelled when shutdown begins.
    pub(super) fn new(routes: Routes, guard: Guard, limits: Limits, drain: CancellationToken) -> Self {
        Self { routes: routes.prepare(), guard, limits: Arc::new(limits), drain }
    }

    async fn answer(mut self, mut request: Request<Body>) -> Response<Body> {
        let id = CallId::make();
        let method = request.uri().path().trim_start_matches('/');
        let mut log = CallLog::begin(method, &id, request.extensions().get::<Peer>().copied());
        request.extensions_mut().insert(id.clone());
        // gRPC-Web that is to be refused comes here untranslated; its clients read the status only in an answer of
        // their own type.
        let web = request.headers().get(CONTENT_TYPE).filter(|it| is_grpc_web(it)).cloned();

        let span = log.span().clone();
        let mut response = match self.serve(request, &id).instrument(span).await {
            Ok((response, allowance)) => {
                let (head, body) = response.into_parts();
                if let Some(code) = code(&head.headers) {
                    log.end(code);
                }
                let curtain = allowance.time.is_none().then(|| self.curtain());
                Response::from_parts(head, Body::new(CallBody::new(body, log, allowance.place, curtain)))
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
        if let Ok(id) = HeaderValue::try_from(id.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    async fn serve(&mut self, request: Request<Body>, id: &CallId) -> Result<(Response<Body>, Allowance), Status> {
        let (head, body) = request.into_parts();
        self.guard.check(&head).map_err(status::permission_denied)?;
        let allowance = self.limits.admit(head.uri.path(), &head.headers)?;

        // A service keeps nothing across calls that a panic could leave half done: what is shared changes in the
        // ledger's own task.
        let answer = AssertUnwindSafe(self.routes.call(Request::from_parts(head, body))).catch_unwind();
        let answer = match allowance.time {
            Some(time) => tokio::time::timeout(time, answer)
                .await
                .map_err(|_| Status::new(Code::DeadlineExceeded, "the call took longer than its deadline"))?,
            None => answer.await,
        };
        match answer {
            Ok(Ok(response)) => Ok((response, allowance)),
            Ok(Err(never)) => match never {},
            Err(_) => Err(status::internal(id)),
        }
    }

    fn curtain(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let drain = self.drain.clone();
        Box::pin(async move {
            drain.cancelled_owned().await;
            tokio::time::sleep(STREAM_LINGER).await;
        })
    }
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
