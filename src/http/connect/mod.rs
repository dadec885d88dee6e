//! The Connect protocol: each method by `POST /tollgate.v1.TeamService/GetTeam`, as JSON or as protobuf, and those that
//! change nothing by GET too.

mod envelope;
mod error;
mod get;
mod stream;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Response, StatusCode, Version};
use tonic::Status;
use tonic::body::Body;

use super::inner::malformed;
use super::methods::{Method, Methods, Shape};
use super::{Inner, TurnedAway, json};

/// The content types of calls by POST.
const ACCEPT_POST: HeaderValue = HeaderValue::from_static(
    "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc",
);
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// How messages are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Codec {
    Json,
    Proto,
}

/// The form of a request, as its content type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// The body is the message.
    Plain(Codec),
    /// The body is a sequence of messages, each in an envelope.
    Enveloped(Codec),
}

/// All that is known of a call before its message.
struct Exchange {
    inner: Inner,
    methods: Arc<Methods>,
    method: Arc<Method>,
    codec: Codec,
}

/// Answers a request for `method`.
///
/// # Errors
///
/// It is no call by this protocol.
pub(super) async fn serve(
    inner: &Inner,
    methods: &Arc<Methods>,
    method: &Arc<Method>,
    request: Request<Body>,
) -> Result<Response<Body>, TurnedAway> {
    let exchange = |codec| {
        let (inner, methods, method) = (inner.clone(), Arc::clone(methods), Arc::clone(method));
        Exchange { inner, methods, method, codec }
    };
    let by_get = method.shape == Shape::Unary && method.is_safe;
    match *request.method() {
        Verb::POST => {}
        Verb::GET if by_get => {
            let query = get::Query::read(request.uri().query().unwrap_or_default());
            let codec = query.codec().ok_or_else(get::unknown_encoding)?;
            return Ok(get::serve(exchange(codec), query, request).await);
        }
        _ => {
            let allow = HeaderValue::from_static(if by_get { "GET, POST" } else { "POST" });
            let text = if by_get { "this method is called by POST or GET" } else { "this method is called by POST" };
            return Err(TurnedAway::new(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW, allow));
        }
    }
    match (Form::of(request.headers()), method.shape) {
        (Some(Form::Plain(codec)), Shape::Unary) => Ok(unary::serve(exchange(codec), request).await),
        (Some(Form::Enveloped(_)), Shape::Unary) => {
            Err(unsupported("this method is unary: its content type is application/json or application/proto"))
        }
        (Some(Form::Enveloped(_)), Shape::BothStream) if request.version() < Version::HTTP_2 => Err(TurnedAway::new(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "this method streams both ways, which needs HTTP/2",
        )),
        (Some(Form::Enveloped(codec)), _) => Ok(stream::serve(exchange(codec), request).await),
        (Some(Form::Plain(_)), _) => Err(unsupported(
            "this method streams: its content type is application/connect+json, and each message is in an envelope",
        )),
        (None, _) => {
            Err(unsupported("the content type of a call is application/json, application/proto or that of gRPC"))
        }
    }
}

fn unsupported(text: &'static str) -> TurnedAway {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    TurnedAway::new(status, text).with(HeaderName::from_static("accept-post"), ACCEPT_POST)
}

impl Codec {
    /// By the name that follows `application/`.
    fn of(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "proto" => Some(Self::Proto),
            _ => None,
        }
    }
}

impl Form {
    /// By the content type. JSON may say that it is UTF-8, which it is in any case.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let all = headers.get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        let mut parts = all.split(';').map(str::trim);
        let kind = parts.next()?.strip_prefix("application/")?;
        if !parts.all(|it| matches!(it.replace('"', "").as_str(), "" | "charset=utf-8" | "charset=utf8")) {
            return None;
        }
        match kind.strip_prefix("connect+") {
            Some(name) => Codec::of(name).map(Self::Enveloped),
            None => Codec::of(kind).map(Self::Plain),
        }
    }
}

impl Exchange {
    /// The encoded message that the bytes of a request stand for.
    fn read(codec: Codec, method: &Method, bytes: Bytes) -> Result<Bytes, Status> {
        match codec {
            Codec::Json => json::read(&method.input, &bytes),
            // The method itself reads it.
            Codec::Proto => Ok(bytes),
        }
    }

    /// The bytes of an answer.
    fn write(&self, message: Bytes) -> Result<Bytes, Status> {
        match self.codec {
            Codec::Json => json::write(&self.method.output, message).map(Bytes::from),
            Codec::Proto => Ok(message),
        }
    }

    /// The answer of a unary call that failed: a status of HTTP, and JSON whatever the request was written in.
    fn refuse(&self, status: &Status, metadata: HeaderMap) -> Response<Body> {
        let body = error::json(status, &self.methods).to_string();
        let mut response = respond(error::http(status.code()), "application/json", body.into(), metadata);
        if status.code() == tonic::Code::Unimplemented {
            response.headers_mut().insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        }
        response
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Bytes, metadata: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body)));
    *response.status_mut() = status;
    *response.headers_mut() = metadata;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // No browser is to take an answer for something else.
    headers.insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// How long the caller waits, and that it speaks a version of the protocol that is known.
fn terms(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    if headers.get(VERSION).is_some_and(|version| version != "1") {
        return Err(malformed("connect-protocol-version is none that this server knows; it knows 1"));
    }
    let Some(timeout) = headers.get(TIMEOUT) else { return Ok(None) };
    let digits = timeout.to_str().ok().filter(|it| it.len() <= 10 && it.bytes().all(|byte| byte.is_ascii_digit()));
    let millis = digits.and_then(|digits| digits.parse().ok());
    let why = "connect-timeout-ms is no number of milliseconds; it has at most 10 digits and nothing else";
    millis.map(|millis| Some(Duration::from_millis(millis))).ok_or_else(|| malformed(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn forms_are_told_by_content_types() {
        for (content_type, form) in [
            ("application/json", Some(Form::Plain(Codec::Json))),
            ("Application/JSON; charset=utf-8", Some(Form::Plain(Codec::Json))),
            ("application/json;charset=\"UTF-8\"", Some(Form::Plain(Codec::Json))),
            ("application/proto", Some(Form::Plain(Codec::Proto))),
            ("application/connect+json", Some(Form::Enveloped(Codec::Json))),
            ("application/connect+proto", Some(Form::Enveloped(Codec::Proto))),
            ("application/json; charset=latin1", None),
            ("application/connect", None),
            ("application/x-www-form-urlencoded", None),
            ("text/plain", None),
            ("text/json", None),
        ] {
            assert_eq!(Form::of(&headers(CONTENT_TYPE, content_type)), form, "{content_type}");
        }
    }

    #[test]
    fn timeouts_are_numbers_of_milliseconds() {
        let read = |value: &str| terms(&headers(TIMEOUT, value)).ok().flatten();
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(read("9999999999"), Some(Duration::from_millis(9_999_999_999)));
        for malformed in ["", "-1", "+1", "1.5", "1s", "10000000000", " 1"] {
            assert!(terms(&headers(TIMEOUT, malformed)).is_err() || malformed == " 1", "{malformed:?}");
        }
    }
}
