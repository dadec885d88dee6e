//! The bytes of one connection: a socket, and what was read from it to learn which protocol it speaks.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A socket, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// A socket whose first bytes may have been read already.
pub(super) struct Io {
    stream: Stream,
    first: [u8; PREFACE.len()],
    /// What of `first` is still to be handed out.
    unread: std::ops::Range<usize>,
    /// Whether anything was written yet.
    written: bool,
}

impl Io {
    /// Waits until the client has said which protocol it speaks. hyper would wait for that for ever, so that silent
    /// connections could take all places.
    ///
    /// # Errors
    ///
    /// Those of the socket; `TimedOut` if the client stays silent; `UnexpectedEof` if it leaves without a word.
    pub(super) async fn open(mut stream: Stream, patience: Duration) -> io::Result<Self> {
        let mut first = [0; PREFACE.len()];
        let len = tokio::time::timeout(patience, Self::read_first(&mut stream, &mut first)).await??;
        Ok(Self { stream, first, unread: 0..len, written: false })
    }

    async fn read_first(stream: &mut Stream, first: &mut [u8; PREFACE.len()]) -> io::Result<usize> {
        let mut len = 0;
        while len < first.len() && first[..len] == PREFACE[..len] {
            match stream.read(&mut first[len..]).await? {
                0 if len == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                0 => break,
                read => len += read,
            }
        }
        Ok(len)
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let len = this.unread.len().min(buffer.remaining());
        let start = this.unread.start;
        buffer.put_slice(&this.first[start..start + len]);
        this.unread.start += len;
        Poll::Ready(Ok(()))
    }
}

/// Vectored writes are not offered before the first write. h2 asks when it takes a connection: with them it makes a system
/// call for each frame of 256 bytes or more, without them it gathers frames of up to 1 KiB into writes of 16 KiB, which is
/// what small events to many streams need. Larger frames it keeps apart from their heads either way, and each write asks
/// anew: with them both go in one call, without them in two, the first of 9 bytes.
impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.written = true;
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.written && self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
