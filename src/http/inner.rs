//! How a request that did not come as gRPC is answered by the very handler of its gRPC method: it becomes a call of gRPC
//! inside of this process, and goes through all that calls go through. Ids, the log, the guard, authentication, limits,
//! deadlines, the order of shutdown and metrics are there once, and cannot differ by protocol.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::stream::{Stream, TryStreamExt as _, once};
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TE, TRANSFER_ENCODING,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version, request};
use http_body::Frame;
use http_body_util::{BodyExt as _, LengthLimitError, Limited, StreamBody};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};

use crate::api;
use crate::domain::Error;

/// The longest request, before and after it is unpacked.
const MAX_REQUEST: usize = 4 * 1024 * 1024;
/// Flag and length, which stand before each message.
const PREFIX: usize = 5;
/// The longest wait that can be written in milliseconds in the eight digits that gRPC gives them.
const LONGEST_WAIT: Duration = Duration::from_millis(99_999_999);

/// The calls of this server. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Inner(BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>);

/// A call that is to be made for a request.
pub(crate) struct Call<'a> {
    /// The method, as `tollgate.v1.TeamService/GetTeam`.
    pub(crate) method: &'a str,
    /// The head of the request. Credentials, host, origin and trace are read from its fields; address and certificate of
    /// the caller from its extensions.
    pub(crate) head: &'a request::Parts,
    /// How long the caller waits. The server's own limit holds in any case.
    pub(crate) timeout: Option<Duration>,
}

/// The answer of a unary method.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The encoded message.
    pub(crate) message: Bytes,
    /// The metadata that came before it: the call's id, and nothing that only gRPC understands.
    pub(crate) metadata: HeaderMap,
    /// The metadata that came after it.
    pub(crate) trailers: HeaderMap,
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The status, with its details.
    pub(crate) status: Status,
    /// The call's id, as in [`Answer::metadata`].
    pub(crate) metadata: HeaderMap,
}

/// The answers of a method that streams. The call ends when this is dropped.
pub(crate) struct Messages {
    /// As in [`Answer::metadata`].
    pub(crate) metadata: HeaderMap,
    body: Body,
    buffer: BytesMut,
    /// How the stream ended, once it has.
    end: Option<HeaderMap>,
}

/// How many bytes of the body of a request may be read. Less than usual once it is known that nobody knows its caller.
#[derive(Clone, Debug)]
pub(crate) struct BodyLimit(Arc<AtomicUsize>);

impl BodyLimit {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MAX_REQUEST)))
    }

    /// Lets no more than `bytes` be read. For requests that are not being read yet.
    pub(crate) fn lower(&self, bytes: usize) {
        self.0.fetch_min(bytes, Ordering::Relaxed);
    }

    /// The bytes of a request, or of what it unpacks to.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The status of a request that is longer.
    pub(crate) fn exceeded(&self) -> Status {
        let max = self.bytes();
        let why = if max < MAX_REQUEST { ", which is the limit for a caller without an access token" } else { "" };
        api::status(Error::TooLarge(format!("the request has more than {max} bytes{why}")), "")
    }

    /// Reads a whole body.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if it is too long, INVALID_ARGUMENT if it ends early.
    pub(crate) async fn read(&self, body: Body) -> Result<Bytes, Status> {
        let whole = Limited::new(body, self.bytes()).collect().await;
        whole.map(http_body_util::Collected::to_bytes).map_err(|error| {
            if error.is::<LengthLimitError>() { self.exceeded() } else { malformed("the request ends before its end") }
        })
    }
}

/// The status of a request that cannot be read.
pub(crate) fn malformed(why: impl Into<String>) -> Status {
    api::status(Error::Malformed(why.into()), "")
}

impl Inner {
    /// Calls go to `calls`.
    pub(crate) fn new<S>(calls: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        Self(BoxCloneSyncService::new(calls))
    }

    /// Calls a unary method. `message` makes the encoded request, and is asked only once it is known that the caller may
    /// make the call; reading takes from the time that a call may take.
    ///
    /// # Errors
    ///
    /// The refusal of the method or of the server, or the failure of `message`.
    pub(crate) async fn unary<F>(
        &self,
        call: Call<'_>,
        message: impl FnOnce(BodyLimit) -> F,
    ) -> Result<Answer, Box<Refusal>>
    where
        F: Future<Output = Result<Bytes, Status>> + Send + 'static,
    {
        let (metadata, headers, body) = self.begin(call, |limit| once(message(limit))).await?;
        let collected = match body.collect().await {
            Ok(collected) => collected,
            Err(status) => return Err(Box::new(Refusal { status, metadata })),
        };
        let trailers = collected.trailers().cloned().unwrap_or(headers);
        if let Some(status) = failed(&trailers) {
            return Err(Box::new(Refusal { status, metadata }));
        }
        let mut bytes = collected.to_bytes();
        match take(&mut bytes) {
            Some(message) => Ok(Answer { message, metadata, trailers: plain(&trailers) }),
            None => {
                Err(Box::new(Refusal { status: Status::internal("the method answered with no message"), metadata }))
            }
        }
    }

    /// Calls a method that answers with a stream of messages. As [`Inner::unary`] otherwise.
    ///
    /// # Errors
    ///
    /// A refusal before the first message. A later one is told by [`Messages::next`].
    pub(crate) async fn stream<F>(
        &self,
        call: Call<'_>,
        message: impl FnOnce(BodyLimit) -> F,
    ) -> Result<Messages, Box<Refusal>>
    where
        F: Future<Output = Result<Bytes, Status>> + Send + 'static,
    {
        self.streams(call, |limit| once(message(limit))).await
    }

    /// Calls a method that takes a stream of messages too. As [`Inner::stream`] otherwise.
    ///
    /// # Errors
    ///
    /// As [`Inner::stream`].
    pub(crate) async fn streams<S>(
        &self,
        call: Call<'_>,
        messages: impl FnOnce(BodyLimit) -> S,
    ) -> Result<Messages, Box<Refusal>>
    where
        S: Stream<Item = Result<Bytes, Status>> + Send + 'static,
    {
        let (metadata, headers, body) = self.begin(call, messages).await?;
        match failed_early(&headers) {
            Some(status) => Err(Box::new(Refusal { status, metadata })),
            None => {
                // A stream of nothing may say at once that it went well.
                let end = headers.contains_key("grpc-status").then(HeaderMap::new);
                Ok(Messages { metadata, body, buffer: BytesMut::new(), end })
            }
        }
    }

    /// The answer of a call: its metadata, all fields of its head, and its body.
    async fn begin<S>(
        &self,
        call: Call<'_>,
        messages: impl FnOnce(BodyLimit) -> S,
    ) -> Result<(HeaderMap, HeaderMap, Body), Box<Refusal>>
    where
        S: Stream<Item = Result<Bytes, Status>> + Send + 'static,
    {
        let limit = BodyLimit::new();
        let messages = messages(limit.clone());
        let Some(request) = request(call, limit, messages) else {
            let status = malformed("the path of the request is no method");
            return Err(Box::new(Refusal { status, metadata: HeaderMap::new() }));
        };
        let answer = match self.0.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (head, body) = answer.into_parts();
        Ok((plain(&head.headers), head.headers, body))
    }
}

impl Messages {
    /// The next message, encoded; `None` after the last.
    ///
    /// # Errors
    ///
    /// The status with which the stream fails; nothing comes after it.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            if let Some(message) = take(&mut self.buffer) {
                return Some(Ok(message));
            }
            if self.end.is_some() {
                return None;
            }
            let failure = match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.buffer.extend_from_slice(&data);
                        continue;
                    }
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        let failure = failed(&trailers);
                        self.end = Some(plain(&trailers));
                        failure
                    }
                },
                Some(Err(status)) => Some(status),
                None => Some(Status::unknown("the stream ended without a status")),
            };
            self.end.get_or_insert_default();
            if let Some(failure) = failure {
                self.buffer.clear();
                return Some(Err(failure));
            }
        }
    }

    /// The metadata that came after the last message.
    pub(crate) fn trailers(&self) -> HeaderMap {
        self.end.clone().unwrap_or_default()
    }
}

/// The request of a call, as gRPC has it.
fn request<S>(call: Call<'_>, limit: BodyLimit, messages: S) -> Option<Request<Body>>
where
    S: Stream<Item = Result<Bytes, Status>> + Send + 'static,
{
    let Call { method, head, timeout } = call;
    let mut uri = head.uri.clone().into_parts();
    uri.path_and_query = Some(PathAndQuery::try_from(format!("/{method}")).ok()?);
    if uri.authority.is_none() {
        uri.scheme = None;
    }
    let frames = messages.map_ok(|message| Frame::data(framed(&message)));
    let mut request = Request::new(Body::new(StreamBody::new(Box::pin(frames))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.version_mut() = Version::HTTP_2;
    *request.extensions_mut() = head.extensions.clone();
    request.extensions_mut().insert(limit);
    *request.headers_mut() = head.headers.clone();
    let headers = request.headers_mut();
    for name in [ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    for name in ["grpc-accept-encoding", "grpc-encoding", "grpc-timeout"] {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(timeout) = timeout {
        let millis = timeout.min(LONGEST_WAIT).as_millis();
        headers.insert("grpc-timeout", HeaderValue::try_from(format!("{millis}m")).ok()?);
    }
    Some(request)
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    // A message longer than this is not read at all.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// Takes the first message from what was read, if it is there whole.
fn take(bytes: &mut (impl bytes::Buf + AsRef<[u8]>)) -> Option<Bytes> {
    let head = bytes.as_ref().get(1..PREFIX)?;
    let length = usize::try_from(u32::from_be_bytes(head.try_into().ok()?)).ok()?;
    if bytes.remaining() - PREFIX < length {
        return None;
    }
    bytes.advance(PREFIX);
    Some(bytes.copy_to_bytes(length))
}

/// The status of fields that end a call, unless it is OK.
fn failed(fields: &HeaderMap) -> Option<Status> {
    let status = Status::from_header_map(fields);
    let status = status.unwrap_or_else(|| Status::unknown("the call ended without a status"));
    (status.code() != Code::Ok).then_some(status)
}

/// The status of fields with which an answer begins, if it is the end of it.
fn failed_early(fields: &HeaderMap) -> Option<Status> {
    Status::from_header_map(fields).filter(|status| status.code() != Code::Ok)
}

/// Without the fields that gRPC has for itself.
fn plain(fields: &HeaderMap) -> HeaderMap {
    let of_grpc = |name: &http::HeaderName| {
        name.as_str().starts_with("grpc-") || [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING].contains(name)
    };
    fields.iter().filter(|(name, _)| !of_grpc(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}
