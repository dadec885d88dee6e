//! Messages in envelopes: a byte of flags, four of length, and the message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::Stream;
use http_body::Body as _;
use tonic::Status;
use tonic::body::Body;

use super::super::gzip::Coding;
use super::super::inner::{BodyLimit, malformed};

/// In the flags: the message is packed.
pub(super) const PACKED: u8 = 1;
/// In the flags: it is the last envelope, which only answers have.
pub(super) const LAST: u8 = 2;
/// Flags and length.
const HEAD: usize = 5;

/// The messages in the body of a request, unpacked.
pub(super) struct Envelopes {
    body: Body,
    buffer: BytesMut,
    /// How messages are packed, or why none is read.
    coding: Result<Coding, Status>,
    limit: BodyLimit,
    ended: bool,
}

impl Envelopes {
    pub(super) fn new(body: Body, coding: Result<Coding, Status>, limit: BodyLimit) -> Self {
        Self { body, buffer: BytesMut::new(), coding, limit, ended: false }
    }

    /// The next message, if it was read whole.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        let coding = self.coding.clone()?;
        let Some((head, rest)) = self.buffer.split_at_checked(HEAD) else { return Ok(None) };
        let (flags, mut length) = (head[0], &head[1..]);
        let length = usize::try_from(length.get_u32()).unwrap_or(usize::MAX);
        if flags & !PACKED != 0 {
            return Err(malformed("an envelope of the request has flags that no request has"));
        }
        if flags == PACKED && coding == Coding::Identity {
            return Err(malformed("a message is said to be packed, and connect-content-encoding does not say how"));
        }
        if length > self.limit.bytes() {
            return Err(self.limit.exceeded());
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEAD);
        let message = self.buffer.split_to(length).freeze();
        if flags == PACKED { coding.unpack(message, &self.limit).map(Some) } else { Ok(Some(message)) }
    }
}

impl Stream for Envelopes {
    type Item = Result<Bytes, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.ended {
            match this.take() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(status) => {
                    this.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.buffer.extend_from_slice(&data);
                    }
                }
                end => {
                    this.ended = true;
                    if end.is_some() || !this.buffer.is_empty() {
                        return Poll::Ready(Some(Err(malformed("a message of the request is cut"))));
                    }
                }
            }
        }
        Poll::Ready(None)
    }
}

/// A message in its envelope.
pub(super) fn seal(flags: u8, message: &[u8]) -> Bytes {
    let mut envelope = BytesMut::with_capacity(HEAD + message.len());
    envelope.put_u8(flags);
    // A message of this server is far from being so long.
    envelope.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    envelope.put_slice(message);
    envelope.freeze()
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use http_body_util::Full;
    use tonic::Code;

    use super::*;

    async fn opened(bytes: &'static [u8], coding: Coding) -> Vec<Result<Bytes, Code>> {
        let body = Body::new(Full::new(Bytes::from_static(bytes)));
        let envelopes = Envelopes::new(body, Ok(coding), BodyLimit::new());
        envelopes.map(|it| it.map_err(|status| status.code())).collect().await
    }

    #[tokio::test]
    async fn envelopes_are_opened_one_by_one() {
        for coding in [Coding::Identity, Coding::Gzip] {
            let all = opened(b"\0\0\0\0\x02{}\0\0\0\0\0\0\0\0\0\x01a", coding).await;
            assert_eq!(all, [Ok("{}".into()), Ok("".into()), Ok("a".into())]);
        }
        assert_eq!(opened(b"", Coding::Identity).await, []);
    }

    #[tokio::test]
    async fn envelopes_that_are_none_are_refused() {
        for bytes in [&b"\0\0\0"[..], b"\0\0\0\0\x03{}", b"\x01\0\0\0\x02{}", b"\x02\0\0\0\x02{}", b"\x80\0\0\0\0"] {
            assert_eq!(opened(bytes, Coding::Identity).await, [Err(Code::InvalidArgument)], "{bytes:?}");
        }
        assert_eq!(opened(b"\x01\0\0\0\x02{}", Coding::Gzip).await, [Err(Code::InvalidArgument)]);
        assert_eq!(opened(b"\0\xff\0\0\0", Coding::Identity).await, [Err(Code::ResourceExhausted)]);
    }
}
