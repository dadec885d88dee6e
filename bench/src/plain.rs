//! The plain tonic server: what gRPC itself costs here. It answers each unary call with the same bytes, and its streams
//! only copy bytes that are prepared.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower::service_fn;

use crate::raw::Raw;

/// Answers with the bytes that the server was started for.
pub(crate) const ECHO: &str = "/plain.Plain/Echo";
/// Sends its message to all who subscribed.
pub(crate) const PUBLISH: &str = "/plain.Plain/Publish";
/// Streams what is published.
pub(crate) const SUBSCRIBE: &str = "/plain.Plain/Subscribe";
/// Streams the same message for ever: what comes is its size.
pub(crate) const REPEAT: &str = "/plain.Plain/Repeat";
/// Streams messages of the sizes that come.
pub(crate) const SEND: &str = "/plain.Plain/Send";
/// Messages that wait for a subscriber at most.
const WAITING: usize = 4_096;

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// Sizes as the request of [`REPEAT`] and [`SEND`].
pub(crate) fn sizes(sizes: impl IntoIterator<Item = usize>) -> Bytes {
    let mut bytes = BytesMut::new();
    sizes.into_iter().for_each(|size| bytes.put_u64(size as u64));
    bytes.freeze()
}

fn read_sizes(mut bytes: Bytes) -> Vec<usize> {
    let mut sizes = Vec::new();
    while bytes.len() >= 8 {
        sizes.push(bytes.get_u64() as usize);
    }
    sizes
}

#[derive(Clone)]
struct Plain {
    answer: Bytes,
    publish: broadcast::Sender<Bytes>,
}

impl Plain {
    fn messages(&self, path: &str, request: Bytes) -> Messages {
        match path {
            SUBSCRIBE => {
                let published = BroadcastStream::new(self.publish.subscribe());
                Box::pin(published.map(|message| message.map_err(|lag| Status::data_loss(lag.to_string()))))
            }
            REPEAT => {
                let size = read_sizes(request).first().copied().unwrap_or_default();
                Box::pin(stream::repeat(Bytes::from(vec![7; size])).map(Ok))
            }
            _ => {
                let sizes = read_sizes(request);
                let prepared = Bytes::from(vec![7; sizes.iter().copied().max().unwrap_or_default()]);
                Box::pin(stream::iter(sizes).map(move |size| Ok(prepared.slice(..size))))
            }
        }
    }
}

impl NamedService for Plain {
    const NAME: &'static str = "plain.Plain";
}

impl tower::Service<http::Request<Body>> for Plain {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: http::Request<Body>) -> Self::Future {
        let plain = self.clone();
        let path = call.uri().path().to_owned();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match path.as_str() {
                ECHO | PUBLISH => {
                    let answer = |request: Request<Bytes>| {
                        if path == PUBLISH {
                            // Nobody may be there to hear it.
                            let _ = plain.publish.send(request.into_inner());
                        }
                        std::future::ready(Ok(Response::new(plain.answer.clone())))
                    };
                    grpc.unary(service_fn(answer), call).await
                }
                _ => {
                    let answer = |request: Request<Bytes>| {
                        std::future::ready(Ok(Response::new(plain.messages(&path, request.into_inner()))))
                    };
                    grpc.server_streaming(service_fn(answer), call).await
                }
            })
        })
    }
}

/// Serves on `address` until the process ends; unary calls are answered with `answer` bytes.
pub(crate) async fn serve(answer: usize, address: &str) {
    let plain = Plain { answer: Bytes::from(vec![7; answer]), publish: broadcast::channel(WAITING).0 };
    let address = address.parse().expect("an address");
    Server::builder().tcp_nodelay(true).add_service(plain).serve(address).await.expect("it serves");
}
