//! The engine that the tests run on. `cargo test` runs them on SQLite, and one of them runs all the others once more on
//! PostgreSQL: `TOLLGATE_TEST_ENGINE=postgres cargo test` is that alone.

#[path = "../support/cluster.rs"]
pub(crate) mod cluster;

use std::path::PathBuf;

use tempfile::TempDir;
use tollgate::settings::DatabaseSettings;
use tollgate::store::{DatabaseUrl, Store};

use cluster::Cluster;
pub(crate) use cluster::on_postgres;

/// Modules whose tests run once, and why that is enough.
const ONCE: [(&str, &str); 21] = [
    ("access::abuse", "is about connections and calls, before any of them reaches the store"),
    ("architecture", "reads the source"),
    ("credit::turns", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("faults", "has a cluster of its own, in the first run"),
    ("fuzz", "is about bytes that never reach a database"),
    ("rest::document", "is about what the program is made of"),
    ("rest::fuzzed", "is about what is read before any of it reaches the store"),
    ("settings", "is about the command line"),
    ("testing", "is about a store in memory"),
    ("tls", "is about the connections of clients"),
    ("traces", "is about what is told of calls"),
    ("usage::calendars", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::history", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::increase", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::model", "is a model, and no server"),
    ("usage::seeded", "plants bugs in what both engines share"),
    ("usage::spend", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::spend_cli", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::time", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("webhooks::expiry", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
    ("usage::turns", "goes by a clock of its own; on PostgreSQL the database's is the reference"),
];

#[test]
fn everything_on_postgresql() {
    let all = cluster::run(std::process::Command::new(std::env::current_exe().unwrap()).arg("--list"));
    let names = all.lines().filter_map(|line| line.strip_suffix(": test"));
    let is_of = |name: &str, module: &str| name.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"));
    let once = names.filter(|name| ONCE.iter().any(|(module, _)| is_of(name, module)));
    let skip: Vec<&str> = std::iter::once("--exact").chain(once.flat_map(|name| ["--skip", name])).collect();
    cluster::run_again_on_postgres(&skip);
    for (module, why) in ONCE {
        println!("not on PostgreSQL: {module}, which {why}");
    }
}

/// A database that is there for one test.
pub(crate) struct Database {
    pub(crate) settings: DatabaseSettings,
    directory: TempDir,
}

impl Database {
    /// A new, empty one, of the engine of the tests.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let url = match on_postgres() {
            true => Cluster::shared().create(),
            false => format!("sqlite://{}", directory.path().join("t.db").display()),
        };
        // Few connections, because many tests run at once.
        Self {
            settings: DatabaseSettings {
                url,
                in_memory: false,
                connections: Store::MIN_CONNECTIONS,
                default_prices: false,
            },
            directory,
        }
    }

    /// A new one of another cluster.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self::at(cluster.create())
    }

    /// The one with this URL.
    pub(crate) fn at(url: String) -> Self {
        let settings =
            DatabaseSettings { url, in_memory: false, connections: Store::MIN_CONNECTIONS, default_prices: false };
        Self { settings, directory: TempDir::new().unwrap() }
    }

    /// A directory of the test's own.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The store, opened beside no server (on SQLite) or beside any (on PostgreSQL).
    pub(crate) async fn store(&self) -> Store {
        let url = DatabaseUrl::parse(&self.settings.url).unwrap();
        Store::open(&url, self.settings.connections).await.unwrap()
    }

    /// A copy to be put back later. No server may have the database open.
    pub(crate) fn back_up(&self) -> Backup {
        if !on_postgres() {
            return Backup::File(std::fs::read(self.file()).unwrap());
        }
        let name = name(&self.settings.url);
        let copy = format!("{name}_copy");
        Cluster::shared().sql("postgres", &format!("CREATE DATABASE {copy} TEMPLATE {name}"));
        Backup::Database(copy)
    }

    /// Puts a copy back. No server may have the database open.
    pub(crate) fn restore(&self, backup: &Backup) {
        match backup {
            Backup::File(content) => std::fs::write(self.file(), content).unwrap(),
            Backup::Database(copy) => {
                let name = name(&self.settings.url);
                Cluster::shared().sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
                Cluster::shared().sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {copy}"));
            }
        }
    }

    /// Runs a statement on it behind the back of whoever has it open. On a thread of its own: a server of the test may be
    /// amid a transaction, which goes on only if the test's thread is free.
    pub(crate) async fn sql(&self, statement: &str) {
        let statement = statement.to_owned();
        let work: Box<dyn FnOnce() + Send> = if on_postgres() {
            let database = name(&self.settings.url).to_owned();
            Box::new(move || drop(Cluster::shared().sql(&database, &statement)))
        } else {
            let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], 60, isolation_level=\"IMMEDIATE\") as c: c.execute(sys.argv[2])";
            let mut python = std::process::Command::new("python3");
            python.args(["-c", script]).arg(self.file()).arg(statement);
            Box::new(move || drop(cluster::run(&mut python)))
        };
        tokio::task::spawn_blocking(work).await.unwrap();
    }

    /// Runs a script that makes a store, on a database that is still empty.
    pub(crate) fn load(&self, script: &str) {
        if on_postgres() {
            Cluster::shared().sql(name(&self.settings.url), script);
            return;
        }
        let run = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
        cluster::run(std::process::Command::new("python3").args(["-c", run]).arg(self.file()).arg(script));
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("t.db")
    }
}

/// A copy of a database.
pub(crate) enum Backup {
    /// A file's content.
    File(Vec<u8>),
    /// The name of another database.
    Database(String),
}

/// The name of the database in a URL.
pub(crate) fn name(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}
