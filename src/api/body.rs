//! A stream as the body of an answer. tonic would copy each message into a buffer of the stream: for a thousand streams that
//! is what a change costs most. Here they are sent from where they are, which all streams share.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::HeaderMap;
use tonic::Status;

use crate::watch::{Frame, WatchStream};

/// Smaller frames are joined to go out at once. HTTP/2 copies these anyway, and sends larger ones by themselves.
const SMALL: usize = 1_024;
/// As many bytes are joined at most.
const JOINED: usize = 16 * 1_024;

/// The frames of a stream, then the status OK.
pub(super) struct FrameBody {
    frames: Pin<Box<dyn Stream<Item = Frame> + Send>>,
    /// What is sent before more of the stream is asked for.
    next: Option<Bytes>,
    ended: bool,
}

impl FrameBody {
    /// The body that `follower` fills.
    pub(super) fn new(follower: WatchStream) -> Self {
        let frames = stream::unfold(follower, |mut follower| async move {
            let frame = follower.next().await?;
            Some((frame, follower))
        });
        Self::of(frames)
    }

    fn of(frames: impl Stream<Item = Frame> + Send + 'static) -> Self {
        Self { frames: Box::pin(frames.fuse()), next: None, ended: false }
    }

    /// What is ready, small frames joined; `None` at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        // Frames that are small; none is empty.
        let mut ready = Bytes::new();
        loop {
            match self.frames.as_mut().poll_next(cx) {
                Poll::Ready(Some(Frame(bytes))) if ready.is_empty() => {
                    if bytes.len() >= SMALL {
                        return Poll::Ready(Some(bytes));
                    }
                    ready = bytes;
                }
                Poll::Ready(Some(Frame(bytes))) if bytes.len() >= SMALL => {
                    self.next = Some(bytes);
                    return Poll::Ready(Some(ready));
                }
                Poll::Ready(Some(Frame(bytes))) => {
                    // Copies what streams share, once.
                    let mut joined = BytesMut::from(ready);
                    joined.extend_from_slice(&bytes);
                    ready = joined.freeze();
                    if ready.len() >= JOINED {
                        return Poll::Ready(Some(ready));
                    }
                }
                over @ (Poll::Ready(None) | Poll::Pending) if ready.is_empty() => return over.map(|_| None),
                Poll::Ready(None) | Poll::Pending => return Poll::Ready(Some(ready)),
            }
        }
    }
}

impl http_body::Body for FrameBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        this.poll_bytes(cx).map(|bytes| {
            let Some(bytes) = bytes else {
                this.ended = true;
                let mut trailers = HeaderMap::new();
                return Some(Status::ok("").add_header(&mut trailers).map(|()| http_body::Frame::trailers(trailers)));
            };
            Some(Ok(http_body::Frame::data(bytes)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn frame(letter: u8, len: usize) -> Frame {
        Frame(vec![letter; len].into())
    }

    #[tokio::test]
    async fn large_frames_are_sent_from_where_they_are_and_small_ones_at_once() {
        let frames = [frame(b'a', 10), frame(b'b', 20), frame(b'c', 5_000), frame(b'd', 6_000), frame(b'e', 7)];
        let large = [frames[2].0.as_ptr(), frames[3].0.as_ptr()];
        let mut body = FrameBody::of(stream::iter(frames));
        let (mut sent, mut trailers) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(bytes) => sent.push(bytes),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        assert_eq!(sent.iter().map(Bytes::len).collect::<Vec<_>>(), [30, 5_000, 6_000, 7]);
        assert_eq!(&sent[0][..], [&[b'a'; 10][..], &[b'b'; 20]].concat());
        assert_eq!([sent[1].as_ptr(), sent[2].as_ptr()], large);
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    }

    #[tokio::test]
    async fn what_is_ready_does_not_wait_for_more() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let mut body = FrameBody::of(tokio_stream::wrappers::UnboundedReceiverStream::new(receiver));
        for len in [3, 4] {
            sender.send(frame(b'x', len)).unwrap();
            let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(sent.len(), len);
        }
        // Many small ones do not become more than is to be joined.
        (0..100).for_each(|_| sender.send(frame(b'x', 1_000)).unwrap());
        let sent = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(sent.len(), 17_000);
    }
}
