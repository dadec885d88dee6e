//! The outermost service: calls of gRPC go on to gRPC-Web (if on) and to the calls, other requests to the routes of HTTP.
//! What is neither is answered with a text for the person who sent it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::Either;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tonic::body::Body;
use tower::Service;

use super::calls::identify;
use super::guard::is_grpc_web;
use crate::api::{CallId, Peer};
use crate::http::Http;

/// What tonic-web understands as gRPC-Web; it takes anything else for something else.
const GRPC_WEB: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// An answer of the routes of HTTP.
type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// See the module.
#[derive(Clone)]
pub(super) struct Front<S> {
    pub(super) inner: S,
    pub(super) http: Http,
    pub(super) grpc_web: bool,
    pub(super) tls: bool,
}

impl<S> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Either<Ready<Result<Response<Body>, Infallible>>, Answered>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match turn_away(&request, self.grpc_web) {
            Some(_) if self.http.wants(&request) => {
                let http = self.http.clone();
                Either::Right(Either::Right(Box::pin(async move { Ok(http.serve(request.map(Body::new)).await) })))
            }
            Some((status, text)) => {
                let id = CallId::make();
                let peer = request.extensions().get::<Peer>().map(tracing::field::display);
                tracing::debug!(
                    call.id = id.as_str(),
                    peer.addr = peer,
                    http.status = status.as_u16(),
                    "turned away a request that is no gRPC call"
                );
                let mut response = explain(status, text, self.tls);
                identify(&mut response, &id);
                Either::Right(Either::Left(ready(Ok(response))))
            }
            None => Either::Left(self.inner.call(request.map(Body::new))),
        }
    }
}

/// How to answer a request that is no gRPC call; `None` for one that is.
fn turn_away<B>(request: &Request<B>, grpc_web: bool) -> Option<(StatusCode, &'static str)> {
    if request.method() != Method::POST {
        // 404 for GET and HEAD, so that browsers and crawlers take it for what it is: there are no pages here.
        let status = match *request.method() {
            Method::GET | Method::HEAD => StatusCode::NOT_FOUND,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        return Some((status, "it has no pages"));
    }
    match request.headers().get(CONTENT_TYPE) {
        Some(content_type) if is_grpc_web(content_type) => {
            // While gRPC-Web is off, the guard says so in terms that its clients understand.
            let known = GRPC_WEB.iter().any(|known| content_type == known);
            (grpc_web && !known)
                .then_some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "of gRPC-Web it speaks the protobuf form only"))
        }
        Some(content_type) if is_grpc(content_type) => (request.version() < Version::HTTP_2)
            .then_some((StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2, and this request came by HTTP/1")),
        _ => Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type of a call is application/grpc")),
    }
}

fn is_grpc(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn explain(status: StatusCode, text: &str, tls: bool) -> Response<Body> {
    let flag = if tls { "-cacert <file>" } else { "-plaintext" };
    let text = format!(
        "This is a gRPC server (Tollgate): {text}.\n\
         Look around with `grpcurl {flag} <host:port> list`, or call it with any gRPC client.\n"
    );
    let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}
