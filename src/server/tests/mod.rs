mod calls;
mod life;
mod who;

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus as Serving};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt as _;
use tower::{Service, ServiceExt as _};

use super::*;
use crate::access::Registry;
use crate::api::{CallId, Peer};
use crate::settings::AccessSettings;

/// A service with a method for each way to go wrong.
#[derive(Clone)]
struct Trouble;

impl NamedService for Trouble {
    const NAME: &'static str = "test.Trouble";
}

impl Service<Request<Body>> for Trouble {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match request.uri().path() {
            "/test.Trouble/Hang" => Box::pin(pending()),
            "/test.Trouble/Panic" => Box::pin(async { panic!("a secret") }),
            _ => {
                let id = request.extensions().get::<CallId>().unwrap();
                let peer = request.extensions().get::<Peer>().unwrap().address();
                let text = format!("{id} {}", peer.ip());
                Box::pin(ready(Ok(Status::aborted(text).into_http())))
            }
        }
    }
}

/// What the tests of a thread log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// From `level` on, until the guard is dropped.
    fn of(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        // With only one subscriber in the process, tracing asks the current thread's about a call site that is met for the
        // first time, and tests in other threads have none. With two, it asks both.
        static ANOTHER: LazyLock<tracing::Dispatch> =
            LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&ANOTHER);

        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn values(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl Server {
    async fn start(transport: TransportSettings) -> Self {
        Self::start_with(transport, AccessSettings::default()).await
    }

    async fn start_with(transport: TransportSettings, access: AccessSettings) -> Self {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut routes, _health) = base_routes().unwrap();
        routes.add_service(Trouble);
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let served = tokio::spawn(serve(
            listener,
            routes.routes(),
            Auth::new(Arc::new(Registry::new(&access, false)), Clock::system()),
            transport,
            CancellationToken::new(),
            shutdown,
        ));
        Self { address, stop, served }
    }

    async fn usual() -> Self {
        Self::start(TransportSettings::default()).await
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    async fn stop(self) {
        drop(self.stop);
        self.served.await.unwrap().unwrap();
    }

    /// Makes an HTTP/1.1 request, and returns status, header fields, and body with trailers appended.
    async fn http1(&self, request: http::request::Builder, body: &'static [u8]) -> (StatusCode, HeaderMap, Vec<u8>) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = request.body(http_body_util::Full::new(bytes::Bytes::from_static(body))).unwrap();
        let (head, body) = send.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        drop(send);
        connection.await.unwrap().unwrap();
        (head.status, head.headers, body)
    }
}

/// A raw call by HTTP/2: the status, wherever it is, and the header fields.
async fn call(channel: &Channel, path: &str, fields: &[(&str, &str)]) -> (Status, HeaderMap) {
    let mut request = Request::post(path).header(CONTENT_TYPE, "application/grpc").header("te", "trailers");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (head, body) = channel.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
    let collected = body.collect().await.unwrap();
    let status = Status::from_header_map(&head.headers);
    let status = status.or_else(|| collected.trailers().and_then(Status::from_header_map));
    (status.unwrap(), head.headers)
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(info.domain, "tollgate");
    info.reason.clone()
}
