//! Streams of answers, to one message or to a stream of them. Each message is in an envelope; the last envelope says how
//! the stream ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;

use super::super::gzip::{self, Coding, GZIP};
use super::super::inner::{BodyLimit, Call, Messages, malformed};
use super::super::methods::Shape;
use super::envelope::{self, Envelopes, LAST, PACKED};
use super::{Codec, Exchange, error, respond, terms};
use crate::api;
use crate::domain::Error;

const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");
/// How long the message of a request may take to come. The call itself may last for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer that goes on.
struct Answers {
    exchange: Exchange,
    /// Until the last envelope was sent.
    messages: Option<Messages>,
    packs: bool,
    /// When the caller waits no longer.
    deadline: Option<Instant>,
}

/// Answers a request.
pub(super) async fn serve(exchange: Exchange, request: Request<Body>) -> Response<Body> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let terms = terms(&head.headers);
    let timeout = terms.as_ref().ok().copied().flatten();
    let coding = Coding::of(head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes));
    let (method, codec) = (Arc::clone(&exchange.method), exchange.codec);
    // A fault of the request is told to those alone who may make the call.
    let coding = terms.and(coding);
    let call = Call { method: &exchange.method.name, head: &head, timeout };
    let begun = if method.shape == Shape::BothStream {
        let messages = move |limit: BodyLimit| {
            Envelopes::new(body, coding, limit).map(move |bytes| Exchange::read(codec, &method, bytes?))
        };
        exchange.inner.streams(call, messages).await
    } else {
        let message = move |limit: BodyLimit| async move {
            let mut envelopes = pin!(Envelopes::new(body, coding, limit));
            let all = async {
                let first = envelopes.next().await.transpose()?;
                let first = first.ok_or_else(|| malformed("the request has no message; it is sent in an envelope"))?;
                match envelopes.next().await.transpose()? {
                    Some(_) => Err(malformed("the request has more than one message, and this method takes one")),
                    None => Ok(first),
                }
            };
            let bytes = tokio::time::timeout(PATIENCE, all).await.map_err(|_| api::status(Error::Late, ""))??;
            Exchange::read(codec, &method, bytes)
        };
        exchange.inner.stream(call, message).await
    };
    match begun {
        Err(refusal) => refuse(&exchange, &refusal.status, refusal.metadata),
        Ok(mut messages) => {
            let metadata = std::mem::take(&mut messages.metadata);
            let packs = gzip::is_accepted(head.headers.get_all(ACCEPT_ENCODING));
            let deadline = timeout.and_then(|timeout| began.checked_add(timeout));
            let codec = exchange.codec;
            let answers = Answers { exchange, messages: Some(messages), packs, deadline };
            let frames = futures_util::stream::unfold(answers, async |mut answers: Answers| {
                let envelope = answers.next().await?;
                Some((Ok::<_, Status>(Frame::data(envelope)), answers))
            });
            let mut response = begin(codec, Body::new(StreamBody::new(frames)), metadata);
            if packs {
                response.headers_mut().insert(CONTENT_ENCODING, GZIP);
            }
            response
        }
    }
}

/// The answer of a call that failed before its first message: a stream that is over.
fn refuse(exchange: &Exchange, status: &Status, metadata: HeaderMap) -> Response<Body> {
    let last = last(exchange, Some(status), &HeaderMap::new());
    let mut response = begin(exchange.codec, Body::new(http_body_util::Full::new(last)), metadata);
    if status.code() == tonic::Code::Unimplemented {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
    }
    response
}

fn begin(codec: Codec, body: Body, metadata: HeaderMap) -> Response<Body> {
    let content_type = match codec {
        Codec::Json => "application/connect+json",
        Codec::Proto => "application/connect+proto",
    };
    respond(StatusCode::OK, content_type, Bytes::new(), metadata).map(|_| body)
}

impl Answers {
    /// The next envelope; `None` after the last.
    async fn next(&mut self) -> Option<Bytes> {
        let messages = self.messages.as_mut()?;
        let next = match self.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, messages.next()).await,
            None => Ok(messages.next().await),
        };
        let written = match next {
            Ok(Some(Ok(message))) => self.exchange.write(message),
            Ok(Some(Err(status))) => Err(status),
            Err(_) => Err(api::status(Error::Late, "")),
            Ok(None) => {
                let trailers = messages.trailers();
                self.messages = None;
                return Some(last(&self.exchange, None, &trailers));
            }
        };
        Some(match written {
            Ok(bytes) => match self.packs.then(|| gzip::pack(&bytes)).flatten() {
                Some(packed) => envelope::seal(PACKED, &packed),
                None => envelope::seal(0, &bytes),
            },
            Err(status) => {
                let trailers = messages.trailers();
                // The call ends with it.
                self.messages = None;
                last(&self.exchange, Some(&status), &trailers)
            }
        })
    }
}

/// The last envelope.
fn last(exchange: &Exchange, status: Option<&Status>, trailers: &HeaderMap) -> Bytes {
    let mut end = Map::new();
    if let Some(status) = status {
        end.insert("error".to_owned(), error::json(status, &exchange.methods));
    }
    let metadata: Map<String, Value> = trailers
        .keys()
        .map(|name| {
            let values = trailers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            (name.to_string(), json!(values.collect::<Vec<_>>()))
        })
        .collect();
    if !metadata.is_empty() {
        end.insert("metadata".to_owned(), metadata.into());
    }
    envelope::seal(LAST, Value::from(end).to_string().as_bytes())
}
