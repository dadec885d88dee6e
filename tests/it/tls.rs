//! TLS through the front door: certificates that change under load, and the client commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tollgate::proto::v1;
use tollgate::settings::TlsSettings;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::watch::api::Api;
use super::watch::rig::{Node, Rig, soon};

/// A directory with the files of a server, of its clients, and of their CAs.
pub(crate) struct Pki {
    dir: TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self { dir: TempDir::new().unwrap() };
        pki.renew();
        let clients = issuer();
        fs::write(pki.path("client-ca.pem"), clients.pem()).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.subject_alt_names = vec![SanType::URI("tollgate://admin/test".try_into().unwrap())];
        pki.sign(params, &clients, "client");
        pki
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A new CA for servers, and a new certificate of it.
    fn renew(&self) {
        let servers = issuer();
        self.sign(CertificateParams::new(["localhost".to_owned()]).unwrap(), &servers, "server");
        fs::write(self.path("ca.pem"), servers.pem()).unwrap();
    }

    fn sign(&self, params: CertificateParams, issuer: &CertifiedIssuer<'_, KeyPair>, name: &str) {
        let key = KeyPair::generate().unwrap();
        fs::write(self.path(&format!("{name}.pem")), params.signed_by(&key, issuer).unwrap().pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn settings(&self, mutual: bool) -> TlsSettings {
        TlsSettings {
            cert: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: mutual.then(|| self.path("client-ca.pem")),
        }
    }

    /// Connects as one who trusts the CA that is there now.
    async fn connect(&self, port: u16) -> Result<Channel, tonic::transport::Error> {
        let read = |name| fs::read(self.path(name)).unwrap();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("ca.pem")))
            .identity(Identity::from_pem(read("client.pem"), read("client.key")));
        Endpoint::from_shared(format!("https://localhost:{port}")).unwrap().tls_config(tls).unwrap().connect().await
    }
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load_without_dropping_a_stream() {
    let pki = Pki::new();
    let mut rig = Rig::new();
    rig.settings.transport.tls = Some(pki.settings(true));
    let port = rig.start().await.port();
    let api = Api(pki.connect(port).await.unwrap());
    let team = api.team("busy").await;
    let mut nodes = Vec::new();
    for _ in 0..8 {
        let mut node = Node::new(&[]);
        node.connect(&Api(pki.connect(port).await.unwrap())).await.unwrap();
        nodes.push(node);
    }

    let done = AtomicBool::new(false);
    let writing = async {
        let mut revision = 0;
        while !done.load(Ordering::Relaxed) {
            revision = api.label_team(&team.id, &revision.to_string()).await;
        }
        revision
    };
    let renewing = async {
        for _ in 0..2 {
            pki.renew();
            // Only a server that has read the new files is trusted by who trusts the new CA.
            soon(async { while pki.connect(port).await.is_err() {} }).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let reading = async {
        // Each reads while it is written, and every error is a panic.
        let mut reading = tokio::task::JoinSet::new();
        let (say, last) = tokio::sync::watch::channel(0);
        for mut node in nodes {
            let mut last = last.clone();
            reading.spawn(async move {
                loop {
                    node.expect().await;
                    let last = *last.borrow_and_update();
                    if last > 0 && node.revision() >= last {
                        return node.revision();
                    }
                }
            });
        }
        (say, reading)
    };
    let (revision, (), (say, reading)) = tokio::join!(writing, renewing, reading);
    say.send(revision).unwrap();
    assert_eq!(soon(reading.join_all()).await, [revision; 8]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_ca_is_not_trusted_any_more_is_shut_out_with_what_it_has_open() {
    let pki = Pki::new();
    let mut rig = Rig::new();
    rig.settings.transport.tls = Some(pki.settings(true));
    let port = rig.start().await.port();
    let api = Api(pki.connect(port).await.unwrap());
    let mut node = Node::new(&[]);
    let (.., head) = node.connect(&api).await.unwrap();
    node.until(head).await;
    fs::write(pki.path("client-ca.pem"), issuer().pem()).unwrap();
    let ended = async {
        loop {
            match node.step().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    };
    let ended = soon(ended).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(api.create_team(v1::Team { name: "late".to_owned(), ..Default::default() }).await.is_err());
    drop((node, api));
    rig.stop().await;
}

fn tollgate(dir: &Path, port: u16, scheme: &str, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let server = format!("{scheme}://localhost:{port}");
    command.current_dir(dir).args(["watch", "--once", "--kinds", "provider", "--server", &server]).args(flags);
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_speak_tls_and_say_what_is_missing() {
    let pki = Pki::new();
    let mut rig = Rig::new();
    rig.settings.transport.tls = Some(pki.settings(true));
    let port = rig.start().await.port();
    let run = |scheme: &'static str, flags: &'static [&'static str]| {
        let dir = pki.dir.path().to_owned();
        async move { tokio::task::spawn_blocking(move || tollgate(&dir, port, scheme, flags)).await.unwrap() }
    };
    let all = &["--tls-ca", "ca.pem", "--tls-client-cert", "client.pem", "--tls-client-key", "client.key"];
    let listed = run("https", all).await;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("openai"), "{listed:?}");
    assert!(listed.status.success(), "{listed:?}");

    let cases: [(&'static str, &'static [&'static str], i32, &[&str]); 7] = [
        (
            "https",
            &["--tls-client-cert", "client.pem", "--tls-client-key", "client.key"],
            1,
            &["UnknownIssuer", "--tls-ca"],
        ),
        ("https", &["--tls-ca", "ca.pem"], 1, &["--tls-client-cert"]),
        ("https", &["--tls-ca", "none.pem"], 2, &["--tls-ca none.pem", "No such file"]),
        ("https", &["--tls-ca", "client.key"], 2, &["--tls-ca client.key", "has no certificate"]),
        ("https", &["--tls-client-cert", "client.pem"], 2, &["--tls-client-key"]),
        ("http", &["--tls-ca", "ca.pem"], 2, &["--tls-ca", "https://"]),
        ("ftp", &[], 2, &["https://"]),
    ];
    for (scheme, flags, code, says) in cases {
        let failed = run(scheme, flags).await;
        let text = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(code), "{flags:?}: {text}");
        for says in says {
            assert!(text.contains(says), "{flags:?}: {text:?} does not say {says:?}");
        }
    }
    rig.stop().await;
}
