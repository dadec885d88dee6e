//! The outermost service: calls of gRPC go on to gRPC-Web (if on) and to the calls, other requests to the routes of HTTP.
//! Browsers are told here what pages of other origins may do. A request for nothing that is served is answered with a text for
//! the person who sent it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{CONTENT_TYPE, ORIGIN};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::calls::identify;
use super::guard::is_grpc_web;
use super::metrics::RequestMetrics;
use crate::api::{CallId, Peer};
use crate::http::{Http, Origins, Protocol, TurnedAway};

/// What tonic-web understands as gRPC-Web; it takes anything else for something else.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// See the module.
#[derive(Clone)]
pub(super) struct Front<S> {
    pub(super) inner: S,
    /// Behind one pointer, since each request copies it.
    pub(super) others: Arc<Others>,
}

/// The parts that answer requests that are no calls of gRPC.
pub(super) struct Others {
    pub(super) http: Http,
    pub(super) origins: Origins,
    pub(super) requests: RequestMetrics,
    pub(super) grpc_web: bool,
    pub(super) tls: bool,
}

type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Answered>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let request = request.map(Body::new);
        match Kind::of(&request) {
            Kind::Grpc => Either::Left(self.inner.call(request)),
            kind => {
                let this = self.clone();
                Either::Right(Box::pin(async move { Ok(this.answer(kind, request).await) }))
            }
        }
    }
}

/// The kind of a request, by the first look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Grpc,
    GrpcWeb,
    /// gRPC by HTTP/1, which has no trailers.
    GrpcTooOld,
    Other,
}

impl Kind {
    fn of<B>(request: &Request<B>) -> Self {
        if request.method() != Method::POST {
            return Self::Other;
        }
        match request.headers().get(CONTENT_TYPE) {
            Some(content_type) if is_grpc(content_type) && request.version() >= Version::HTTP_2 => Self::Grpc,
            Some(content_type) if is_grpc(content_type) => Self::GrpcTooOld,
            Some(content_type) if is_grpc_web(content_type) => Self::GrpcWeb,
            _ => Self::Other,
        }
    }
}

impl<S> Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    /// Answers what is no call of gRPC.
    async fn answer(self, kind: Kind, mut request: Request<Body>) -> Response<Body> {
        let Self { inner, others } = self;
        let Others { http, origins, requests, grpc_web, tls } = others.as_ref();
        if let Some(response) = origins.preflight(&request) {
            return response;
        }
        let origin = request.headers().get(ORIGIN).cloned();
        let peer = request.extensions().get::<Peer>().copied();
        let answered = match kind {
            Kind::GrpcTooOld => Err(TurnedAway::new(
                StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                "gRPC needs HTTP/2, and this request came by HTTP/1",
            )),
            // While gRPC-Web is off, the guard says so in terms that its clients understand.
            Kind::GrpcWeb if *grpc_web && !is_known_web(&request) => {
                Err(TurnedAway::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "of gRPC-Web it speaks the protobuf form only"))
            }
            Kind::Grpc | Kind::GrpcWeb => {
                requests.count(Protocol::GrpcWeb.name());
                request.extensions_mut().insert(Protocol::GrpcWeb);
                match inner.oneshot(request).await {
                    Ok(response) => Ok(response),
                    Err(never) => match never {},
                }
            }
            Kind::Other => http.serve(request).await.map(|(protocol, response)| {
                requests.count(protocol.name());
                response
            }),
        };
        let mut response = answered.unwrap_or_else(|turned_away| {
            requests.count("none");
            let id = CallId::make();
            tracing::debug!(
                call.id = id.as_str(),
                peer.addr = peer.map(tracing::field::display),
                http.status = turned_away.status.as_u16(),
                "turned away a request that is no call"
            );
            let mut response = explain(turned_away, *tls);
            identify(&mut response, &id);
            response
        });
        origins.expose(origin.as_ref(), response.headers_mut());
        response
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn is_known_web<B>(request: &Request<B>) -> bool {
    request.headers().get(CONTENT_TYPE).is_some_and(|it| GRPC_WEB.iter().any(|known| it == known))
}

fn explain(turned_away: TurnedAway, tls: bool) -> Response<Body> {
    let TurnedAway { status, text, field } = turned_away;
    let (flag, scheme) = if tls { ("-cacert <file>", "https") } else { ("-plaintext", "http") };
    let text = format!(
        "This is a gRPC server (Tollgate) that speaks JSON too: {text}.\n\
         Look around with `grpcurl {flag} <host:port> list`, call it with any client of gRPC or Connect, or as\n\
         curl -H 'authorization: Bearer tg_…' --json '{{}}' {scheme}://<host:port>/tollgate.v1.TeamService/ListTeams\n"
    );
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.extend(field);
    response
}
