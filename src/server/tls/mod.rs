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

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::HandshakeKind;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::server::TlsStream;

pub use self::files::TlsError;
use self::files::{Config, Contents};
pub(super) use self::reload::Reload;
use crate::api::ClientCertificate;
use crate::settings::TlsSettings;

/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether the certificate of a client that is connected has expired.
const EXPIRY: Duration = Duration::from_secs(60);

/// Shakes hands. Cloning is cheap; clones follow the same files.
#[derive(Clone)]
pub(super) struct Tls {
    current: watch::Receiver<Arc<Config>>,
}

/// A client that has shown a certificate.
pub(super) struct Client {
    /// Who it is.
    pub(super) certificate: ClientCertificate,
    /// Its certificate, and those that lead to the root.
    chain: Vec<CertificateDer<'static>>,
    current: watch::Receiver<Arc<Config>>,
}

impl Tls {
    /// Reads the files. The second part is to be run to [follow](Reload::follow) them.
    ///
    /// # Errors
    ///
    /// What is wrong with which of them.
    pub(super) fn load(settings: TlsSettings) -> Result<(Self, Reload), TlsError> {
        let contents = Contents::read(&settings)?;
        let (used, current) = watch::channel(Arc::new(contents.config(&settings)?));
        let reload = Reload::new(settings, used, contents.fingerprint());
        Ok((Self { current }, reload))
    }

    /// Shakes hands, and tells what certificate the client has.
    ///
    /// # Errors
    ///
    /// Those of the socket; `TimedOut`; `InvalidData` if the client speaks no TLS, none that is still safe, or has no
    /// certificate that is accepted.
    pub(super) async fn shake_hands(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Client>)> {
        let mut current = self.current.clone();
        let config = Arc::clone(&current.borrow_and_update());
        let acceptor = TlsAcceptor::from(Arc::clone(&config.server));
        let stream = tokio::time::timeout(HANDSHAKE_PATIENCE, acceptor.accept(stream)).await??;
        let session = stream.get_ref().1;
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let client = session.peer_certificates().and_then(|chain| {
            let chain: Vec<_> = chain.iter().map(|it| it.clone().into_owned()).collect();
            let certificate = identity::read(chain.first()?);
            Some(Client { certificate, chain, current })
        });
        // Of a session that is resumed the certificate was looked at when it began.
        if resumed && client.as_ref().is_some_and(|client| !config.lets_in(&client.chain, UnixTime::now())) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the certificate of the resumed session is not accepted",
            ));
        }
        Ok((stream, client))
    }
}

impl Client {
    /// Resolves when the certificate is not accepted any more: other CAs are trusted, which is noticed at once, or it has
    /// expired.
    pub(super) async fn lapse(mut self) {
        loop {
            tokio::select! {
                Ok(()) = self.current.changed() => {}
                () = tokio::time::sleep(EXPIRY) => {}
            }
            let config = Arc::clone(&self.current.borrow_and_update());
            if !config.lets_in(&self.chain, UnixTime::now()) {
                return;
            }
        }
    }
}
