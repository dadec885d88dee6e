//! The files: PEM as OpenSSL and its kin write it. Every error names the flag, the file, what is wrong and what helps,
//! because nothing is harder to guess from afar than what is wrong with a certificate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _, SectionKind};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys, RootCertStore, ServerConfig};

use crate::settings::TlsSettings;

/// The protocols offered; HTTP/1.1 is for gRPC-Web, and for texts to people who come with a browser.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[error("{flag} {}: {fault}", path.display())]
pub struct TlsError {
    /// The flag that names the file.
    flag: &'static str,
    /// The file.
    path: PathBuf,
    /// What is wrong, and what helps.
    fault: String,
}

const CERT: &str = "--tls-cert";
const KEY: &str = "--tls-key";
const CLIENT_CA: &str = "--tls-client-ca";

/// What the files hold.
pub(super) struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// One cannot be read.
    pub(super) fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let TlsSettings { cert, key, client_ca } = settings;
        Ok(Self {
            cert: read(CERT, cert)?,
            key: read(KEY, key)?,
            client_ca: client_ca.as_ref().map(|path| read(CLIENT_CA, path)).transpose()?,
        })
    }

    /// Tells contents apart, without a copy of the key.
    pub(super) fn fingerprint(&self) -> blake3::Hash {
        let Self { cert, key, client_ca } = self;
        let mut hasher = blake3::Hasher::new();
        for bytes in [Some(cert), Some(key), client_ca.as_ref()].into_iter().flatten() {
            hasher.update(blake3::hash(bytes).as_bytes());
        }
        hasher.finalize()
    }

    /// What handshakes need, and what decides about the certificates of clients.
    ///
    /// # Errors
    ///
    /// A file does not hold what it should, or the key is not that of the certificate.
    pub(super) fn config(&self, settings: &TlsSettings) -> Result<Config, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let cert = File { flag: CERT, path: &settings.cert, bytes: &self.cert };
        let key = File { flag: KEY, path: &settings.key, bytes: &self.key };
        let identity = certified_key(&provider, &cert, &key)?;

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| cert.fault(format!("cannot be served: {error}")))?;
        let clients = match (&settings.client_ca, &self.client_ca) {
            (Some(path), Some(bytes)) => {
                let roots = Arc::new(File { flag: CLIENT_CA, path, bytes }.roots()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                Some(verifier.map_err(|error| match error {
                    VerifierBuilderError::NoRootAnchors => cert_missing(CLIENT_CA, path, "the CA's"),
                    error => TlsError { flag: CLIENT_CA, path: path.clone(), fault: error.to_string() },
                })?)
            }
            _ => None,
        };
        let builder = match &clients {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let resolver = rustls::sign::SingleCertAndKey::from(identity);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Config { server: Arc::new(config), clients })
    }
}

/// What was made of the files.
pub(super) struct Config {
    /// What handshakes need.
    pub(super) server: Arc<ServerConfig>,
    /// What decides about the certificates of clients, if they must have one.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Config {
    /// Whether a client with this certificate, followed by those that lead to the root, is let in at `now`.
    pub(super) fn lets_in(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> bool {
        match (&self.clients, chain.split_first()) {
            (Some(clients), Some((own, rest))) => clients.verify_client_cert(own, rest, now).is_ok(),
            (clients, _) => clients.is_none(),
        }
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file; give the path of a PEM file".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "permission denied; make it readable for the user that runs the server, and for nobody else".to_owned()
            }
            _ => format!("cannot be read: {error}"),
        };
        TlsError { flag, path: path.to_owned(), fault: what }
    })
}

fn certified_key(provider: &CryptoProvider, cert: &File<'_>, key: &File<'_>) -> Result<CertifiedKey, TlsError> {
    let chain = cert.certificates("the server's own first, then those that lead to the root")?;
    let signing = provider.key_provider.load_private_key(key.private_key()?).map_err(|error| {
        key.fault(format!(
            "is no key that can be used ({error}); use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 bits or more"
        ))
    })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // Of some kinds of key it cannot be told.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(key.fault(format!(
            "is not the key of the first certificate in {CERT} {}; give the two files that were made together, and in \
             {CERT} the server's own certificate first",
            cert.path.display()
        ))),
        Err(error) => Err(cert.fault(format!("its first certificate cannot be used: {error}"))),
    }
}

fn cert_missing(flag: &'static str, path: &Path, which: &str) -> TlsError {
    let fault = format!("has no certificate; expected PEM (-----BEGIN CERTIFICATE-----), {which}");
    TlsError { flag, path: path.to_owned(), fault }
}

/// A file that was read.
struct File<'a> {
    flag: &'static str,
    path: &'a Path,
    bytes: &'a [u8],
}

impl File<'_> {
    fn fault(&self, fault: String) -> TlsError {
        TlsError { flag: self.flag, path: self.path.to_owned(), fault }
    }

    fn sections(&self) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
        let mut rest = self.bytes;
        let mut sections = Vec::new();
        loop {
            match pem::from_buf(&mut rest) {
                Ok(Some(section)) => sections.push(section),
                Ok(None) => return Ok(sections),
                Err(error) => {
                    return Err(self.fault(format!("is no well-formed PEM ({error:?}); it may have been cut")));
                }
            }
        }
    }

    /// The certificates, in their order; at least one.
    fn certificates(&self, which: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let sections = self.sections()?;
        let key = sections.iter().any(|(kind, _)| is_key(*kind));
        let found: Vec<_> =
            sections.into_iter().filter_map(|(kind, der)| CertificateDer::from_pem(kind, der)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        Err(if key {
            self.fault(format!("has a private key and no certificate; is it the file for {KEY}?"))
        } else if self.is_der() {
            self.fault("is DER; convert it with `openssl x509 -inform der -in <file> -out <file>.pem`".to_owned())
        } else {
            cert_missing(self.flag, self.path, which)
        })
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let sections = self.sections()?;
        let certificate = sections.iter().any(|(kind, _)| *kind == SectionKind::Certificate);
        if let Some(key) = sections.into_iter().find_map(|(kind, der)| PrivateKeyDer::from_pem(kind, der)) {
            return Ok(key);
        }
        let text = String::from_utf8_lossy(self.bytes);
        Err(self.fault(if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            "is encrypted with a password; decrypt it with `openssl pkey -in <file> -out <file>.plain`, readable for \
             the server's user only"
                .to_owned()
        } else if certificate {
            format!("has a certificate and no private key; is it the file for {CERT}?")
        } else if self.is_der() {
            "is DER; convert it with `openssl pkey -inform der -in <file> -out <file>.pem`".to_owned()
        } else {
            "has no private key; expected PEM (-----BEGIN PRIVATE KEY-----), not encrypted".to_owned()
        }))
    }

    /// The certificates as roots of trust.
    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in
            self.certificates("those of the CAs whose clients are let in")?.into_iter().enumerate()
        {
            roots.add(certificate).map_err(|error| {
                self.fault(format!("its certificate {} cannot be a root of trust: {error}", index + 1))
            })?;
        }
        Ok(roots)
    }

    /// Whether the bytes are an ASN.1 sequence, as certificates and keys are when they are not PEM.
    fn is_der(&self) -> bool {
        self.bytes.first() == Some(&0x30) && !self.bytes.is_ascii()
    }
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}
