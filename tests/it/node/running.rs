//! `tollgate node` as a process, and the ways to ask it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::{Channel, Endpoint};

use super::admit::World;
use super::*;

/// A node's process. Dropping it kills it.
pub(super) struct Running {
    process: Child,
    pub(super) place: String,
    pub(super) data: PathBuf,
}

impl Running {
    /// A node of the world's control plane, once it answers.
    pub(super) async fn start(world: &World, arguments: &[&str]) -> Self {
        let data = world.directory.path().join("data");
        Self::launch(world, &data, arguments).await.unwrap_or_else(|(code, log)| panic!("it ended with {code}: {log}"))
    }

    /// The error is the exit code and the log of a node that ended by itself.
    pub(super) async fn launch(world: &World, data: &Path, arguments: &[&str]) -> Result<Self, (i32, String)> {
        // However slow this machine is.
        let patient = ["--credit-wait", "30s", "--recall-wait", "30s"];
        Self::launch_as("gateway", world.rig.address(), data, &[&patient, arguments].concat()).await
    }

    /// The same with this name and this server.
    pub(super) async fn launch_as(
        node_id: &str,
        server: SocketAddr,
        data: &Path,
        arguments: &[&str],
    ) -> Result<Self, (i32, String)> {
        std::fs::create_dir_all(data).unwrap();
        let mut command = node_command(&["--node-id", node_id, "--server", &format!("http://{server}")]);
        command.arg("--data-dir").arg(data.join("outbox"));
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command.args(arguments);
        Self::spawn(command, data).await
    }

    /// A node with these settings in its environment, and none else but where it listens.
    pub(super) async fn launch_in(environment: &BTreeMap<String, String>, data: &Path) -> Result<Self, (i32, String)> {
        let mut command = node_command(&["--listen", "127.0.0.1:0"]);
        command.envs(environment);
        Self::spawn(command, data).await
    }

    async fn spawn(mut command: Command, data: &Path) -> Result<Self, (i32, String)> {
        let (ready, log) = (data.join("ready"), data.join("log"));
        drop(std::fs::remove_file(&ready));
        let appended = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.arg("--ready-file").arg(&ready).stdout(Stdio::null()).stderr(appended);
        let mut running = Self { process: command.spawn().unwrap(), place: String::new(), data: data.to_owned() };
        soon(async {
            loop {
                if let Ok(place) = std::fs::read_to_string(&ready)
                    && let Some(place) = place.strip_suffix('\n')
                {
                    running.place = place.to_owned();
                    return Ok(running);
                }
                if let Some(status) = running.process.try_wait().unwrap() {
                    return Err((status.code().unwrap_or(-1), std::fs::read_to_string(&log).unwrap()));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }

    async fn connection(&self) -> Box<dyn Connection> {
        match self.place.strip_prefix("unix://") {
            Some(path) => Box::new(UnixStream::connect(path).await.unwrap()),
            None => Box::new(TcpStream::connect(&self.place).await.unwrap()),
        }
    }

    /// A request of HTTP/1.1 as it is written, and the status and the body of the answer.
    pub(super) async fn raw(&self, head: &str, body: &[u8]) -> (u16, String) {
        let (head, body) = self.whole(head, body).await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// The same, and the whole head of the answer.
    pub(super) async fn whole(&self, head: &str, body: &[u8]) -> (String, String) {
        let mut connection = self.connection().await;
        connection.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        connection.write_all(body).await.unwrap();
        let mut answer = String::new();
        soon(connection.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let (status, answer) = self.raw(&head("POST", path, body.len()), body.as_bytes()).await;
        (status, serde_json::from_str(&answer).unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: localhost"), b"").await
    }

    pub(super) async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/v1/status").await.1).unwrap()
    }

    pub(super) async fn channel(&self) -> Channel {
        let url = if self.place.contains("://") { self.place.clone() } else { format!("http://{}", self.place) };
        soon(Endpoint::from_shared(url).unwrap().connect()).await.unwrap()
    }

    /// Runs `tollgate node COMMAND` against it.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = node_command(arguments);
        command.env("TOLLGATE_NODE", &self.place);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// SIGSTOP, or SIGCONT: a stopped node does nothing, and does not know it.
    pub(super) fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
    }

    /// SIGTERM, and its exit code.
    pub(super) async fn terminate(mut self) -> Option<i32> {
        assert!(Command::new("kill").arg(self.process.id().to_string()).status().unwrap().success());
        soon(async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<C: AsyncRead + AsyncWrite + Unpin + Send> Connection for C {}

pub(super) fn node_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.arg("node").args(arguments).stdin(Stdio::null());
    command
}

/// The head of a request with a body of JSON, without its end.
pub(super) fn head(method: &str, path: &str, length: usize) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}")
}
