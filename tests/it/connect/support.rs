//! Requests of HTTP as they are written, by either version of it.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::access::support::ROOT;
use crate::watch::rig::soon;

pub(crate) const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status of HTTP, the code, and the reason, of an error.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let error = self.json();
        refusal(self.status, &error)
    }

    /// The envelopes of a stream: flags and bytes.
    pub(crate) fn envelopes(&self) -> Vec<(u8, Bytes)> {
        let mut rest = self.body.clone();
        let mut envelopes = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[1..5].try_into().unwrap()) as usize;
            envelopes.push((rest[0], rest.slice(5..5 + length)));
            rest = rest.slice(5 + length..);
        }
        envelopes
    }

    /// The last envelope of a stream, read.
    pub(crate) fn end(&self) -> Value {
        let envelopes = self.envelopes();
        let (flags, last) = envelopes.last().expect("no envelope");
        assert_eq!(*flags, 2, "the last envelope says that it is the last: {self:?}");
        serde_json::from_slice(last).unwrap()
    }
}

/// The status of HTTP, the code, and the reason of an error in JSON, whose details are readable both ways.
pub(crate) fn refusal(status: StatusCode, error: &Value) -> (u16, String, String) {
    let details = error["details"].as_array().unwrap_or_else(|| panic!("no details: {error}"));
    let info = details.iter().find(|it| it["type"] == "google.rpc.ErrorInfo").unwrap();
    let encoded = STANDARD_NO_PAD.decode(info["value"].as_str().unwrap()).unwrap();
    let decoded = tonic_types::pb::ErrorInfo::decode(encoded.as_slice()).unwrap();
    assert_eq!(info["debug"]["reason"], decoded.reason.as_str());
    assert_eq!(info["debug"]["domain"], "tollgate");
    assert!(!error["message"].as_str().unwrap_or_default().is_empty());
    let reason = decoded.reason.strip_prefix("ERROR_REASON_").unwrap().to_owned();
    (status.as_u16(), error["code"].as_str().unwrap().to_owned(), reason)
}

pub(crate) async fn send(address: SocketAddr, version: Version, request: Request<Bytes>) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut head, body) = request.into_parts();
    head.version = version;
    let answered = async {
        if version == Version::HTTP_2 {
            let path = head.uri.path_and_query().unwrap().clone();
            let host = head.headers.remove("host").map(|it| it.to_str().unwrap().to_owned());
            let host = host.unwrap_or_else(|| address.to_string());
            head.uri = format!("http://{host}{path}").parse().unwrap();
            let (mut send, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            let (head, body) =
                send.send_request(Request::from_parts(head, Full::new(body))).await.unwrap().into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        } else {
            head.headers.entry("host").or_insert_with(|| address.to_string().parse().unwrap());
            let (mut send, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            let (head, body) =
                send.send_request(Request::from_parts(head, Full::new(body))).await.unwrap().into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        }
    };
    let (head, body) = soon(answered).await;
    Answer { status: head.status, fields: head.headers, body }
}

/// A request as [`ROOT`], with more fields, which win.
pub(crate) fn request(
    verb: Method,
    path: &str,
    fields: &[(&'static str, &str)],
    body: impl Into<Bytes>,
) -> Request<Bytes> {
    let mut request = Request::new(body.into());
    *request.method_mut() = verb;
    *request.uri_mut() = path.parse().unwrap();
    let bearer = format!("Bearer {ROOT}");
    for (name, value) in [("authorization", bearer.as_str())].iter().chain(fields) {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// A unary call as JSON, by [`ROOT`].
pub(crate) fn json(method: &str, body: &str) -> Request<Bytes> {
    json_with(method, &[], body.as_bytes().to_vec())
}

/// The same with more fields.
pub(crate) fn json_with(method: &str, fields: &[(&'static str, &str)], body: Vec<u8>) -> Request<Bytes> {
    let fields: Vec<_> = [("content-type", "application/json")].iter().chain(fields).copied().collect();
    request(Method::POST, &format!("/tollgate.v1.{method}"), &fields, body)
}

/// A message in an envelope.
pub(crate) fn sealed(flags: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[flags][..], &length.to_be_bytes(), message].concat()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn gunzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut unpacked).unwrap();
    unpacked
}
