//! Which server the client commands talk to, and how.

use std::error::Error as _;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tollgate_node::Bearer;
pub(super) use tollgate_node::Server;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use super::{Failure, with_causes};
use crate::settings::names_host_alone;

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct Target {
    /// The server; https:// for one with TLS
    #[arg(long, env = "TOLLGATE_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL",
          value_parser = server)]
    server: Uri,

    /// The context to use [default: the present one of `tollgate context list`, if there is one and no --server is given]
    #[arg(long, env = "TOLLGATE_CONTEXT", value_name = "NAME")]
    context: Option<String>,

    /// Access token to send; better given in the environment, where other users of the machine do not see it
    #[arg(long, env = "TOLLGATE_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<Secret>,

    /// PEM file of the CA that signed the server's certificate [default: the CAs of this system]
    #[arg(long, env = "TOLLGATE_TLS_CA", value_name = "PATH", help_heading = "TLS")]
    tls_ca: Option<PathBuf>,

    /// PEM file of the certificate to present to a server with --tls-client-ca; needs --tls-client-key
    #[arg(
        long,
        env = "TOLLGATE_TLS_CLIENT_CERT",
        value_name = "PATH",
        requires = "tls_client_key",
        help_heading = "TLS"
    )]
    tls_client_cert: Option<PathBuf>,

    /// PEM file of the private key of --tls-client-cert
    #[arg(
        long,
        env = "TOLLGATE_TLS_CLIENT_KEY",
        value_name = "PATH",
        requires = "tls_client_cert",
        help_heading = "TLS"
    )]
    tls_client_key: Option<PathBuf>,
}

/// A token. It is not shown.
#[derive(Clone)]
struct Secret(Arc<str>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.trim().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The URL of a server.
pub(super) fn server(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match uri.scheme_str() {
        Some("http" | "https") if names_host_alone(&uri) => Ok(uri),
        _ => Err("is written as http://127.0.0.1:50051 or https://tollgate.example.com:50051".to_owned()),
    }
}

impl Target {
    /// The server's URL.
    pub(super) fn server(&self) -> &Uri {
        &self.server
    }

    /// The access token, if there is one.
    pub(super) fn access_token(&self) -> Option<&str> {
        self.token.as_ref().map(|Secret(token)| &**token)
    }

    /// Where and how to connect.
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::from(self.server.clone()).connect_timeout(CONNECT_PATIENCE);
        let Some(tls) = self.tls()? else { return Ok(endpoint) };
        endpoint.tls_config(tls).map_err(|error| {
            let why = with_causes(error.to_string(), error.source());
            let hint = match (&self.tls_ca, &self.tls_client_key) {
                (None, None) => "give the CA that signed the server's certificate with --tls-ca".to_owned(),
                (_, Some(key)) => format!(
                    "is --tls-client-key {} the key of --tls-client-cert, in PEM and not encrypted?",
                    key.display()
                ),
                (Some(ca), None) => format!("is there a CA's certificate in --tls-ca {}?", ca.display()),
            };
            Failure::Usage(format!("cannot set up TLS: {why}; {hint}").into())
        })
    }

    /// How TLS is spoken; `None` with a server that does not.
    pub(super) fn tls(&self) -> Result<Option<ClientTlsConfig>, Failure> {
        let Self { server, context: _, token: _, tls_ca, tls_client_cert, tls_client_key } = self;
        if server.scheme_str() != Some("https") {
            let flags = [("--tls-ca", tls_ca), ("--tls-client-cert", tls_client_cert)];
            if let Some((flag, _)) = flags.iter().find(|(_, given)| given.is_some()) {
                let text = format!("{flag} is for a server with TLS, and {server} is not encrypted; use https://");
                return Err(Failure::Usage(text.into()));
            }
            return Ok(None);
        }
        let mut tls = match tls_ca {
            Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates("--tls-ca", path)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (tls_client_cert, tls_client_key) {
            let cert = certificates("--tls-client-cert", cert)?;
            tls = tls.identity(Identity::from_pem(cert, read("--tls-client-key", key)?));
        }
        Ok(Some(tls))
    }

    /// Connects.
    pub(super) async fn connect(&self, patience: Duration) -> Result<Server, Failure> {
        let channel = self.endpoint()?.timeout(patience).connect().await.map_err(|error| {
            let why = with_causes(error.to_string(), error.source());
            let hint = if why.contains("onnection refused") || why.contains("dns error") {
                "; is it running there? --server, TOLLGATE_SERVER or a context says where it is"
            } else {
                ""
            };
            Failure::Failed(format!("{}: {}{hint}", self.server, self.with_hint(why)).into())
        })?;
        self.authenticated(channel)
    }

    /// The channel, with the token.
    pub(super) fn authenticated(&self, channel: Channel) -> Result<Server, Failure> {
        let bearer =
            Bearer::new(self.access_token()).map_err(|error| Failure::Usage(format!("--token: {error}").into()))?;
        Ok(bearer.on(channel))
    }

    /// Why connecting failed, with what helps, where TLS is the reason.
    pub(super) fn with_hint(&self, why: String) -> String {
        let secure = self.server.scheme_str() == Some("https");
        // With TLS 1.3 a client has connected before its certificate is looked at, and may hear of it or not.
        let ends = ["CertificateRequired", "connection closed", "broken pipe", "connection reset"];
        let refused = ends.iter().any(|end| why.contains(end));
        if why.contains("UnknownIssuer") || why.contains("BadSignature") {
            format!("{why}; give the CA that signed the server's certificate with --tls-ca")
        } else if secure && refused && self.tls_client_cert.is_none() {
            format!("{why}; if the server wants a client certificate: --tls-client-cert and --tls-client-key")
        } else if secure && why.contains("InvalidContentType") {
            format!("{why}; the server may be one without TLS: http://")
        } else if !secure && why.contains("connection closed") {
            format!("{why}; the server may be one with TLS: https://")
        } else {
            why
        }
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Usage(format!("{flag} {}: cannot be read: {error}", path.display()).into()))
}

/// A file with certificates.
fn certificates(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(flag, path)?;
    match CertificateDer::pem_slice_iter(&bytes).next() {
        Some(Ok(_)) => Ok(bytes),
        _ => {
            let fault = "has no certificate; expected PEM (-----BEGIN CERTIFICATE-----)";
            Err(Failure::Usage(format!("{flag} {}: {fault}", path.display()).into()))
        }
    }
}
