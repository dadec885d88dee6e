//! One attempt of a delivery: a POST that follows nothing, waits for nobody, and goes to the address that was looked at.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use super::address::is_public;

/// How long an attempt may take, from the look-up of the name to the head of the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of an answer: of its head, and of its body.
const ANSWER: usize = 64 * 1024;
/// How long the body of an answer is read, so that a receiver can finish it. What it says is of no interest.
const REST: Duration = Duration::from_secs(1);

type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
/// Looks a name up.
pub(super) type Resolve = Arc<dyn Fn(String, u16) -> Found + Send + Sync>;

/// Sends deliveries. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Client {
    resolve: Resolve,
    allow_private: bool,
    tls: Arc<OnceCell<TlsConnector>>,
}

impl Client {
    /// One that asks the system for addresses, and refuses private ones unless they are allowed.
    pub(super) fn new(allow_private: bool) -> Self {
        let resolve: Resolve = Arc::new(|host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
        });
        Self { resolve, allow_private, tls: Arc::default() }
    }

    /// Whether private addresses, and `http`, are allowed.
    pub(super) fn allows_private(&self) -> bool {
        self.allow_private
    }

    /// Posts `body` with `headers`; the status of the answer.
    ///
    /// # Errors
    /// Why there is none, without anything of the URL but its host.
    pub(super) async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, String> {
        let attempt = self.attempt(url, headers, body);
        let late = |_| format!("it did not answer within {} seconds", TIMEOUT.as_secs());
        let (answer, _connection) = tokio::time::timeout(TIMEOUT, attempt).await.map_err(late)??;
        let status = answer.status().as_u16();
        // Its status is what counts, however slow the rest is.
        drop(tokio::time::timeout(REST, drain(answer.into_body())).await);
        Ok(status)
    }

    async fn attempt(
        &self,
        url: &str,
        headers: &[(&'static str, String)],
        body: &str,
    ) -> Result<(http::Response<Incoming>, AbortOnDropHandle<()>), String> {
        let uri: Uri = url.parse().map_err(|_| "its URL is none; change it".to_owned())?;
        let (Some(host), Some(authority)) = (uri.host(), uri.authority()) else {
            return Err("its URL names no host; change it".to_owned());
        };
        let encrypted = uri.scheme_str() == Some("https");
        if !encrypted && !self.allow_private {
            return Err("http is refused; use https, or start the server with --allow-private-webhooks".to_owned());
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let stream = self.connect(bare, port).await?;
        let mut request =
            Request::builder().method(Method::POST).uri(uri.path_and_query().map_or("/", |it| it.as_str()));
        if let Some(all) = request.headers_mut() {
            let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
            all.insert(header::HOST, value(authority.as_str())?);
            all.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            all.insert(header::USER_AGENT, HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION"))));
            for (name, text) in headers {
                all.insert(HeaderName::from_static(name), value(text)?);
            }
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).map_err(|it| it.to_string())?;
        if !encrypted {
            return exchange(stream, request).await;
        }
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| format!("{bare:?} is no name of a host"))?;
        let failed = |error: io::Error| format!("no TLS with {bare}: {error}");
        exchange(self.tls().await?.connect(name, stream).await.map_err(failed)?, request).await
    }

    /// A connection to the first address of `host` that takes one. An address that was looked at is the one that is connected to:
    /// the name is not looked up again, so that it cannot mean another one then.
    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let found = (self.resolve)(host.to_owned(), port).await;
        let found = found.map_err(|error| format!("{host} cannot be looked up: {error}"))?;
        let allowed = found.iter().filter(|address| self.allow_private || is_public(address.ip()));
        let mut failure = match found.is_empty() {
            true => format!("{host} has no address"),
            false => format!(
                "{host} has private addresses only; start the server with --allow-private-webhooks to allow them"
            ),
        };
        for address in allowed {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = format!("no connection to {host}: {error}"),
            }
        }
        Err(failure)
    }

    /// TLS with the roots of the system, which are read once.
    async fn tls(&self) -> Result<&TlsConnector, String> {
        let read = || async {
            let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            let found = found.map_err(|_| "the certificates of this machine cannot be read".to_owned())?;
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err("this machine has no certificates of authorities; install ca-certificates".to_owned());
            }
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
            let config = config.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
            let config = config.with_root_certificates(roots).with_no_client_auth();
            Ok(TlsConnector::from(Arc::new(config)))
        };
        self.tls.get_or_try_init(read).await
    }
}

/// Sends a request on a connection of its own; the head of the answer, and what keeps the connection open.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(http::Response<Incoming>, AbortOnDropHandle<()>), String> {
    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let handshake = http1::Builder::new().max_buf_size(ANSWER).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
    Ok((sender.send_request(request).await.map_err(broken)?, connection))
}

async fn drain(mut body: Incoming) {
    let mut read = 0;
    while read < ANSWER
        && !body.is_end_stream()
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A client to which a name means what `answers` say, one after the other.
    fn client(answers: Vec<Vec<SocketAddr>>, allow_private: bool) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let resolve: Resolve = Arc::new(move |_, _| {
            let turn = counted.fetch_add(1, Ordering::SeqCst);
            let found = answers.get(turn).or(answers.last()).cloned().unwrap();
            Box::pin(async move { Ok(found) })
        });
        (Client { resolve, ..Client::new(allow_private) }, asked)
    }

    async fn receiver() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_name_that_means_a_private_address_is_refused_whenever_it_begins_to() {
        let (listener, private) = receiver().await;
        // Nothing answers there, and nobody waits long: what counts is that the private address is not tried.
        let public: SocketAddr = "192.88.98.1:9".parse().unwrap();
        let (client, asked) = client(vec![vec![private], vec![public, private], vec![private]], false);
        for turn in 1..=3 {
            let attempt =
                tokio::time::timeout(Duration::from_millis(200), client.post("https://a.example/", &[], "{}"));
            match attempt.await {
                Ok(refused) => {
                    let refused = refused.unwrap_err();
                    let is_tried = !refused.contains("private addresses only");
                    assert_eq!(is_tried, turn == 2, "{turn}: {refused}");
                }
                Err(_) => assert_eq!(turn, 2, "a public address that does not answer"),
            }
            assert_eq!(asked.load(Ordering::SeqCst), turn, "looked up once an attempt");
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nobody.is_err(), "somebody connected to the private address");
    }

    #[tokio::test]
    async fn plain_http_is_for_private_receivers_that_are_allowed() {
        let (listener, address) = receiver().await;
        let (client, _) = client(vec![vec![address]], false);
        let refused = client.post("http://a.example/", &[], "{}").await.unwrap_err();
        assert!(refused.contains("http is refused"), "{refused}");
        let client = Client { allow_private: true, ..client };
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let read = stream.read(&mut request).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        });
        let status = client.post("http://a.example:81/x?y=1", &[("webhook-id", "7".to_owned())], "{}").await;
        assert_eq!(status, Ok(204));
        let request = serving.await.unwrap().to_lowercase();
        assert!(request.starts_with("post /x?y=1 http/1.1\r\nhost: a.example:81\r\n"), "{request}");
        assert!(request.contains("webhook-id: 7\r\n") && request.ends_with("\r\n\r\n{}"), "{request}");
    }
}
