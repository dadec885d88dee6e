//! Calls that are wrong below their messages: each gets a status that says so, with a reason, and its connection goes on.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::net::TcpStream;
use tollgate::proto::v1;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::fuzz::targets::service::Raw;
use crate::watch::rig::{Rig, endpoint, soon};

const UNARY: &str = "tollgate.v1.TeamService/CreateTeam";
const SERVER_STREAM: &str = "tollgate.v1.ConfigService/WatchConfig";
const BOTH_STREAM: &str = "tollgate.v1.UsageService/ReportUsage";
const OF_TONIC: &str = "grpc.health.v1.Health/Check";

/// One connection, on which requests are sent as they are written.
struct Connection(SendRequest<Full<Bytes>>);

/// How a call ended.
struct Ended {
    status: Status,
    fields: HeaderMap,
}

impl Connection {
    async fn open(rig: &Rig) -> Self {
        let stream = TokioIo::new(TcpStream::connect(rig.address()).await.unwrap());
        let (send, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        Self(send)
    }

    async fn answer(
        &mut self,
        method: &str,
        fields: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (http::response::Parts, hyper::body::Incoming) {
        let mut request = Request::post(format!("http://localhost/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let (head, body) = soon(self.0.send_request(request)).await.unwrap().into_parts();
        assert_eq!(head.status, 200, "{method}");
        (head, body)
    }

    async fn call(&mut self, method: &str, fields: &[(&str, &str)], body: Vec<u8>) -> Ended {
        let (head, body) = self.answer(method, fields, body).await;
        let status = match Status::from_header_map(&head.headers) {
            Some(status) => status,
            None => Status::from_header_map(soon(body.collect()).await.unwrap().trailers().unwrap()).unwrap(),
        };
        Ended { status, fields: head.headers }
    }

    /// Expects that a call ends with `code` and `reason`, and with its id.
    async fn refuses(&mut self, what: &str, call: (&str, &[(&str, &str)], Vec<u8>), code: Code, reason: &str) -> Ended {
        let (method, fields, body) = call;
        let ended = self.call(method, fields, body).await;
        let details = ended.status.get_error_details();
        let info =
            details.error_info().unwrap_or_else(|| panic!("{what} of {method}: no ErrorInfo: {:?}", ended.status));
        let told = (ended.status.code(), info.domain.as_str(), info.reason.as_str());
        assert_eq!(told, (code, "tollgate", reason), "{what} of {method}: {:?}", ended.status);
        assert!(!ended.status.message().is_empty() && ended.fields.contains_key("x-request-id"), "{what} of {method}");
        ended
    }
}

/// A message with the head that gRPC puts before it.
fn framed(flag: u8, length: usize, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

fn whole(flag: u8, message: &[u8]) -> Vec<u8> {
    framed(flag, message.len(), message)
}

#[tokio::test]
async fn bytes_that_are_no_message_are_the_fault_of_the_client() {
    let (mut rig, api) = Rig::started().await;
    let mut connection = Connection::open(&rig).await;
    for method in [UNARY, SERVER_STREAM, BOTH_STREAM, OF_TONIC] {
        for (what, body) in [
            ("a wire type that does not exist", whole(0, &[0x0f, 0xff])),
            ("a field that is cut", whole(0, &[0x0a, 0x7f, 0x00])),
            ("a message that is cut", framed(0, 100, b"\x0a\x01a")),
            ("a head that is cut", vec![0, 0, 0]),
            ("a compression flag that does not exist", whole(2, b"")),
            ("compression that is not announced", whole(1, b"\x0a\x01a")),
        ] {
            let call = (method, &[][..], body);
            connection.refuses(what, call, Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE").await;
        }
        if method != OF_TONIC {
            let call = (method, &[("grpc-encoding", "gzip")][..], whole(1, b"this is not gzip"));
            connection.refuses("broken gzip", call, Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE").await;
        }
        if method != BOTH_STREAM {
            let call = (method, &[][..], Vec::new());
            connection.refuses("no message", call, Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE").await;
        }
    }
    let call = (UNARY, &[][..], whole(0, b"\x0a\x04\x12\x02\xff\xfe"));
    connection.refuses("no UTF-8", call, Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE").await;
    drop((connection, api));
    rig.stop().await;
}

#[tokio::test]
async fn a_later_message_of_a_stream_is_refused_like_the_first() {
    let (mut rig, api) = Rig::started().await;
    let mut connection = Connection::open(&rig).await;
    let node_id = "node".to_owned();
    let register = v1::RegisterNodeRequest { node_id: node_id.clone(), ..Default::default() };
    let registered = UsageServiceClient::new(api.0.clone()).register_node(register).await.unwrap().into_inner();
    let incarnation = registered.incarnation;
    let mut first = v1::ReportUsageRequest { node_id, incarnation, sequence: 0, ..Default::default() };
    for (sequence, what, later, code, reason) in [
        (1, "no message", whole(0, &[0x0f, 0xff]), Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE"),
        (2, "a cut message", framed(0, 9, b"\x0a"), Code::InvalidArgument, "ERROR_REASON_MALFORMED_MESSAGE"),
        (3, "a large one", framed(0, 5 << 20, b""), Code::ResourceExhausted, "ERROR_REASON_TOO_LARGE"),
    ] {
        first.sequence = sequence;
        let body = [whole(0, &first.encode_to_vec()), later].concat();
        let ended = connection.refuses(what, (BOTH_STREAM, &[], body), code, reason).await;
        assert!(!ended.fields.contains_key("grpc-status"), "the first message was not answered: {:?}", ended.status);
    }
    drop((connection, api));
    rig.stop().await;
}

#[tokio::test]
async fn what_is_too_large_ends_its_call_alone() {
    let (mut rig, api) = Rig::started().await;
    let mut connection = Connection::open(&rig).await;
    for method in [UNARY, SERVER_STREAM, BOTH_STREAM] {
        let call = (method, &[][..], framed(0, 4 * 1024 * 1024 + 1, b""));
        connection.refuses("a large message", call, Code::ResourceExhausted, "ERROR_REASON_TOO_LARGE").await;
    }
    let names: Vec<String> = (0..2_000).map(|number| format!("x-{number}")).collect();
    let long = "v".repeat(100);
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    for count in [200, 2_000] {
        let call = (UNARY, &fields[..count], whole(0, b""));
        connection.refuses("much metadata", call, Code::ResourceExhausted, "ERROR_REASON_TOO_LARGE").await;
    }
    // Up to the limit they are taken, on the same connection.
    let call = (UNARY, &fields[..100], whole(0, b""));
    connection.refuses("no team", call, Code::InvalidArgument, "ERROR_REASON_INVALID_FIELD").await;
    drop((connection, api));
    rig.stop().await;
}

#[tokio::test]
async fn what_the_server_does_not_speak_is_unimplemented() {
    let (mut rig, api) = Rig::started().await;
    let mut connection = Connection::open(&rig).await;
    for method in ["tollgate.v1.TeamService/NoMethod", "no.Service/Method", "nothing"] {
        let call = (method, &[][..], whole(0, b""));
        connection.refuses("unknown", call, Code::Unimplemented, "ERROR_REASON_UNIMPLEMENTED").await;
    }
    for method in [UNARY, SERVER_STREAM, BOTH_STREAM] {
        let call = (method, &[("grpc-encoding", "zstd")][..], whole(1, b"zstd"));
        let ended = connection.refuses("zstd", call, Code::Unimplemented, "ERROR_REASON_UNIMPLEMENTED").await;
        assert_eq!(ended.fields["grpc-accept-encoding"], "gzip,identity");
    }
    let call = (OF_TONIC, &[][..], whole(0, b"\x0a\x01x"));
    connection.refuses("an unknown service's health", call, Code::NotFound, "ERROR_REASON_NOT_FOUND").await;
    drop((connection, api));
    rig.stop().await;
}

#[tokio::test]
async fn gzip_is_read_and_the_limit_holds_for_what_comes_out() {
    let (mut rig, api) = Rig::started().await;
    let channel = soon(endpoint(rig.address()).connect()).await.unwrap();
    let mut teams = TeamServiceClient::new(channel.clone()).send_compressed(CompressionEncoding::Gzip);
    let team = v1::Team { name: "packed".to_owned(), ..Default::default() };
    let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
    let made = teams.create_team(request).await.unwrap().into_inner().team.unwrap();
    assert_eq!(made.name, "packed");

    let mut raw = tonic::client::Grpc::new(channel).send_compressed(CompressionEncoding::Gzip);
    raw.ready().await.unwrap();
    let bomb = tonic::Request::new(Bytes::from(vec![0; 64 * 1024 * 1024]));
    let refused = raw.unary(bomb, format!("/{UNARY}").parse().unwrap(), Raw).await.unwrap_err();
    let details = refused.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    assert_eq!((refused.code(), reason), (Code::ResourceExhausted, Some("ERROR_REASON_TOO_LARGE")), "{refused:?}");
    drop((raw, teams, api));
    rig.stop().await;
}

#[tokio::test]
async fn long_answers_are_packed_for_those_who_take_it() {
    let (mut rig, api) = Rig::started().await;
    let team = v1::Team { name: "n".repeat(1_000), ..Default::default() };
    let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
    TeamServiceClient::new(api.0.clone()).create_team(request).await.unwrap();
    let mut connection = Connection::open(&rig).await;
    for (fields, flag, encoding) in [(&[("grpc-accept-encoding", "gzip")][..], 1, "gzip"), (&[], 0, "")] {
        let (head, body) = connection.answer("tollgate.v1.TeamService/ListTeams", fields, whole(0, b"")).await;
        let body = soon(body.collect()).await.unwrap().to_bytes();
        let told = head.headers.get("grpc-encoding").map_or("", |it| it.to_str().unwrap());
        assert_eq!((body[0], told), (flag, encoding), "{fields:?}");
        assert_eq!(body.len() < 1_000, flag == 1, "{} bytes", body.len());
    }
    drop((connection, api));
    rig.stop().await;
}

#[tokio::test]
async fn the_message_names_five_faults_and_counts_the_others() {
    let (mut rig, api) = Rig::started().await;
    let budget = v1::Budget { max_limit: -1.0, reset_duration: "1d".to_owned(), ..Default::default() };
    for (count, end) in [(5, ""), (7, "; and 2 more")] {
        let budgets = vec![budget.clone(); count];
        let team = v1::Team { name: "Team".to_owned(), budgets, ..Default::default() };
        let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
        let refused = TeamServiceClient::new(api.0.clone()).create_team(request).await.unwrap_err();
        let details = refused.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        let first: Vec<_> = violations.iter().take(5).map(|it| format!("{}: {}", it.field, it.description)).collect();
        let whole = format!("the request has {} invalid field(s): {}", violations.len(), first.join("; "));
        assert_eq!(refused.message().strip_prefix(&whole), Some(end), "{}", refused.message());
    }
    drop(api);
    rig.stop().await;
}
