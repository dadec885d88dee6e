//! Places where the local service listens: loopback addresses and Unix sockets, so that only programs of this machine ask.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::TcpListener;

/// A place to listen, as somebody wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// An address and a port; port 0 stands for any free one.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// The text names no place to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is written as 127.0.0.1:50052 or unix:///run/tollgate/node.sock")]
pub struct NoListen;

impl FromStr for Listen {
    type Err = NoListen;

    fn from_str(text: &str) -> Result<Self, NoListen> {
        match text.strip_prefix("unix:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.ends_with('/') { Err(NoListen) } else { Ok(Self::Unix(path.into())) }
            }
            None if text.contains("//") => Err(NoListen),
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Self::Tcp(text.to_owned())),
                _ => Err(NoListen),
            },
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Why a place cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other machines reach it.
    #[error(
        "other machines may reach {0}, and whoever reaches a node decides what is charged to whom; listen on a loopback address \
         or a Unix socket, or say --insecure"
    )]
    NotLoopback(SocketAddr),
    /// Another process listens there.
    #[error("another process listens at {0}")]
    InUse(Listen),
    /// A file is in the way that is no socket.
    #[error("{} is in the way, and is no socket; remove it, or name another path", .0.display())]
    NoSocket(PathBuf),
    /// The system has no such sockets.
    #[error("this system has no Unix sockets; listen on a loopback address")]
    NoUnix,
    /// It cannot be had.
    #[error("cannot listen at {at}")]
    Io {
        /// The place.
        at: Listen,
        /// The error of the system.
        source: io::Error,
    },
}

/// A place that is listened at.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp {
        /// The listener.
        listener: TcpListener,
        /// Its address.
        address: SocketAddr,
        /// Whether only this machine reaches it.
        is_loopback: bool,
    },
    /// A socket; its file is removed in the end.
    #[cfg(unix)]
    Unix(UnixSocket),
}

impl Listener {
    /// Listens. Addresses that other machines may reach are refused unless `insecure`.
    ///
    /// # Errors
    ///
    /// [`ListenError`].
    pub async fn bind(at: &Listen, insecure: bool) -> Result<Self, ListenError> {
        match at {
            Listen::Tcp(text) => {
                let io = |source| ListenError::Io { at: at.clone(), source };
                let listener = TcpListener::bind(text).await.map_err(|error| match error.kind() {
                    io::ErrorKind::AddrInUse => ListenError::InUse(at.clone()),
                    _ => io(error),
                })?;
                let address = listener.local_addr().map_err(io)?;
                let is_loopback = address.ip().to_canonical().is_loopback();
                if !is_loopback && !insecure {
                    return Err(ListenError::NotLoopback(address));
                }
                Ok(Self::Tcp { listener, address, is_loopback })
            }
            #[cfg(unix)]
            Listen::Unix(path) => UnixSocket::bind(path, at).map(Self::Unix),
            #[cfg(not(unix))]
            Listen::Unix(_) => Err(ListenError::NoUnix),
        }
    }

    /// Whether requests over HTTP must name this machine: so that no page in a browser reaches the node by another name.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Tcp { is_loopback, .. } => *is_loopback,
            #[cfg(unix)]
            Self::Unix(_) => false,
        }
    }
}

impl fmt::Display for Listener {
    /// As clients write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, .. } => address.fmt(f),
            #[cfg(unix)]
            Self::Unix(socket) => write!(f, "unix://{}", socket.path.display()),
        }
    }
}

#[cfg(unix)]
pub use unix::UnixSocket;

#[cfg(unix)]
mod unix {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixStream;

    use tokio::net::UnixListener;
    use tokio_stream::Stream;
    use tokio_stream::wrappers::UnixListenerStream;

    use super::{Listen, ListenError, Path, PathBuf, io};

    /// Its user and group may connect.
    const MODE: u32 = 0o660;

    /// A Unix socket. Its file is removed when it is dropped.
    #[derive(Debug)]
    pub struct UnixSocket {
        listener: Option<UnixListener>,
        pub(super) path: PathBuf,
    }

    impl UnixSocket {
        pub(super) fn bind(path: &Path, at: &Listen) -> Result<Self, ListenError> {
            let io = |source| ListenError::Io { at: at.clone(), source };
            match fs::symlink_metadata(path) {
                Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NoSocket(path.to_owned())),
                Ok(_) if UnixStream::connect(path).is_ok() => return Err(ListenError::InUse(at.clone())),
                // Left by a process that was killed.
                Ok(_) => fs::remove_file(path).map_err(io)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io(error)),
            }
            // Nobody else may connect in the moment before the file has its mode.
            let beside = path.with_extension(format!("{}.new", std::process::id()));
            let _ = fs::remove_file(&beside);
            let listener = UnixListener::bind(&beside).map_err(io)?;
            let placed =
                fs::set_permissions(&beside, Permissions::from_mode(MODE)).and_then(|()| fs::rename(&beside, path));
            if let Err(error) = placed {
                let _ = fs::remove_file(&beside);
                return Err(io(error));
            }
            Ok(Self { listener: Some(listener), path: path.to_owned() })
        }

        /// The connections, as they come.
        pub(in crate::serve) fn incoming(mut self) -> impl Stream<Item = io::Result<tokio::net::UnixStream>> {
            let stream = self.listener.take().map(UnixListenerStream::new);
            Incoming { _socket: self, stream }
        }
    }

    impl Drop for UnixSocket {
        fn drop(&mut self) {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Connections to a socket, whose file stays as long as they are taken.
    struct Incoming {
        /// Dropped first: once nobody listens, the file may be another process's.
        _socket: UnixSocket,
        stream: Option<UnixListenerStream>,
    }

    impl Stream for Incoming {
        type Item = io::Result<tokio::net::UnixStream>;

        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            match &mut self.get_mut().stream {
                Some(stream) => std::pin::Pin::new(stream).poll_next(cx),
                None => std::task::Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_address_or_a_path() {
        for (text, expected) in [
            ("127.0.0.1:50052", Some(Listen::Tcp("127.0.0.1:50052".to_owned()))),
            ("localhost:0", Some(Listen::Tcp("localhost:0".to_owned()))),
            ("[::1]:1", Some(Listen::Tcp("[::1]:1".to_owned()))),
            ("unix:///run/node.sock", Some(Listen::Unix("/run/node.sock".into()))),
            ("unix:node.sock", Some(Listen::Unix("node.sock".into()))),
            ("unix:", None),
            ("unix:///run/", None),
            ("http://127.0.0.1:1", None),
            ("127.0.0.1", None),
            (":50052", None),
            ("localhost:port", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_socket_that_nobody_listens_at_is_replaced_and_nothing_else_is() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = std::env::temp_dir().join(format!("tollgate-listen-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("node.sock");
        let at = Listen::Unix(path.clone());
        let first = Listener::bind(&at, false).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        assert!(matches!(Listener::bind(&at, false).await, Err(ListenError::InUse(_))));
        drop(first);
        assert!(!path.exists());
        // Of a process that was killed, the file stays.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&at, false).await.unwrap());
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind(&at, false).await, Err(ListenError::NoSocket(_))));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[tokio::test]
    async fn other_machines_are_let_in_only_where_that_is_said() {
        let everywhere = Listen::Tcp("0.0.0.0:0".to_owned());
        assert!(matches!(Listener::bind(&everywhere, false).await, Err(ListenError::NotLoopback(_))));
        let loopback = Listener::bind(&Listen::Tcp("127.0.0.1:0".to_owned()), false).await.unwrap();
        assert!(loopback.is_local());
    }
}
