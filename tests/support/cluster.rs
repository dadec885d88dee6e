//! A PostgreSQL cluster of the test process, made from the binaries that are installed. It ends with the process, however
//! that ends: a shell holds the other end of a pipe, and stops the cluster when the pipe closes.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names the engine of the tests, `sqlite` (the default) or `postgres`.
pub(crate) const ENGINE: &str = "TOLLGATE_TEST_ENGINE";

/// Whether this process tests on PostgreSQL.
pub(crate) fn on_postgres() -> bool {
    std::env::var(ENGINE).is_ok_and(|engine| engine == "postgres")
}

/// Runs those tests of this binary whose names begin with `filter` once more, on PostgreSQL. A machine without PostgreSQL
/// skips them, loudly; where `CI` is `true` that is a failure.
pub(crate) fn run_again_on_postgres(filter: &[&str]) {
    if on_postgres() || !is_here("no test ran on PostgreSQL") {
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap()).args(filter).env(ENGINE, "postgres").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "on PostgreSQL:\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = said.lines().find(|line| line.starts_with("test result:"));
    println!("on PostgreSQL: {}", summary.unwrap_or_else(|| panic!("the tests did not run: {said}")));
}

/// Whether PostgreSQL is installed. If not, says `what` that means, loudly; where `CI` is `true` that is a failure.
pub(crate) fn is_here(what: &str) -> bool {
    let here = binaries().is_some();
    assert!(here || !ci(), "CI tests on PostgreSQL, and there is none; .ci/run installs it");
    if !here {
        eprintln!("SKIPPED: {what}, because no PostgreSQL is installed (initdb is not found)");
    }
    here
}

fn ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// Where `initdb` and the others are: in Debian's directory of the newest version, or on the path.
pub(crate) fn binaries() -> Option<&'static Path> {
    static BINARIES: OnceLock<Option<PathBuf>> = OnceLock::new();
    BINARIES
        .get_or_init(|| {
            let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
            let mut versions: Vec<_> =
                versions.filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin")))).collect();
            versions.sort();
            let path = std::env::var_os("PATH").unwrap_or_default();
            let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
            versions.into_iter().rev().map(|(_, bin)| bin).chain(on_path).find(|bin| bin.join("initdb").exists())
        })
        .as_deref()
}

/// A cluster with a superuser `tollgate`, who needs no password.
pub(crate) struct Cluster {
    pub(crate) directory: PathBuf,
    /// Where it takes connections, beside the socket in its directory.
    pub(crate) port: u16,
    databases: AtomicU64,
    /// Its standard input is what the shell waits for.
    supervisor: Child,
}

impl Cluster {
    /// The cluster of this process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["fsync=off", "full_page_writes=off", "synchronous_commit=off"]))
    }

    /// A cluster of its own, with these settings beside the usual ones; it ends when it is dropped.
    pub(crate) fn start(settings: &[&str]) -> Self {
        Self::start_in(&std::env::temp_dir(), settings)
    }

    /// The same, with its files in a directory of `place`.
    pub(crate) fn start_in(place: &Path, settings: &[&str]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let directory = place.join(format!("tollgate-pg-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        own(&directory);
        let data = directory.join("data");
        let initdb = "--auth=trust --username=tollgate --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions";
        run(program("initdb").args(initdb.split(' ')).arg("-D").arg(&data));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let usual = format!(
            "port={port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{}'\nmax_connections=400\n\
             shared_buffers=64MB\nlogging_collector=off\n",
            directory.display()
        );
        let settings = settings.iter().map(|setting| format!("{setting}\n")).collect::<String>();
        let file = data.join("postgresql.auto.conf");
        std::fs::write(&file, usual + &settings).unwrap();
        let supervisor = supervise(&directory, &data);
        let cluster = Self { directory, port, databases: AtomicU64::new(0), supervisor };
        cluster.resume();
        cluster
    }

    /// Starts it (again), and waits until it takes connections.
    pub(crate) fn resume(&self) {
        let log = self.directory.join("log");
        run(program("pg_ctl").args(["start", "-w", "-s", "-D"]).arg(self.data()).arg("-l").arg(log));
    }

    /// Ends all its processes at once, as a crash of the machine would.
    pub(crate) fn crash(&self) {
        self.stop("immediate");
    }

    /// Stops it, in a mode of `pg_ctl`.
    pub(crate) fn stop(&self, mode: &str) {
        run(program("pg_ctl").args(["stop", "-s", "-m", mode, "-D"]).arg(self.data()));
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The URL of a new, empty database.
    pub(crate) fn create(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.url(&name)
    }

    /// The URL of the database of this name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://tollgate@localhost:{}/{name}?host={}", self.port, self.directory.display())
    }

    /// Runs a statement in a database; what it answers, without decoration.
    pub(crate) fn sql(&self, database: &str, statement: &str) -> String {
        run(self.psql(database).args(["-c", statement])).trim().to_owned()
    }

    /// The program that runs statements in a database.
    pub(crate) fn psql(&self, database: &str) -> Command {
        let mut psql = program("psql");
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "tollgate", "-h"]).arg(&self.directory);
        psql.args(["-p", &self.port.to_string(), "-d", database]);
        psql
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        drop(self.supervisor.wait());
    }
}

/// The shell that ends the cluster when this process has ended.
fn supervise(directory: &Path, data: &Path) -> Child {
    let script = "trap '' INT TERM HUP; read -r _; \"$0\" stop -s -m immediate -D \"$1\"; rm -rf \"$2\"";
    let mut shell = as_unprivileged("/bin/sh");
    shell.args(["-c", script]).arg(binaries().unwrap().join("pg_ctl")).arg(data).arg(directory);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

pub(crate) fn program(name: &str) -> Command {
    let mut command = as_unprivileged(binaries().expect("PostgreSQL is installed").join(name));
    command.stdin(Stdio::null());
    command
}

/// PostgreSQL does not run as root, and the system limits root's threads never.
pub(crate) fn as_unprivileged(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/");
    if let Some((uid, gid)) = unprivileged() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Gives a file or directory to the user that PostgreSQL runs as.
pub(crate) fn own(path: &Path) {
    if let Some((uid, gid)) = unprivileged() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// If this process is root's, the ids of somebody else.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").map_or(1, |process| process.uid()) != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = |name: &str| {
        let fields: Vec<&str> = users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').collect();
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    Some(user("postgres").or_else(|| user("nobody")).expect("there is a user beside root"))
}

/// What it printed.
pub(crate) fn run(command: &mut Command) -> String {
    // Into files, and not into pipes: the cluster inherits them, and a pipe would not end before it does.
    let file = tempfile::tempfile().unwrap();
    let (out, err) = (file.try_clone().unwrap(), file.try_clone().unwrap());
    let status = command.stdout(out).stderr(err).status().unwrap();
    let mut said = String::new();
    let mut file = file;
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_string(&mut file, &mut said).unwrap();
    assert!(status.success(), "{command:?}: {status}: {said}");
    said
}
