//! The engine that the tests run on. `cargo test` runs them on SQLite, and one of them runs all the others once more on
//! PostgreSQL: `TOLLGATE_TEST_ENGINE=postgres cargo test` is that alone.

#[path = "../support/cluster.rs"]
pub(crate) mod cluster;

use std::path::PathBuf;

use tempfile::TempDir;
use tollgate::config::DatabaseSettings;
use tollgate::store::{DatabaseUrl, Store};

use cluster::Cluster;
pub(crate) use cluster::on_postgres;

#[test]
fn everything_on_postgresql() {
    // What has nothing to do with the engine runs once, and what goes by a clock of the test's own: on PostgreSQL the
    // database's clock is the reference. Tokens are tried on SQLite only, so far.
    let once = [
        "access::",
        "architecture::",
        "faults::",
        "fuzz::",
        "metrics::",
        "tls::",
        "traces::",
        "usage::cli",
        "usage::history",
        "usage::model",
        "usage::seeded",
        "usage::time",
        "usage::turns",
    ];
    let skip: Vec<&str> = once.iter().flat_map(|module| ["--skip", module]).collect();
    cluster::run_again_on_postgres(&skip);
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
        Self { settings: DatabaseSettings { url, connections: Store::MIN_CONNECTIONS }, directory }
    }

    /// A new one of another cluster.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self::at(cluster.create())
    }

    /// The one with this URL.
    pub(crate) fn at(url: String) -> Self {
        let settings = DatabaseSettings { url, connections: Store::MIN_CONNECTIONS };
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

    /// Runs a statement on it behind the back of whoever has it open.
    pub(crate) fn sql(&self, statement: &str) {
        if on_postgres() {
            Cluster::shared().sql(name(&self.settings.url), statement);
            return;
        }
        let script = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], 60, isolation_level=\"IMMEDIATE\") as c: c.execute(sys.argv[2])";
        cluster::run(std::process::Command::new("python3").args(["-c", script]).arg(self.file()).arg(statement));
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
