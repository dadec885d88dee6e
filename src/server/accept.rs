//! Connections: takes them from the listener, speaks HTTP on them, and ends them all before it returns.
//!
//! hyper is driven directly because tonic's server hides how much is buffered per stream (400 KiB), which is what a
//! slow watcher costs.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use super::abuse::{Connections, source};
use super::complaints::Complaints;
use super::io::{Io, Stream};
use super::metrics::ConnectionMetrics;
use super::tls::{Client, Tls};
use crate::api::Peer;

/// How long a client may take to send its first bytes, or the head of an HTTP/1 request.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How often an HTTP/2 client is asked whether it is still there, and how long it may take to answer: as long as gRPC's own
/// servers give. A client on a machine that is overloaded would be cut off for that, and be more load when it comes back.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Calls that one connection may have open.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Bytes buffered for sending, per call: what a watcher that does not read costs.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// Bytes that a client may send unasked, per call and per connection. Requests are small; a large one (at most 4 MiB)
/// takes a few round trips. Half of a connection's bounds what small frames that are not read yet cost beside their bytes; it
/// is so much that a client of `Apply` that sends each change in a frame of its own is not taken for an attacker.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of header fields that HTTP/2 reads. Far more than a call may have, so that one with too many gets an answer
/// that its client understands: HTTP/2 itself answers beyond this with an HTTP status (431), and ends the connection
/// after 40 frames of 16 KiB, a fourth more. They are held for one call of a connection at a time.
const MAX_HEADER_LIST: u32 = 512 * 1024;
/// Bytes of header fields, and of what else is read at a time, of HTTP/1.
const MAX_HTTP1_BUFFER: usize = 32 * 1024;
/// Pause after accepting failed, doubled up to the second while it goes on failing.
const MIN_BACKOFF: Duration = Duration::from_millis(20);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// How many connections may be open.
pub(super) struct Places {
    /// All together; more wait.
    pub(super) all: usize,
    /// Those of each address; more are closed.
    pub(super) of_address: Connections,
}

/// What connections go through.
#[derive(Clone)]
pub(super) struct Entrance {
    pub(super) tls: Option<Tls>,
    pub(super) connections: ConnectionMetrics,
}

/// Accepts connections until `shutdown`, then cancels `drain`, lets open calls end for up to `grace`, and drops what is
/// left. Every task that it or hyper spawned has ended when it returns.
pub(super) async fn accept<S>(
    listener: TcpListener,
    entrance: Entrance,
    service: S,
    places: Places,
    grace: Duration,
    drain: CancellationToken,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let Places { all: max_connections, of_address: per_address } = places;
    let tasks = Tasks { tracker: TaskTracker::new(), kill: CancellationToken::new() };
    // Should this future be dropped, the tasks end too.
    let _kill = tasks.kill.clone().drop_guard();
    let http = http(tasks.clone());
    let places = Arc::new(Semaphore::new(max_connections));
    let complaints = Arc::new(Complaints::default());

    let accepting = async {
        let mut backoff = MIN_BACKOFF;
        let mut full = false;
        loop {
            match places.available_permits() {
                0 if !full => {
                    full = true;
                    tracing::warn!(connections.max = max_connections, "no more connections are taken: new ones wait");
                }
                0 => {}
                free => full &= free < max_connections / 10,
            }
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((stream, address)) => {
                    backoff = MIN_BACKOFF;
                    let peer = Peer::new(address);
                    let Some(of_address) = per_address.admit(peer) else {
                        tracing::debug!(peer.addr = %peer, "closed: its address has too many connections");
                        continue;
                    };
                    let (entrance, service) = (entrance.clone(), service.clone());
                    let open = entrance.connections.open();
                    let (http, drain, kill) = (http.clone(), drain.clone(), tasks.kill.clone());
                    let complaints = Arc::clone(&complaints);
                    tasks.tracker.spawn(async move {
                        let served = connection(stream, peer, &entrance, &http, service, &drain);
                        if let Some(Err(error)) = kill.run_until_cancelled(served).await {
                            failed(peer, error.as_ref(), &complaints);
                        }
                        drop((place, of_address, open));
                    });
                }
                // The client left before it was accepted.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::error!(
                        error = %error,
                        retry_ms = backoff.as_millis(),
                        "cannot accept connections; if there are too many open files, raise the limit (ulimit -n)"
                    );
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = accepting => {}
    }

    drop(listener);
    drain.cancel();
    tasks.tracker.close();
    tracing::info!(connections.open = max_connections - places.available_permits(), "shutting down");
    if tokio::time::timeout(grace, tasks.tracker.wait()).await.is_err() {
        let open = max_connections - places.available_permits();
        tracing::warn!(connections.open = open, "the grace period is over: dropping what is still open");
        tasks.kill.cancel();
        tasks.tracker.wait().await;
    }
}

/// Logs how a connection failed. One that breaks, or whose client leaves, is nothing to tell; one that breaks the rules
/// of HTTP is, but whoever does so can do so without end.
fn failed(peer: Peer, error: &(dyn std::error::Error + Send + Sync + 'static), complaints: &Complaints) {
    tracing::debug!(peer.addr = %peer, error = %error, "connection failed");
    let breaks_rules = error.downcast_ref::<hyper::Error>().is_some_and(|error| {
        let broke = std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<io::Error>);
        !(broke || error.is_timeout() || error.is_incomplete_message() || error.is_closed())
    });
    if !breaks_rules {
        return;
    }
    let address = source(peer);
    if let Some(connections) = complaints.count(address) {
        tracing::warn!(
            peer.ip = %address,
            connections,
            error = %error,
            "this address breaks the rules of HTTP: its connections are closed, and logged at debug"
        );
    }
}

/// Serves one connection to its end.
async fn connection<S>(
    stream: TcpStream,
    peer: Peer,
    entrance: &Entrance,
    http: &auto::Builder<Tasks>,
    service: S,
    drain: &CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    stream.set_nodelay(true)?;
    let Some(opened) = drain.run_until_cancelled(open(stream, entrance)).await else {
        return Ok(());
    };
    let (io, client) = opened?;
    let certificate = client.as_ref().map(|client| client.certificate.clone());
    let lapsed = async {
        match client {
            Some(client) => client.lapse().await,
            None => std::future::pending().await,
        }
    };
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        request
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), TowerToHyperService::new(service)));
    tokio::select! {
        result = connection.as_mut() => return result,
        () = lapsed => {
            tracing::info!(peer.addr = %peer, "closed: the certificate of its client is not accepted any more");
            return Ok(());
        }
        () = drain.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Waits for what comes before the first request.
async fn open(stream: TcpStream, entrance: &Entrance) -> io::Result<(Io, Option<Client>)> {
    let (stream, client) = match &entrance.tls {
        None => (Stream::Plain(stream), None),
        Some(tls) => {
            let shaken = tls.shake_hands(stream).await;
            let (stream, client) = shaken.inspect_err(|_| entrance.connections.handshake_failed())?;
            (Stream::Tls(Box::new(stream)), client)
        }
    };
    Ok((Io::open(stream, HEAD_PATIENCE).await?, client))
}

fn http(tasks: Tasks) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(tasks);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_PATIENCE).max_buf_size(MAX_HTTP1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER_LIST);
    builder
}

/// The tasks of all connections and, with HTTP/2, of all calls.
#[derive(Clone)]
struct Tasks {
    tracker: TaskTracker,
    kill: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, task: F) {
        let kill = self.kill.clone();
        self.tracker.spawn(async move { kill.run_until_cancelled(task).await.map(drop) });
    }
}
