//! Streams, whose messages are in envelopes.

use http::{Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tollgate::proto::v1;

use super::support::{Answer, BOTH, gunzip, gzip, refusal, request, sealed, send};
use crate::access::support::closed;
use crate::watch::rig::soon;

const WATCH: &str = "/tollgate.v1.ConfigService/WatchConfig";
const HEALTH: &str = "/grpc.health.v1.Health/Watch";

fn stream(path: &str, codec: &str, fields: &[(&'static str, &str)], body: Vec<u8>) -> Request<bytes::Bytes> {
    let content_type = format!("application/connect+{codec}");
    let fields: Vec<_> = [("content-type", content_type.as_str())].iter().chain(fields).copied().collect();
    request(Method::POST, path, &fields, body)
}

/// The error of a stream that failed, as that of a unary call.
fn failed(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "how a stream went is said by its end: {answer:?}");
    let (_, code, reason) = refusal(answer.status, &answer.end()["error"]);
    (code, reason)
}

#[tokio::test]
async fn a_stream_is_watched_until_the_caller_has_enough() {
    let (mut rig, channel) = closed().await;
    for version in BOTH {
        // The deadline of the caller ends it.
        let fields = [("connect-timeout-ms", "700")];
        let watched = send(rig.address(), version, stream(WATCH, "json", &fields, sealed(0, b"{}"))).await;
        assert_eq!(watched.field("content-type"), "application/connect+json");
        assert!(!watched.field("x-request-id").is_empty());
        assert_eq!(failed(&watched), ("deadline_exceeded".to_owned(), "DEADLINE_EXCEEDED".to_owned()));
        let envelopes = watched.envelopes();
        let first: Value = serde_json::from_slice(&envelopes[0].1).unwrap();
        assert!(envelopes[0].0 == 0 && first["begin"].is_object(), "{first}");

        let body = sealed(0, &v1::WatchConfigRequest::default().encode_to_vec());
        let watched = send(rig.address(), version, stream(WATCH, "proto", &fields, body)).await;
        assert_eq!(failed(&watched).0, "deadline_exceeded");
        let first = v1::WatchConfigResponse::decode(watched.envelopes()[0].1.clone()).unwrap();
        assert!(matches!(first.event, Some(v1::watch_config_response::Event::Begin(_))), "{first:?}");
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn envelopes_are_packed_for_those_who_take_it() {
    let (mut rig, channel) = closed().await;
    let fields =
        [("connect-timeout-ms", "700"), ("connect-content-encoding", "gzip"), ("connect-accept-encoding", "gzip")];
    for version in BOTH {
        let body = sealed(1, &gzip(b"{}"));
        let watched = send(rig.address(), version, stream(WATCH, "json", &fields, body)).await;
        assert_eq!(watched.field("connect-content-encoding"), "gzip");
        assert_eq!(failed(&watched).0, "deadline_exceeded");
        // The prices that a new store begins with.
        let packed: Vec<_> = watched.envelopes().into_iter().filter(|(flags, _)| *flags == 1).collect();
        assert!(!packed.is_empty());
        for (_, message) in packed {
            let _: Value = serde_json::from_slice(&gunzip(&message)).unwrap();
        }
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_refused_says_so_in_its_end() {
    let (mut rig, channel) = closed().await;
    let gzips = ("connect-content-encoding", "gzip");
    let nobody = ("authorization", "");
    for version in BOTH {
        for (what, fields, body, code, reason) in [
            ("no message", vec![], vec![], "invalid_argument", "MALFORMED_MESSAGE"),
            ("a cut head", vec![], vec![0, 0, 0], "invalid_argument", "MALFORMED_MESSAGE"),
            ("a cut message", vec![], b"\0\0\0\0\x03{}".to_vec(), "invalid_argument", "MALFORMED_MESSAGE"),
            ("two messages", vec![], sealed(0, b"{}").repeat(2), "invalid_argument", "MALFORMED_MESSAGE"),
            ("an end", vec![], sealed(2, b"{}"), "invalid_argument", "MALFORMED_MESSAGE"),
            ("unknown flags", vec![], sealed(64, b"{}"), "invalid_argument", "MALFORMED_MESSAGE"),
            ("unannounced gzip", vec![], sealed(1, &gzip(b"{}")), "invalid_argument", "MALFORMED_MESSAGE"),
            ("no gzip", vec![gzips], sealed(1, b"{}"), "invalid_argument", "MALFORMED_MESSAGE"),
            ("a bomb", vec![gzips], sealed(1, &gzip(&vec![b' '; 9 << 20])), "resource_exhausted", "TOO_LARGE"),
            ("length", vec![], b"\0\xff\0\0\0{}".to_vec(), "resource_exhausted", "TOO_LARGE"),
            ("no JSON", vec![], sealed(0, b"["), "invalid_argument", "MALFORMED_MESSAGE"),
            ("an unknown field", vec![], sealed(0, b"{\"kind\":1}"), "invalid_argument", "INVALID_FIELD"),
            ("zstd", vec![("connect-content-encoding", "zstd")], sealed(1, b"{}"), "unimplemented", "UNIMPLEMENTED"),
            ("no credentials", vec![nobody], sealed(0, b"["), "unauthenticated", "UNAUTHENTICATED"),
        ] {
            let refused = send(rig.address(), version, stream(WATCH, "json", &fields, body)).await;
            assert_eq!(failed(&refused), (code.to_owned(), reason.to_owned()), "{what}: {refused:?}");
            assert!(!refused.field("x-request-id").is_empty(), "{what}");
        }
        // Of a service that is not ours too.
        let refused = send(rig.address(), version, stream(HEALTH, "json", &[], sealed(0, b"{"))).await;
        assert_eq!(failed(&refused).0, "invalid_argument");
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn streams_both_ways_need_http_2() {
    let (mut rig, channel) = closed().await;
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let ask = |service: &str| sealed(0, format!("{{\"fileContainingSymbol\":\"{service}\"}}").as_bytes());
    let body = [sealed(0, b"{\"listServices\":\"\"}"), ask("tollgate.v1.TeamService")].concat();
    let told = send(rig.address(), Version::HTTP_2, stream(path, "json", &[], body.clone())).await;
    let answers: Vec<Value> = told.envelopes().iter().map(|(_, it)| serde_json::from_slice(it).unwrap()).collect();
    assert!(answers[0]["listServicesResponse"]["service"].as_array().unwrap().len() > 10, "{}", answers[0]);
    assert!(answers[1]["fileDescriptorResponse"].is_object(), "{}", answers[1]);
    assert_eq!(told.end()["error"], Value::Null);

    let refused = send(rig.address(), Version::HTTP_11, stream(path, "json", &[], body)).await;
    assert_eq!(refused.status, 505);
    for body in [sealed(0, b"["), b"\0\0\0\0\x09{".to_vec()] {
        let report = stream("/tollgate.v1.UsageService/ReportUsage", "json", &[], body);
        let refused = send(rig.address(), Version::HTTP_2, report).await;
        assert_eq!(failed(&refused), ("invalid_argument".to_owned(), "MALFORMED_MESSAGE".to_owned()));
    }
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_tells_those_who_watch() {
    let (mut rig, channel) = closed().await;
    drop(channel);
    let socket = TokioIo::new(TcpStream::connect(rig.address()).await.unwrap());
    let (mut send, connection) = hyper::client::conn::http1::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = stream(WATCH, "json", &[], sealed(0, b"{}")).map(Full::new);
    request.headers_mut().insert("host", rig.address().to_string().parse().unwrap());
    let (head, mut body) = soon(send.send_request(request)).await.unwrap().into_parts();
    let mut read = soon(body.frame()).await.unwrap().unwrap().into_data().unwrap().to_vec();
    let stopped = rig.ask_to_stop();
    while let Some(frame) = soon(body.frame()).await {
        read.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    let told = Answer { status: head.status, fields: head.headers, body: read.into() };
    // A stream of changes says goodbye by itself; then the call is over, and nothing is wrong.
    let envelopes = told.envelopes();
    let goodbye: Value = serde_json::from_slice(&envelopes[envelopes.len() - 2].1).unwrap();
    assert!(goodbye["goAway"].is_object(), "{goodbye}");
    assert_eq!(told.end()["error"], Value::Null);
    drop((send, body));
    drop(soon(connection).await);
    soon(stopped).await.unwrap().unwrap();
}
