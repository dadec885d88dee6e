//! Servers in processes of their own, each with a directory that goes with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs. It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
}

impl Process {
    /// Starts `command` with its log in `log`, and waits until `address` knows where it answers.
    pub(crate) async fn start(command: &mut Command, log: &Path, address: impl Fn() -> Option<String>) -> Self {
        let log_file = File::create(log).expect("a file for the log");
        let out = log_file.try_clone().expect("a file for the log");
        let mut child = command.stdin(Stdio::null()).stdout(out).stderr(log_file).spawn().expect("the server starts");
        let started = Instant::now();
        loop {
            if let Some(address) = address() {
                return Self { child, address };
            }
            let ended = child.try_wait().expect("a child of this process");
            if ended.is_some() || started.elapsed() > PATIENCE {
                let _ = child.kill();
                panic!("{command:?} does not answer: {}", std::fs::read_to_string(log).unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Bytes of memory that it has.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it has memory");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
        kib * 1024.0
    }

    /// Lets it end in order.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().expect("kill is installed");
        self.child.wait().expect("a child of this process");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that serves Tollgate on a free port and `database`, and how its address is found.
fn serve(server: &Path, database: &str, ready: &Path) -> Command {
    let mut command = Command::new(server);
    command
        .args(["serve", "--no-default-prices", "--listen", "127.0.0.1:0", "--database", database, "--ready-file"])
        .arg(ready);
    command
}

/// Where a Tollgate keeps its things.
pub(crate) struct Place {
    dir: TempDir,
    server: PathBuf,
    database: String,
}

impl Place {
    /// A new SQLite database.
    pub(crate) fn sqlite(server: &Path) -> Self {
        let dir = TempDir::new().expect("a directory");
        let database = format!("sqlite://{}", dir.path().join("tollgate.db").display());
        Self { dir, server: server.to_owned(), database }
    }

    /// The database at `url`.
    pub(crate) fn at(server: &Path, url: &str) -> Self {
        Self { dir: TempDir::new().expect("a directory"), server: server.to_owned(), database: url.to_owned() }
    }

    /// Runs a server on it.
    pub(crate) async fn start(&self) -> Process {
        let ready = self.dir.path().join("ready");
        // One that was killed leaves it.
        let _ = std::fs::remove_file(&ready);
        let mut command = serve(&self.server, &self.database, &ready);
        let address = || Some(std::fs::read_to_string(&ready).ok()?.strip_suffix('\n')?.to_owned());
        Process::start(&mut command, &self.dir.path().join("log"), address).await
    }
}

/// Runs etcd as it comes, in `dir`.
pub(crate) async fn etcd(binary: &Path, dir: &Path) -> Process {
    let [clients, peers] = [free_port(), free_port()];
    let [client_url, peer_url] = [&clients, &peers].map(|address| format!("http://{address}"));
    let mut command = Command::new(binary);
    command.arg("--data-dir").arg(dir.join("data")).args(["--listen-client-urls", &client_url]);
    command.args(["--advertise-client-urls", &client_url, "--listen-peer-urls", &peer_url]);
    command.args(["--initial-advertise-peer-urls", &peer_url, "--initial-cluster", &format!("default={peer_url}")]);
    let log = dir.join("log");
    let serving = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("ready to serve client requests"));
    Process::start(&mut command, &log, || serving().then(|| clients.clone())).await
}

/// Runs the plain tonic server of `plain`, which answers with `answer` bytes.
pub(crate) async fn plain(dir: &Path, answer: usize) -> Process {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let address = free_port();
    command.args(["--plain", &answer.to_string(), &address]);
    let answers = || std::net::TcpStream::connect(&address).is_ok();
    Process::start(&mut command, &dir.join("log"), || answers().then(|| address.clone())).await
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Where `program` is, if it is installed.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.exists())
}
