//! The methods as JSON over HTTP, the status, and the metrics.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::uri::Authority;
use http::{HeaderValue, StatusCode};
use http_body_util::LengthLimitError;
use prost::{Message, Name};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Code, Status};

use super::gate::Gate;
use super::json::Messages;
use super::metrics::Scrape;
use super::status::StatusOf;
use crate::proto::node::v1;

/// The longest body that is read.
const LONGEST: usize = 1 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPENMETRICS: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The parts that answer.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) gate: Gate,
    pub(super) status: StatusOf,
    pub(super) json: Messages,
    /// Whether the host of a request must be this machine.
    pub(super) is_local: bool,
    pub(super) scrape: Scrape,
}

/// The paths of HTTP, for those who miss them.
const PATHS: &str = "POST /v1/admit, /v1/settle, /v1/abandon and /v1/touch; GET /v1/status, /healthz and /metrics";

/// The routes of HTTP, beside those of gRPC.
pub(super) fn routes(service: Service, grpc: Router) -> Router {
    let scrape = Arc::clone(&service.scrape);
    let is_local = service.is_local;
    let of_http = Router::new()
        .route(
            "/v1/admit",
            post(async |State(it): State<Service>, request: Request| {
                it.call(request, async |gate: &Gate, message| gate.admit(message).await).await
            })
            .fallback(only_post),
        )
        .route(
            "/v1/settle",
            post(async |State(it): State<Service>, request: Request| {
                it.call(request, async |gate: &Gate, message| gate.settle(message).await).await
            })
            .fallback(only_post),
        )
        .route(
            "/v1/abandon",
            post(async |State(it): State<Service>, request: Request| {
                it.call(request, async |gate: &Gate, message| gate.abandon(&message)).await
            })
            .fallback(only_post),
        )
        .route(
            "/v1/touch",
            post(async |State(it): State<Service>, request: Request| {
                it.call(request, async |gate: &Gate, message| gate.touch(&message).await).await
            })
            .fallback(only_post),
        )
        .route(
            "/v1/status",
            get(async |State(it): State<Service>, request: Request| match is_welcome(&request, it.is_local) {
                Ok(()) => it.answer(&it.status.get()),
                Err(status) => fault(&status),
            })
            .fallback(only_get),
        )
        .route(
            "/healthz",
            get(async |State(it): State<Service>, request: Request| match is_welcome(&request, it.is_local) {
                Ok(()) => health(&it.status.get()),
                Err(status) => fault(&status),
            })
            .fallback(only_get),
        )
        .with_state(service);
    let grpc = grpc.layer(from_fn(of_grpc));
    let metrics = metrics(scrape).layer(from_fn_with_state(is_local, of_this_machine));
    grpc.merge(of_http).merge(metrics).fallback(async |request: Request| {
        if is_grpc(&request) {
            return Status::unimplemented("this node has no such method").into_http();
        }
        fault(&Status::not_found(format!("nothing is at this path; a node serves {PATHS}")))
    })
}

async fn only_post(request: Request) -> Response {
    wrong_method(&request, "POST", "POST")
}

async fn only_get(request: Request) -> Response {
    wrong_method(&request, "GET", "GET,HEAD")
}

fn wrong_method(request: &Request, right: &str, allowed: &'static str) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let mut response = fault(&Status::unimplemented(format!("{path} does not take {method}; send {right}")));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// For probes: whether requests are admitted, and how the copy stands.
fn health(status: &v1::GetStatusResponse) -> Response {
    let http = if status.admits { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let state = status.state().as_str_name();
    let body = serde_json::json!({ "admits": status.admits, "state": state, "reason": status.reason });
    respond(http, JSON, format!("{body}\n").into_bytes())
}

/// The route of the metrics.
fn metrics(scrape: Scrape) -> Router {
    Router::new().route(
        "/metrics",
        get(async move || match scrape() {
            Ok(text) => respond(StatusCode::OK, OPENMETRICS, text.into_bytes()),
            Err(_) => fault(&Status::internal("the metrics cannot be written")),
        })
        .fallback(only_get),
    )
}

/// Serves the metrics alone, for ever.
pub(super) async fn serve_metrics(listener: TcpListener, scrape: Scrape) {
    let routes = Routes::from(metrics(scrape));
    let server = Server::builder().accept_http1(true).add_routes(routes);
    if let Err(error) = server.serve_with_incoming(TcpListenerStream::new(listener)).await {
        tracing::error!(%error, "metrics are not served any more");
    }
    std::future::pending().await
}

impl Service {
    /// Answers a message with a message.
    async fn call<I, O>(&self, request: Request, method: impl AsyncFn(&Gate, I) -> Result<O, Status>) -> Response
    where
        I: Message + Name + Default,
        O: Message + Name,
    {
        let called = async {
            is_welcome(&request, self.is_local)?;
            let is_json = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
            // A page in a browser sends this only to where it is allowed to.
            if is_json.is_none_or(|value| value.split(';').next().unwrap_or_default().trim() != "application/json") {
                return Err(Status::invalid_argument("the content type of a call is application/json"));
            }
            let body = read(request.into_body()).await?;
            let message = self.json.read::<I>(&body).map_err(Status::invalid_argument)?;
            method(&self.gate, message).await
        };
        match called.await {
            Ok(answer) => self.answer(&answer),
            Err(status) => fault(&status),
        }
    }

    fn answer<M: Message + Name>(&self, message: &M) -> Response {
        match self.json.write(message) {
            Ok(body) => respond(StatusCode::OK, JSON, body),
            Err(why) => fault(&Status::internal(why)),
        }
    }
}

/// Whether a request may come from where it does: a name that leads to this machine may be one of a page in a browser.
fn is_welcome(request: &Request, is_local: bool) -> Result<(), Status> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string)).unwrap_or_default();
    let name = host.parse::<Authority>().ok().map(|authority| authority.host().to_ascii_lowercase());
    let is_loopback = name.is_some_and(|name| match name.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    });
    if is_local && !is_loopback {
        return Err(Status::permission_denied("call this node as localhost, 127.0.0.1 or [::1]"));
    }
    Ok(())
}

/// Lets requests through that name this machine, where only it is served.
async fn of_this_machine(State(is_local): State<bool>, request: Request, next: Next) -> Response {
    match is_welcome(&request, is_local) {
        Ok(()) => next.run(request).await,
        Err(status) => fault(&status),
    }
}

/// Lets calls of gRPC through alone. A page in a browser can send other content types to anybody, but not this one.
async fn of_grpc(request: Request, next: Next) -> Response {
    if is_grpc(&request) {
        return next.run(request).await;
    }
    fault(&Status::invalid_argument("the content type of a call of gRPC is application/grpc; as JSON, call /v1/…"))
}

fn is_grpc(request: &Request) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type == "application/grpc" || content_type.starts_with("application/grpc+")
}

/// The bytes of a body. What is announced to be too long is not read at all.
async fn read(body: Body) -> Result<Bytes, Status> {
    let too_long = || Status::resource_exhausted(format!("the body has more than {LONGEST} bytes"));
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_long());
    }
    to_bytes(body, LONGEST).await.map_err(|error| {
        let is_too_long = error.into_inner().is::<LengthLimitError>();
        if is_too_long { too_long() } else { Status::invalid_argument("the body ends before its end") }
    })
}

fn respond(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// A status as JSON: the name of its code, and the text.
fn fault(status: &Status) -> Response {
    let (http, code) = match status.code() {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "invalid_argument"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "permission_denied"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "failed_precondition"),
        Code::ResourceExhausted => (StatusCode::PAYLOAD_TOO_LARGE, "resource_exhausted"),
        Code::Unimplemented => (StatusCode::METHOD_NOT_ALLOWED, "unimplemented"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    };
    let body = serde_json::json!({ "code": code, "message": status.message() });
    respond(http, JSON, format!("{body}\n").into_bytes())
}
