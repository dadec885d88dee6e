//! A receiver of webhooks: an HTTP server that answers as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::watch::rig::soon;

/// How a request is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With this status.
    Status(u16),
    /// By sending to this URL.
    Redirect(String),
    /// With this status, and a body that never ends.
    Endless(u16),
    /// Never.
    Hang,
    /// With the head of an answer that never ends, a byte at a time.
    Dribble,
}

/// A request as it came.
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}")).to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// It is gone when it is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    /// One that answers the first request with the first answer, and so on; the last is that to all others.
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, requests) = mpsc::unbounded_channel();
        let (answers, turn): (Arc<[Answer]>, _) = (answers.into(), Arc::new(AtomicUsize::new(0)));
        let serving = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&answers), Arc::clone(&turn), send.clone()));
            }
        });
        Self { address, requests, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/alerts?of=tollgate", self.address)
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Received {
        soon(self.requests.recv()).await.unwrap()
    }

    /// Requests that came and were not looked at.
    pub(crate) fn rest(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    answers: Arc<[Answer]>,
    turn: Arc<AtomicUsize>,
    send: mpsc::UnboundedSender<Received>,
) {
    let next = turn.load(Ordering::SeqCst).min(answers.len() - 1);
    if matches!(answers[next], Answer::Dribble) {
        turn.fetch_add(1, Ordering::SeqCst);
        let mut request = [0; 4_096];
        drop(stream.read(&mut request).await);
        let received = Received { path: String::new(), headers: HeaderMap::new(), body: String::new() };
        drop(send.send(received));
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\nx-slow: ").await);
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let (answers, turn, send) = (Arc::clone(&answers), Arc::clone(&turn), send.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let turn = turn.fetch_add(1, Ordering::SeqCst);
            let body = String::from_utf8(body.to_vec()).unwrap();
            drop(send.send(Received { path: head.uri.to_string(), headers: head.headers, body }));
            Ok::<_, Infallible>(match &answers[turn.min(answers.len() - 1)] {
                Answer::Status(status) => empty(*status),
                Answer::Redirect(url) => {
                    let mut response = empty(302);
                    response.headers_mut().insert("location", url.parse().unwrap());
                    response
                }
                Answer::Endless(status) => {
                    let chunk = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 16 * 1_024])));
                    let body = StreamBody::new(futures_util::stream::repeat_with(chunk));
                    Response::builder().status(*status).body(BodyExt::boxed(body)).unwrap()
                }
                Answer::Hang | Answer::Dribble => std::future::pending().await,
            })
        }
    });
    drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

fn empty(status: u16) -> Response<BoxBody<Bytes, Infallible>> {
    Response::builder().status(status).body(Empty::new().boxed()).unwrap()
}
