//! What strangers do to a server, and how little of it those notice who belong there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, SendStream};
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::support::{Process, ROOT, caller, closed, make, start, token};
use crate::watch::rig::soon;

/// A raw HTTP/2 connection, and what becomes of it.
async fn raw(address: SocketAddr) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    (send.ready().await.unwrap(), tokio::spawn(connection))
}

/// A call of which the body is still to come.
fn half_open(send: &mut SendRequest<Bytes>, address: SocketAddr, method: &str) -> Result<SendStream<Bytes>, h2::Error> {
    let call = Request::post(format!("http://{address}/{method}")).header("content-type", "application/grpc");
    Ok(send.send_request(call.body(()).unwrap(), false)?.1)
}

/// Somebody who belongs there: watches, and writes.
struct Legitimate {
    channel: Channel,
    stream: Streaming<v1::WatchConfigResponse>,
}

impl Legitimate {
    async fn new(channel: &Channel) -> Self {
        let mut config = ConfigServiceClient::new(caller(channel, ROOT));
        let stream = config.watch_config(v1::WatchConfigRequest::default()).await.unwrap().into_inner();
        Self { channel: channel.clone(), stream }
    }

    /// Writes something and sees it on the stream.
    async fn goes_on(&mut self, name: &str) {
        let team = Some(v1::Team { name: name.to_owned(), ..Default::default() });
        let request = v1::CreateTeamRequest { team, ..Default::default() };
        let mut teams = TeamServiceClient::new(caller(&self.channel, ROOT));
        let made = soon(teams.create_team(request)).await.unwrap().into_inner().team.unwrap();
        loop {
            match soon(self.stream.message()).await.unwrap().unwrap().event.unwrap() {
                Event::Bookmark(bookmark) if bookmark.revision >= made.revision => return,
                Event::GoAway(go_away) => panic!("{}", go_away.reason),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_end_the_connection_that_sends_them_and_no_other() {
    let (mut rig, channel) = closed().await;
    let mut legitimate = Legitimate::new(&channel).await;
    legitimate.goes_on("before").await;
    let (mut send, connection) = raw(rig.address()).await;
    let mut sent = 0;
    while sent < 50_000 {
        let Ok(mut body) = half_open(&mut send, rig.address(), "tollgate.v1.TeamService/ListTeams") else { break };
        body.send_reset(Reason::CANCEL);
        sent += 1;
        if sent % 100 == 0 {
            match soon(send.ready()).await {
                Ok(ready) => send = ready,
                Err(_) => break,
            }
            tokio::task::yield_now().await;
        }
    }
    // Whoever still writes into a connection that has been closed may not come to read why it was.
    let ended = soon(connection).await.unwrap().unwrap_err();
    assert!(ended.is_io() || ended.reason() == Some(Reason::ENHANCE_YOUR_CALM), "after {sent}: {ended}");
    assert!(sent < 50_000, "it was never ended");
    legitimate.goes_on("after").await;
    drop((legitimate, channel));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_calls_of_strangers_take_no_place_of_others() {
    let (mut rig, channel) = closed().await;
    let mut legitimate = Legitimate::new(&channel).await;
    let (mut open, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let (mut send, connection) = raw(rig.address()).await;
        for _ in 0..200 {
            open.push(half_open(&mut send, rig.address(), "grpc.health.v1.Health/Check").unwrap());
            send = soon(send.ready()).await.unwrap();
        }
        connections.push((send, connection));
    }
    legitimate.goes_on("meanwhile").await;
    drop((open, connections, legitimate, channel));
    rig.stop().await;
}

#[tokio::test]
async fn headers_that_never_end_hold_up_their_own_connection_only() {
    let (mut rig, channel) = closed().await;
    let mut legitimate = Legitimate::new(&channel).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        // The preface, empty SETTINGS, and HEADERS of stream 1 without END_HEADERS.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83]).await.unwrap();
        slow.push(stream);
    }
    legitimate.goes_on("meanwhile").await;
    drop((slow, legitimate, channel));
    rig.stop().await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_a_token_so_many_streams() {
    let (mut rig, channel) = closed().await;
    drop(channel);
    rig.stop().await;
    rig.settings.transport.max_connections_per_address = 2;
    rig.settings.transport.max_streams_per_caller = 1;
    let channel = start(&mut rig).await;
    let other = make(&channel, token("other", v1::Role::Node)).await.unwrap();
    let watch = |token: &str| {
        let mut config = ConfigServiceClient::new(caller(&channel, token));
        async move { config.watch_config(v1::WatchConfigRequest::default()).await.map(tonic::Response::into_inner) }
    };
    let first = watch(ROOT).await.unwrap();
    let refused = watch(ROOT).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    watch(&other.value).await.unwrap();
    drop(first);

    // `channel` is one connection of this address; a second one is served, a third one is closed without a word.
    let (second, _served) = raw(rig.address()).await;
    let mut third = TcpStream::connect(rig.address()).await.unwrap();
    assert_eq!(soon(third.read(&mut [0])).await.unwrap_or(0), 0);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, 9)), 0).into()).unwrap();
    let elsewhere = socket.connect(rig.address()).await.unwrap();
    h2::client::handshake(elsewhere).await.unwrap().0.ready().await.unwrap();
    drop((second, channel));
    rig.stop().await;
}

#[tokio::test]
async fn wrong_keys_are_told_apart_by_nothing() {
    let (mut rig, channel) = closed().await;
    let key = v1::VirtualKey {
        name: "key".to_owned(),
        value: "sk-a-key-of-the-tests-0123456789".to_owned(),
        ..Default::default()
    };
    let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
    VirtualKeyServiceClient::new(caller(&channel, ROOT)).create_virtual_key(request).await.unwrap();
    let mut told = Vec::new();
    for (header, value) in [
        ("x-nothing", ""),
        ("x-tg-vk", ""),
        ("x-tg-vk", "sk-a-key-of-the-tests-012345678"),
        ("x-api-key", "another"),
        ("authorization", "Basic c2st"),
        ("authorization", "Bearer sk-tg-unknown"),
        ("authorization", &format!("Bearer {ROOT}")),
    ] {
        let mut request = tonic::Request::new(v1::GetVirtualKeyQuotaRequest {});
        request.metadata_mut().insert(header, value.parse().unwrap());
        let refused: Status =
            VirtualKeyServiceClient::new(channel.clone()).get_virtual_key_quota(request).await.unwrap_err();
        told.push((refused.code(), refused.message().to_owned(), refused.details().to_vec()));
    }
    assert_eq!(told[0].0, Code::Unauthenticated);
    assert!(told.iter().all(|it| *it == told[0]), "{told:?}");
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn strangers_are_refused_after_so_many_calls() {
    let (mut rig, channel) = closed().await;
    let mut codes = std::collections::HashMap::new();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let mut teams = TeamServiceClient::new(channel.clone());
        calls.spawn(async move { teams.list_teams(v1::ListTeamsRequest::default()).await.unwrap_err().code() });
    }
    while let Some(code) = calls.join_next().await {
        *codes.entry(code.unwrap()).or_insert(0) += 1;
    }
    assert!(codes[&Code::ResourceExhausted] > 0 && codes[&Code::Unauthenticated] >= 200, "{codes:?}");
    // Whoever shows a token, from the same address, is not among them.
    TeamServiceClient::new(caller(&channel, ROOT)).list_teams(v1::ListTeamsRequest::default()).await.unwrap();
    drop(channel);
    rig.stop().await;
}

#[tokio::test]
async fn rapid_resets_fill_no_log() {
    let server = Process::start(&[], &[("TOLLGATE_BOOTSTRAP_TOKEN", ROOT), ("TOLLGATE_LOG", "warn")]).await;
    // POST / by http, reset at once: in one piece, so that the server meets the resets before it takes the calls.
    let mut attack = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for id in (1..400_u32).step_by(2).map(u32::to_be_bytes) {
        attack.extend([&b"\0\0\x03\x01\x04"[..], &id, b"\x83\x86\x84"].concat());
        attack.extend([&b"\0\0\x04\x03\0"[..], &id, &[0, 0, 0, 8]].concat());
    }
    for _ in 0..30 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(&attack).await.unwrap();
        // Until the server ends it, perhaps abruptly.
        drop(soon(stream.read_to_end(&mut Vec::new())).await);
    }
    let (_, log) = server.kill().into_iter().find(|(name, _)| name.ends_with("/log")).unwrap();
    let log = String::from_utf8(log).unwrap();
    let told: Vec<_> = log.lines().filter(|line| line.contains("127.0.0.1")).collect();
    assert!(told.len() <= 2 && told.iter().any(|line| line.contains("breaks the rules of HTTP")), "{log}");
    assert!(log.lines().count() < 10, "{log}");
}
