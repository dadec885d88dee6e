use std::convert::Infallible;
use std::fs;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::task::{Context, Poll};

use http::{Request, Response};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tower::{Service, ServiceExt as _};

use super::reload::Look;
use super::*;
use crate::access::Registry;
use crate::api::Auth;
use crate::api::{CertificateRole, Holder};
use crate::ledger::Clock;
use crate::server::{base_routes, bind, serve};
use crate::settings::AccessSettings;
use crate::settings::TransportSettings;

/// A certificate and its key, as PEM.
struct Pair {
    cert: String,
    key: String,
}

struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { cert, key: key.serialize_pem() }
    }

    fn server(&self) -> Pair {
        self.sign(CertificateParams::new(["localhost".to_owned()]).unwrap())
    }

    fn client(&self, uris: &[&str]) -> Pair {
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        self.sign(params)
    }
}

/// A directory with the files of a server.
struct Files {
    dir: TempDir,
    settings: TlsSettings,
}

impl Files {
    fn new(pair: &Pair) -> Self {
        let dir = TempDir::new().unwrap();
        let settings = TlsSettings { cert: dir.path().join("cert"), key: dir.path().join("key"), client_ca: None };
        let files = Self { dir, settings };
        files.write(pair);
        files
    }

    fn write(&self, Pair { cert, key }: &Pair) {
        fs::write(&self.settings.cert, cert).unwrap();
        fs::write(&self.settings.key, key).unwrap();
    }

    fn with_client_ca(mut self, ca: &Ca) -> Self {
        let path = self.dir.path().join("client-ca");
        fs::write(&path, ca.0.pem()).unwrap();
        self.settings.client_ca = Some(path);
        self
    }

    fn fault(&self) -> String {
        let Err(error) = Tls::load(self.settings.clone()) else { panic!("was taken") };
        error.to_string()
    }
}

#[test]
fn bad_files_say_flag_fault_and_remedy() {
    let (ca, files) = (Ca::new(), Files::new(&Ca::new().server()));
    let (good, other) = (ca.server(), ca.server());
    let der = ca.0.der().to_vec();
    type Spoil<'a> = &'a dyn Fn(&TlsSettings);
    let put = |path: &PathBuf, bytes: &[u8]| fs::write(path, bytes).unwrap();
    let cases: [(&str, &[&str], Spoil<'_>); 11] = [
        ("--tls-cert", &["no such file"], &|it| fs::remove_file(&it.cert).unwrap()),
        ("--tls-key", &["no such file"], &|it| fs::remove_file(&it.key).unwrap()),
        ("--tls-cert", &["cannot be read"], &|it| {
            fs::remove_file(&it.cert).unwrap();
            fs::create_dir(&it.cert).unwrap();
        }),
        ("--tls-cert", &["has no certificate", "BEGIN CERTIFICATE"], &|it| put(&it.cert, b"")),
        ("--tls-cert", &["is it the file for --tls-key?"], &|it| put(&it.cert, good.key.as_bytes())),
        ("--tls-cert", &["is DER", "openssl x509"], &|it| put(&it.cert, &der)),
        ("--tls-cert", &["cut"], &|it| put(&it.cert, &good.cert.as_bytes()[..200])),
        ("--tls-key", &["is it the file for --tls-cert?"], &|it| put(&it.key, good.cert.as_bytes())),
        ("--tls-key", &["encrypted", "openssl pkey"], &|it| {
            put(&it.key, good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY").as_bytes());
        }),
        ("--tls-key", &["not the key of the first certificate in --tls-cert"], &|it| {
            put(&it.key, other.key.as_bytes())
        }),
        ("--tls-key", &["no key that can be used", "P-256"], &|it| {
            put(&it.key, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        }),
    ];
    for (flag, says, spoil) in cases {
        files.write(&good);
        spoil(&files.settings);
        let fault = files.fault();
        assert!(fault.starts_with(flag), "{fault}");
        assert!(fault.contains(&files.dir.path().display().to_string()), "{fault}");
        for says in says {
            assert!(fault.contains(says), "{fault:?} does not say {says:?}");
        }
        assert!(!fault.contains("BEGIN PRIVATE KEY-----\n"), "{fault}");
        if files.settings.cert.is_dir() {
            fs::remove_dir(&files.settings.cert).unwrap();
        }
    }
    files.write(&good);
    let files = files.with_client_ca(&ca);
    fs::write(files.settings.client_ca.as_ref().unwrap(), "nothing").unwrap();
    let fault = files.fault();
    assert!(fault.starts_with("--tls-client-ca") && fault.contains("has no certificate"), "{fault}");
}

/// What a handshake uses, to tell one from another.
fn used(tls: &Tls) -> *const ServerConfig {
    Arc::as_ptr(&tls.current.borrow().server)
}

#[test]
fn a_broken_pair_leaves_the_old_one_in_use_and_is_reported_once() {
    let ca = Ca::new();
    let files = Files::new(&ca.server());
    let (tls, mut reload) = Tls::load(files.settings.clone()).unwrap();
    let first = used(&tls);
    assert!(matches!(reload.look(), Look::Nothing));

    // Half of a renewal: a fault only if it stays.
    let next = ca.server();
    fs::write(&files.settings.cert, &next.cert).unwrap();
    assert!(matches!(reload.look(), Look::Nothing));
    let Look::Broken(error) = reload.look() else { panic!("not reported") };
    assert!(error.to_string().contains("is not the key of the first certificate"), "{error}");
    assert!(matches!(reload.look(), Look::Nothing));
    assert_eq!(used(&tls), first);

    fs::write(&files.settings.key, &next.key).unwrap();
    assert!(matches!(reload.look(), Look::Changed));
    let second = used(&tls);
    assert_ne!(first, second);

    fs::remove_file(&files.settings.key).unwrap();
    assert!(matches!(reload.look(), Look::Nothing));
    assert!(matches!(reload.look(), Look::Broken(_)));
    files.write(&next);
    assert!(matches!(reload.look(), Look::Nothing));
    assert_eq!(used(&tls), second);
}

#[test]
fn a_certificate_that_has_expired_is_not_accepted_any_more() {
    let ca = Ca::new();
    let files = Files::new(&ca.server()).with_client_ca(&ca);
    let (tls, _reload) = Tls::load(files.settings.clone()).unwrap();
    let chain = |pair: &Pair| vec![CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap()];
    let mut params = CertificateParams::new([]).unwrap();
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let client = chain(&ca.sign(params));
    let (now, later) = (UnixTime::now(), UnixTime::since_unix_epoch(Duration::from_secs(4_102_444_801)));
    let lets_in = |chain: &[CertificateDer<'_>], at| tls.current.borrow().lets_in(chain, at);
    assert!(lets_in(&client, now) && !lets_in(&client, later));
    assert!(!lets_in(&chain(&Ca::new().client(&[])), now), "of another CA");
    assert!(!lets_in(&[], now), "without one");
}

/// Says what the transport has put into the request.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

impl Service<Request<Body>> for WhoAmI {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let certificate = request.extensions().get::<ClientCertificate>();
        ready(Ok(Status::aborted(format!("{certificate:?}")).into_http()))
    }
}

struct Server {
    address: std::net::SocketAddr,
    _stop: oneshot::Sender<()>,
    _files: Files,
}

impl Server {
    async fn start(files: Files) -> Self {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut routes, _health) = base_routes().unwrap();
        routes.add_service(WhoAmI);
        let (stop, stopped) = oneshot::channel::<()>();
        let transport = TransportSettings { tls: Some(files.settings.clone()), ..TransportSettings::default() };
        let stopped = async { drop(stopped.await) };
        let open = Auth::new(Arc::new(Registry::new(&AccessSettings::default(), false)), Clock::system());
        tokio::spawn(serve(listener, routes.routes(), open, transport, CancellationToken::new(), stopped));
        Self { address, _stop: stop, _files: files }
    }

    async fn who(&self, ca: &Ca, client: Option<&Pair>) -> Result<String, String> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.0.pem()));
        if let Some(Pair { cert, key }) = client {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{}", self.address.port())).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect_lazy();
        let request = Request::post("/test.WhoAmI/Ask").header("content-type", "application/grpc");
        let answer =
            channel.oneshot(request.body(Body::empty()).unwrap()).await.map_err(|error| format!("{error:?}"))?;
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Aborted);
        Ok(status.message().to_owned())
    }
}

#[tokio::test]
async fn calls_know_the_certificate_of_their_connection() {
    let (ca, client_ca) = (Ca::new(), Ca::new());
    let server = Server::start(Files::new(&ca.server()).with_client_ca(&client_ca)).await;
    let says = |certificate: ClientCertificate| format!("{:?}", Some(certificate));
    let node = client_ca.client(&["spiffe://example.com/n1", "tollgate://node/n1"]);
    let holder = Holder { role: CertificateRole::Node, name: "n1".to_owned() };
    assert_eq!(server.who(&ca, Some(&node)).await.unwrap(), says(ClientCertificate::Of(holder)));
    let nobody = client_ca.client(&["spiffe://example.com/n1"]);
    assert_eq!(server.who(&ca, Some(&nobody)).await.unwrap(), says(ClientCertificate::OfNobody));
    let unclear = server.who(&ca, Some(&client_ca.client(&["tollgate://root/n1"]))).await.unwrap();
    assert!(unclear.contains("Unclear"), "{unclear}");
}

#[tokio::test]
async fn only_clients_that_the_ca_has_signed_are_let_in() {
    let (ca, client_ca) = (Ca::new(), Ca::new());
    let server = Server::start(Files::new(&ca.server()).with_client_ca(&client_ca)).await;
    let none = server.who(&ca, None).await.unwrap_err();
    assert!(none.contains("CertificateRequired"), "{none}");
    // Signed by the CA of servers, which is another.
    assert!(server.who(&ca, Some(&ca.client(&["tollgate://admin/mallory"]))).await.is_err());
    let mut past = CertificateParams::new([]).unwrap();
    past.not_after = rcgen::date_time_ymd(2020, 1, 1);
    assert!(server.who(&ca, Some(&client_ca.sign(past))).await.is_err());
    // And the client looks at the server's.
    let wrong = server.who(&client_ca, Some(&client_ca.client(&[]))).await.unwrap_err();
    assert!(wrong.contains("InvalidCertificate"), "{wrong}");
}

#[tokio::test]
async fn without_a_client_ca_there_is_no_certificate_to_know() {
    let ca = Ca::new();
    let server = Server::start(Files::new(&ca.server())).await;
    assert_eq!(server.who(&ca, None).await.unwrap(), "None");
}

#[tokio::test]
async fn who_does_not_shake_hands_holds_nobody_up() {
    let ca = Ca::new();
    let server = Server::start(Files::new(&ca.server())).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(server.who(&ca, None).await.unwrap(), "None");
    // Plain text on this port is no call.
    let plain = Endpoint::from_shared(format!("http://{}", server.address)).unwrap().connect_lazy();
    let request = Request::post("/test.WhoAmI/Ask").header("content-type", "application/grpc");
    assert!(plain.oneshot(request.body(Body::empty()).unwrap()).await.is_err());
    drop(silent);
}
