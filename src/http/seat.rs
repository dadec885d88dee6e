//! The place of a call among those in flight, kept while its answer is sent: whoever asks much and reads nothing must not have
//! any number of answers in memory.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// Bytes that are handed to the connection at a time: it takes whatever it is given, and more only once that is on its way.
const PIECE: usize = 32 * 1024;

/// Where the place of a call waits while its answer is sent. One for each request; the calls that it becomes, one after the
/// other, have the same place. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Seat(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

/// The body of an answer, on which a place depends.
struct Seated {
    inner: Body,
    /// The part of the last piece of `inner` that was not handed out yet.
    rest: Bytes,
    seat: Seat,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        // Nothing in it can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the place of a call that is over.
    pub(crate) fn keep(&self, place: impl Any + Send) {
        let earlier = self.lock().replace(Box::new(place));
        drop(earlier);
    }

    /// Gives the place to the next call, if there is one.
    pub(crate) fn take<T: Any>(&self) -> Option<T> {
        let place = self.lock().take()?;
        place.downcast().ok().map(|place| *place)
    }

    /// Gives the place back, whoever shares this.
    fn free(&self) {
        let place = self.lock().take();
        drop(place);
    }

    /// The same body; while it is there, so is the place.
    pub(super) fn under(self, inner: Body) -> Body {
        Body::new(Seated { inner, rest: Bytes::new(), seat: self })
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}

impl http_body::Body for Seated {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => {
                    this.seat.free();
                    return Poll::Ready(ended);
                }
            }
        }
        let piece = this.rest.split_to(PIECE.min(this.rest.len()));
        if this.is_end_stream() {
            // Whoever has read the whole answer finds the place free.
            this.seat.free();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.seat.free();
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    #[tokio::test]
    async fn a_place_stays_until_the_last_piece_is_handed_out() {
        let place = Arc::new(());
        let seat = Seat::default();
        seat.keep(Arc::clone(&place));
        let whole: Vec<u8> = (0..u8::MAX).cycle().take(2 * PIECE + 1).collect();
        let mut body = seat.under(Body::new(Full::from(whole.clone())));
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let mut read = Vec::new();
        for left in [PIECE + 1, 1, 0] {
            assert!(!body.is_end_stream());
            assert_eq!(Arc::strong_count(&place), 2);
            let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE);
            read.extend_from_slice(&piece);
            assert_eq!(body.size_hint().exact(), Some(left as u64));
        }
        assert!(body.is_end_stream() && read == whole);
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_any_more_has_no_place() {
        let place = Arc::new(());
        let seat = Seat::default();
        seat.keep(Arc::clone(&place));
        let mut body = seat.under(Body::new(Full::from(vec![0; PIECE + 1])));
        body.frame().await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&place), 2);
        drop(body);
        assert_eq!(Arc::strong_count(&place), 1);
    }

    #[test]
    fn the_next_call_has_the_place_of_the_one_before() {
        let seat = Seat::default();
        assert_eq!(seat.take::<u8>(), None);
        seat.keep(1_u8);
        seat.clone().keep(2_u8);
        assert_eq!((seat.take::<u8>(), seat.take::<u8>()), (Some(2), None));
    }
}
