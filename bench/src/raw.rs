//! Calls whose messages are bytes. Every system is called in this way, so that the client costs the same beside each.

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::{Stream, StreamExt as _, stream};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

/// More than any message here has.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// A codec that only copies.
#[derive(Clone, Copy, Default)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// `count` connections to `address`.
pub(crate) async fn connect(address: &str, count: usize) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address").tcp_nodelay(true);
    let mut channels = Vec::with_capacity(count);
    for _ in 0..count {
        channels.push(endpoint.connect().await.expect("the server takes connections"));
    }
    channels
}

async fn ready(channel: Channel) -> Grpc<Channel> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
    grpc.ready().await.expect("the connection lasts");
    grpc
}

/// A unary call.
pub(crate) async fn unary(channel: Channel, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
    let path = PathAndQuery::from_static(path);
    Ok(ready(channel).await.unary(Request::new(message), path, Raw).await?.into_inner())
}

/// A call that is answered by a stream. What the client sends stays open after `message`: etcd wants it so.
pub(crate) async fn streaming(
    channel: Channel,
    path: &'static str,
    message: Bytes,
) -> Result<Streaming<Bytes>, Status> {
    let path = PathAndQuery::from_static(path);
    Ok(ready(channel).await.streaming(Request::new(open(message)), path, Raw).await?.into_inner())
}

/// As [`streaming`], for servers that take one message.
pub(crate) async fn server_streaming(
    channel: Channel,
    path: &'static str,
    message: Bytes,
) -> Result<Streaming<Bytes>, Status> {
    let path = PathAndQuery::from_static(path);
    Ok(ready(channel).await.server_streaming(Request::new(message), path, Raw).await?.into_inner())
}

fn open(message: Bytes) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::once(std::future::ready(message)).chain(stream::pending())
}
