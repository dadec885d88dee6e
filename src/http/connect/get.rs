//! Methods that change nothing, by GET: the message is in the query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tonic::Status;
use tonic::body::Body;

use super::super::TurnedAway;
use super::super::gzip::Coding;
use super::super::inner::{BodyLimit, malformed};
use super::{Codec, Exchange};

/// The parameters of a query.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Query {
    message: Option<Vec<u8>>,
    encoding: Vec<u8>,
    compression: Option<Vec<u8>>,
    base64: bool,
    version: Option<Vec<u8>>,
}

/// That a query does not say how its message is written.
pub(super) fn unknown_encoding() -> TurnedAway {
    let text = "a call by GET says encoding=json or encoding=proto, and the message, in its query";
    TurnedAway::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}

/// Answers a request by GET.
pub(super) async fn serve(exchange: Exchange, query: Query, request: Request<Body>) -> Response<Body> {
    // A body is no part of the call.
    let (head, _) = request.into_parts();
    let mut response = exchange.call(&head, move |limit| async move { query.message(&limit) }).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Query {
    /// Reads one. Parameters that the protocol does not have are somebody else's.
    pub(super) fn read(query: &str) -> Self {
        let mut read = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || percent_decode_str(&value.replace('+', " ")).collect::<Vec<u8>>();
            match name {
                "message" => read.message = Some(value()),
                "encoding" => read.encoding = value(),
                "compression" => read.compression = Some(value()),
                "base64" => read.base64 = value() == b"1",
                "connect" => read.version = Some(value()),
                _ => {}
            }
        }
        read
    }

    /// How the message is written.
    pub(super) fn codec(&self) -> Option<Codec> {
        std::str::from_utf8(&self.encoding).ok().and_then(Codec::of)
    }

    /// The bytes of the message.
    fn message(self, limit: &BodyLimit) -> Result<Bytes, Status> {
        if self.version.is_some_and(|version| version != b"v1") {
            return Err(malformed("connect in the query is no version that this server knows; it knows v1"));
        }
        let coding = Coding::of(self.compression.as_deref())?;
        let Some(mut message) = self.message else {
            return Err(malformed("the query has no message; an empty one is message=%7B%7D with encoding=json"));
        };
        if self.base64 {
            let bare = message.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
            message.truncate(bare);
            message = URL_SAFE_NO_PAD
                .decode(&message)
                .map_err(|_| malformed("message in the query is no URL-safe base64"))?;
        }
        coding.unpack(message.into(), limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_as_pages_and_programs_write_them() {
        let read = |query: &str| Query::read(query).message(&BodyLimit::new()).ok().map(|it| it.to_vec());
        assert_eq!(read("encoding=json&message=%7B%22a%22%3A+1%7D").as_deref(), Some(&b"{\"a\": 1}"[..]));
        assert_eq!(read("message=_-8&base64=1"), Some(vec![255, 239]));
        assert_eq!(read("base64=1&message=_-8%3D&connect=v1&other"), Some(vec![255, 239]));
        assert_eq!(read("message="), Some(Vec::new()));
        for query in
            ["", "encoding=json", "message=%2F%2B&base64=1", "message=a&connect=v2", "message=a&compression=br"]
        {
            assert_eq!(read(query), None, "{query}");
        }
    }
}
