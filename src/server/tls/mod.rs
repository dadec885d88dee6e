//! TLS: handshakes with the certificate that is in the files now, and who the client's certificate says it is.
//!
//! | file | what |
//! |---|---|
//! | `files` | reading and checking the files |
//! | `reload` | following them as they change |
//! | `identity` | the client's certificate |
//!
//! TLS 1.2 and 1.3 with the suites that rustls has on by default (forward secrecy, authenticated encryption), ring as
//! the provider, no early data.

mod files;
mod identity;
mod reload;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use self::files::Contents;
pub use self::files::TlsError;
pub(super) use self::reload::Reload;
use crate::api::ClientCertificate;
use crate::config::TlsSettings;

/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Shakes hands. Cloning is cheap; clones follow the same files.
#[derive(Clone)]
pub(super) struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Reads the files. The second part is to be run to [follow](Reload::follow) them.
    ///
    /// # Errors
    ///
    /// What is wrong with which of them.
    pub(super) fn load(settings: TlsSettings) -> Result<(Self, Reload), TlsError> {
        let contents = Contents::read(&settings)?;
        let current = Arc::new(ArcSwap::from_pointee(contents.config(&settings)?));
        let reload = Reload::new(settings, Arc::clone(&current), contents.fingerprint());
        Ok((Self { current }, reload))
    }

    /// Shakes hands, and tells what certificate the client has.
    ///
    /// # Errors
    ///
    /// Those of the socket; `TimedOut`; `InvalidData` if the client speaks no TLS, none that is still safe, or has no
    /// certificate that is accepted.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> io::Result<(TlsStream<TcpStream>, Option<ClientCertificate>)> {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let stream = tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await??;
        let certificate =
            stream.get_ref().1.peer_certificates().and_then(<[_]>::first).map(|first| identity::read(first));
        Ok((stream, certificate))
    }
}
