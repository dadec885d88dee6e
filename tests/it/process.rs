//! The server as a process of its own, which can be killed, stopped and started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tonic::transport::Channel;

use crate::engine::{Database, cluster};
use crate::watch::rig::{endpoint, soon};

/// Runs `tollgate verify` on a database: whether all agrees, and what it says.
pub(crate) fn verify(database: &Database, flags: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    let output = command.args(["verify", "--database", &database.settings.url]).args(flags).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The server's process. Dropping it kills it.
pub(crate) struct Server(Child);

impl Server {
    /// A server on a database, and a connection to it.
    pub(crate) async fn start(database: &Database) -> (Self, Channel) {
        Self::start_with(database, &[]).await
    }

    /// With more in its environment.
    pub(crate) async fn start_with(database: &Database, environment: &[(&str, &str)]) -> (Self, Channel) {
        let launched = Self::launch(database.directory(), &database.settings.url, &[], environment).await;
        let (server, address) = launched.unwrap_or_else(|log| panic!("the server ended by itself: {log}"));
        let channel = soon(endpoint(address).connect()).await.unwrap();
        (server, channel)
    }

    /// A server whose files are in `directory`, with more arguments, and its address. The error is its log, if it ends
    /// before it answers calls.
    pub(crate) async fn launch(
        directory: &Path,
        url: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(Self, SocketAddr), String> {
        let program = Command::new(env!("CARGO_BIN_EXE_tollgate"));
        Self::launch_as(program, directory, url, arguments, environment).await
    }

    /// The same, as a user whose threads the system limits: never root's.
    pub(crate) async fn launch_unprivileged(
        directory: &Path,
        url: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(Self, SocketAddr), String> {
        let program = program_in(directory);
        Self::launch_as(cluster::as_unprivileged(program), directory, url, arguments, environment).await
    }

    async fn launch_as(
        mut command: Command,
        directory: &Path,
        url: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<(Self, SocketAddr), String> {
        let (ready, log) = (directory.join("ready"), directory.join("log"));
        drop(std::fs::remove_file(&ready));
        let appended = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0", "--database", url]).args(arguments);
        // Stores are empty unless a test is about what they begin with.
        command
            .env("TOLLGATE_NO_DEFAULT_PRICES", "true")
            .arg("--ready-file")
            .arg(&ready)
            .envs(environment.iter().copied());
        let mut server = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(appended).spawn().unwrap());
        let address = soon(async {
            loop {
                match std::fs::read_to_string(&ready) {
                    Ok(address) if address.ends_with('\n') => return Ok(address),
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
                if server.0.try_wait().unwrap().is_some() {
                    return Err(std::fs::read_to_string(&log).unwrap());
                }
            }
        });
        let address = address.await?.trim().parse().unwrap();
        Ok((server, address))
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGSTOP: it does nothing until it is resumed, and does not know it.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The program in `directory`, where the user who is not root may run it.
pub(crate) fn program_in(directory: &Path) -> PathBuf {
    cluster::own(directory);
    let (built, program) = (env!("CARGO_BIN_EXE_tollgate"), directory.join("tollgate"));
    if !program.exists() {
        std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(drop)).unwrap();
    }
    program
}

/// Something of which a process of somebody who is not root may have so much.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    OpenFiles,
    Memory,
    Threads,
}

impl Resource {
    /// Its name for `prlimit`, and in `/proc/<process>/limits`.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::OpenFiles => ["nofile", "Max open files"],
            Self::Memory => ["as", "Max address space"],
            Self::Threads => ["nproc", "Max processes"],
        }
    }

    /// How much of it a process uses; `None` if it has ended.
    fn used(self, process: u32) -> Option<u64> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{process}/{file}")).ok();
        match self {
            Self::OpenFiles => Some(std::fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64),
            Self::Memory => {
                let status = read("status")?;
                let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
                size.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|size| size * 1_024)
            }
            // All processes of the user count: what is there stays, and no more come.
            Self::Threads => Some(1),
        }
    }
}

/// A limit of a process that was started by [`Server::launch_unprivileged`]. Dropping it lifts it.
pub(crate) struct Limit {
    process: u32,
    resource: Resource,
    before: String,
}

impl Limit {
    /// Lets it have no more than it has; `None` if it has ended.
    pub(crate) fn to_what_is_used(process: u32, resource: Resource) -> Option<Self> {
        let used = resource.used(process)?;
        let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).ok()?;
        let [_, name] = resource.names();
        let before = limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next())?.to_owned();
        let limit = Self { process, resource, before };
        limit.set(&used.to_string()).then_some(limit)
    }

    /// Whether the process is there.
    fn set(&self, limit: &str) -> bool {
        let ([option, _], process) = (self.resource.names(), self.process.to_string());
        let mut prlimit = cluster::as_unprivileged("prlimit");
        let done = prlimit.args(["--pid", &process, &format!("--{option}={limit}:")]).output().unwrap();
        let there = std::fs::exists(format!("/proc/{process}/fd")).unwrap();
        assert!(done.status.success() || !there, "{}", String::from_utf8_lossy(&done.stderr));
        done.status.success()
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.set(&self.before);
    }
}
