//! What watchers notice of attacks, in figures: `cargo test --release --test it attack -- --ignored --nocapture`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use h2::Reason;
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tonic::transport::Channel;

use super::support::{Process, ROOT, caller, make, token};
use crate::watch::rig::{endpoint, soon};

const WATCHERS: usize = 100;
const WRITES: usize = 100;
const BETWEEN_WRITES: Duration = Duration::from_millis(50);

/// A connection from an address of the attackers.
async fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, 66)), 0).into())?;
    socket.connect(address).await
}

fn call(address: SocketAddr, method: &str) -> Request<()> {
    let call = Request::post(format!("http://{address}/{method}")).header("content-type", "application/grpc");
    call.body(()).unwrap()
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    streams: AtomicU64,
    ended: AtomicU64,
}

/// Opens and resets calls, as fast as it goes; a connection that is ended is replaced.
async fn rapid_reset(address: SocketAddr, counts: Arc<Counts>) {
    loop {
        let Ok(stream) = connect(address).await else { continue };
        let Ok((mut send, connection)) = h2::client::handshake(stream).await else { continue };
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let connection = tokio::spawn(connection);
        loop {
            let Ok((_, mut body)) = send.send_request(call(address, "tollgate.v1.TeamService/ListTeams"), false) else {
                break;
            };
            body.send_reset(Reason::CANCEL);
            if counts.streams.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) {
                match send.ready().await {
                    Ok(ready) => send = ready,
                    Err(_) => break,
                }
                tokio::task::yield_now().await;
            }
        }
        counts.ended.fetch_add(1, Ordering::Relaxed);
        connection.abort();
    }
}

/// Opens 1,000 calls of which the rest never comes, and holds them, answered or not.
async fn half_open(address: SocketAddr, counts: Arc<Counts>) {
    let (mut send, connection) = h2::client::handshake(connect(address).await.unwrap()).await.unwrap();
    counts.connections.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(connection);
    let mut open = JoinSet::new();
    while open.len() < 1_000 {
        let Ok((answer, body)) = send.send_request(call(address, "grpc.health.v1.Health/Check"), false) else { return };
        counts.streams.fetch_add(1, Ordering::Relaxed);
        let counts = Arc::clone(&counts);
        open.spawn(async move {
            drop(answer.await);
            counts.ended.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
            drop(body);
        });
        match send.ready().await {
            Ok(ready) => send = ready,
            Err(_) => return,
        }
    }
    std::future::pending::<()>().await;
}

/// Begins a header block and sends a byte of it every second.
async fn slow_headers(address: SocketAddr, counts: Arc<Counts>) {
    loop {
        let Ok(mut stream) = connect(address).await else { return };
        counts.connections.fetch_add(1, Ordering::Relaxed);
        let begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01\x83";
        let mut alive = stream.write_all(begin).await.is_ok();
        while alive {
            tokio::time::sleep(Duration::from_secs(1)).await;
            alive = stream.write_all(b"\0\0\x01\x09\0\0\0\0\x01\x84").await.is_ok();
            counts.streams.fetch_add(1, Ordering::Relaxed);
        }
        counts.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// How far all watchers are: the least revision, and when it got there.
struct Watchers {
    at: Vec<watch::Receiver<i64>>,
    _tasks: JoinSet<()>,
}

impl Watchers {
    async fn start(address: SocketAddr, token: &str) -> Self {
        let mut tasks = JoinSet::new();
        let mut at = Vec::new();
        for _ in 0..WATCHERS {
            let channel = soon(endpoint(address).connect()).await.unwrap();
            let mut config = ConfigServiceClient::new(caller(&channel, token));
            let mut stream = config.watch_config(v1::WatchConfigRequest::default()).await.unwrap().into_inner();
            let (tell, told) = watch::channel(0);
            at.push(told);
            tasks.spawn(async move {
                loop {
                    let message = stream.message().await.expect("a watcher's stream fails").expect("it ends");
                    if let Some(Event::Bookmark(bookmark)) = message.event {
                        tell.send_replace(bookmark.revision);
                    }
                }
            });
        }
        Self { at, _tasks: tasks }
    }

    async fn reach(&mut self, revision: i64) {
        for at in &mut self.at {
            soon(at.wait_for(|at| *at >= revision)).await.unwrap();
        }
    }
}

/// Writes, and waits for all watchers; prints how long that took.
async fn measure(what: &str, channel: &Channel, watchers: &mut Watchers) {
    let mut teams = TeamServiceClient::new(caller(channel, ROOT));
    let (mut writes, mut seen) = (Vec::new(), Vec::new());
    for number in 0..WRITES {
        let team = v1::Team { name: format!("{what} {number}"), ..Default::default() };
        let begun = Instant::now();
        let request = v1::CreateTeamRequest { team: Some(team), ..Default::default() };
        let made = teams.create_team(request).await.expect("a write fails").into_inner().team.unwrap();
        writes.push(begun.elapsed());
        watchers.reach(made.revision).await;
        seen.push(begun.elapsed());
        tokio::time::sleep(BETWEEN_WRITES).await;
    }
    let shown = |times: &mut Vec<Duration>| {
        times.sort();
        let ms = |at: usize| times[at].as_secs_f64() * 1e3;
        format!("p50 {:.1} ms, p95 {:.1} ms, max {:.1} ms", ms(WRITES / 2), ms(WRITES * 95 / 100), ms(WRITES - 1))
    };
    println!("{what}: write {}; seen by all {WATCHERS} watchers {}", shown(&mut writes), shown(&mut seen));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute and prints figures"]
async fn attack() {
    let env = [("TOLLGATE_BOOTSTRAP_TOKEN", ROOT), ("TOLLGATE_LOG", "warn")];
    let server = Process::start(&[], &env).await;
    let address = server.address;
    let channel = soon(endpoint(address).connect()).await.unwrap();
    let node = make(&channel, token("node", v1::Role::Node)).await.unwrap();
    let mut watchers = Watchers::start(address, &node.value).await;
    measure("in peace", &channel, &mut watchers).await;
    for (what, attackers) in [("rapid reset", 4), ("10,000 half-open streams", 10), ("2,000 slow headers", 2_000)] {
        let counts = Arc::new(Counts::default());
        let stop = CancellationToken::new();
        let mut attack = JoinSet::new();
        for _ in 0..attackers {
            let counts = Arc::clone(&counts);
            let stop = stop.clone();
            attack.spawn(async move {
                let attack = async {
                    match attackers {
                        4 => rapid_reset(address, counts).await,
                        10 => half_open(address, counts).await,
                        _ => slow_headers(address, counts).await,
                    }
                };
                stop.run_until_cancelled(attack).await;
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        measure(what, &channel, &mut watchers).await;
        stop.cancel();
        while attack.join_next().await.is_some() {}
        let [connections, streams, ended] =
            [&counts.connections, &counts.streams, &counts.ended].map(|count| count.load(Ordering::Relaxed));
        println!("    {connections} connections, {streams} streams or frames, {ended} ended by the server");
    }
    measure("in peace again", &channel, &mut watchers).await;
}
