//! One message, one answer.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, VARY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request};
use tonic::Status;
use tonic::body::Body;

use super::super::gzip::{self, Coding, GZIP};
use super::super::inner::{Answer, BodyLimit, Call};
use super::{Codec, Exchange, respond, terms};

/// Answers a request by POST.
pub(super) async fn serve(exchange: Exchange, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let coding = Coding::of(head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes));
    let read = move |limit: BodyLimit| async move { coding?.unpack(limit.read(body).await?, &limit) };
    exchange.call(&head, read).await
}

impl Exchange {
    /// Calls the method with the bytes that `read` gives, and answers. `read` is asked only once it is known that the
    /// caller may make the call.
    pub(super) async fn call<F>(
        &self,
        head: &request::Parts,
        read: impl FnOnce(BodyLimit) -> F + Send + 'static,
    ) -> Response<Body>
    where
        F: Future<Output = Result<Bytes, Status>> + Send + 'static,
    {
        let terms = terms(&head.headers);
        let timeout = terms.as_ref().ok().copied().flatten();
        let (method, codec) = (Arc::clone(&self.method), self.codec);
        let call = Call { method: &self.method.name, head, timeout };
        let message = move |limit: BodyLimit| async move {
            // A fault of the request is told to those alone who may make the call.
            terms?;
            Self::read(codec, &method, read(limit).await?)
        };
        match self.inner.unary(call, message).await {
            Ok(answer) => self.answer(&head.headers, answer),
            Err(refusal) => self.refuse(&refusal.status, refusal.metadata),
        }
    }

    fn answer(&self, asked: &HeaderMap, answer: Answer) -> Response<Body> {
        let Answer { message, mut metadata, trailers } = answer;
        for (name, value) in &trailers {
            if metadata.get(name) != Some(value)
                && let Ok(name) = HeaderName::try_from(format!("trailer-{name}"))
            {
                metadata.append(name, value.clone());
            }
        }
        let bytes = match self.write(message) {
            Ok(bytes) => bytes,
            Err(status) => return self.refuse(&status, metadata),
        };
        let packed = if gzip::is_accepted(asked.get_all(ACCEPT_ENCODING)) { gzip::pack(&bytes) } else { None };
        let content_type = match self.codec {
            Codec::Json => "application/json",
            Codec::Proto => "application/proto",
        };
        let is_packed = packed.is_some();
        let bytes = packed.map_or(bytes, Bytes::from);
        let mut response = respond(StatusCode::OK, content_type, bytes, metadata);
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_packed {
            response.headers_mut().insert(CONTENT_ENCODING, GZIP);
        }
        response
    }
}
