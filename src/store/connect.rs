//! Opening and closing: URLs, the lock, the connections and their settings, migrations. What is particular to an engine
//! stands here; for SQLite that is the file, its lock and its pragmas.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sea_orm::{
    ActiveModelTrait as _, ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, EntityTrait as _,
    IntoActiveModel as _, QueryResult, Statement,
};
use sea_orm_migration::{MigratorTrait as _, SchemaManager, seaql_migrations};

use super::entity::head;
use super::error::{Fault, StoreError};
use super::migration::Migrator;
use super::{Store, tx};
use crate::domain::Timestamp;
use crate::state::Chain;

/// Connections that read. Reads of the tables are rare (memory answers), and SQLite gains nothing from more.
const READERS: u32 = 4;

/// Prepared statements kept per connection. Multi-row statements differ by their number of rows and are large, so that
/// a greater cache would cost memory without being hit more often.
const STATEMENTS: usize = 32;

/// Rows that SQLite's thread may be ahead of a reader. The driver's 50 makes a full load a relay race of two threads.
const ROWS_AHEAD: usize = 1024;

/// How long to wait for a lock or a connection before giving up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DatabaseUrl {
    path: PathBuf,
}

impl DatabaseUrl {
    /// Reads `sqlite://PATH`; everything after the slashes is the path, relative or absolute.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], which says what is accepted and repeats nothing of `url`: there might be a password in it.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        const ACCEPTED: &str =
            "expected sqlite://PATH, such as sqlite://tollgate.db or sqlite:///var/lib/tollgate/tollgate.db";
        let wrong = |why: &str| Err(StoreError::Url(format!("the database URL {why}; {ACCEPTED}")));
        match url.split_once("://") {
            Some(("sqlite", "")) => wrong("has no path"),
            Some(("sqlite", path)) if path.starts_with(":memory:") => wrong("is of a database that keeps nothing"),
            Some(("sqlite", path)) if path.contains(['?', '\0']) => wrong("has parameters, of which there are none"),
            Some(("sqlite", path)) => Ok(Self { path: PathBuf::from(path) }),
            Some(("postgres" | "postgresql", _)) => {
                Err(StoreError::Url(format!("PostgreSQL is not supported by this build yet; {ACCEPTED}")))
            }
            _ => wrong("is of an unknown kind"),
        }
    }

    /// The file of the database.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sqlite://{}", self.path.display())
    }
}

impl Store {
    /// Opens the database and takes it for this process; makes and migrates it as needed.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process has it, [`StoreError::Newer`] if a newer build migrated it, and
    /// [`StoreError::Open`] with what to do about it for everything else.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let path = &absolute(&url.path)?;
        // The lock comes first: nothing may be written, not even a migration, before the file is known to be ours.
        let lock = lock(path)?;
        let writer = connect(path, Role::Writer).await.map_err(|error| cannot_open(path, &error))?;
        match prepare(&writer, path).await {
            Ok(()) => {}
            Err(error) => {
                let _ = writer.close().await;
                return Err(error);
            }
        }
        let readers = connect(path, Role::Reader).await.map_err(|error| cannot_open(path, &error))?;
        Ok(Self { writer, readers, lock: Arc::new(Mutex::new(Some(lock))) })
    }

    /// Closes all connections, which brings the write-ahead log into the file, and gives the database free. All clones
    /// of the store are closed with it.
    pub async fn close(&self) {
        // Readers first: the last connection that closes does the checkpoint, and readers may not write.
        let _ = self.readers.clone().close().await;
        let _ = self.writer.clone().close().await;
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn open_error(what: String, error: &impl fmt::Display) -> StoreError {
    StoreError::Open { what, detail: error.to_string() }
}

/// The file's one true path, so that two spellings of it share a lock. Makes the file if there is none, and finds out
/// whether it can be written, because SQLite tells less about both.
fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    let shown = path.display();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    {
        // Hashes of keys are nobody else's business. SQLite gives its side files the same mode.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    options.open(path).and_then(|_| path.canonicalize()).map_err(|error| {
        let what = match error.kind() {
            io::ErrorKind::NotFound => format!("cannot create the database {shown}: its directory does not exist"),
            io::ErrorKind::NotADirectory => format!("cannot open the database {shown}: a part of the path is a file"),
            io::ErrorKind::IsADirectory => format!("cannot open the database {shown}: it is a directory"),
            io::ErrorKind::PermissionDenied => format!(
                "cannot open the database {shown} for writing: permission denied; the server must be able to write the file \
                 and its directory"
            ),
            io::ErrorKind::ReadOnlyFilesystem => {
                format!("cannot open the database {shown} for writing: the file system is read-only")
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("cannot create the database {shown}: the disk is full")
            }
            _ => format!("cannot open the database {shown}: {error}"),
        };
        open_error(what, &error)
    })
}

/// Takes the lock beside the database. It is the operating system's, so it ends with the process, however that ends;
/// the file stays, since removing it would let two processes lock two files of one name.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let cannot = |error: io::Error| {
        let what = format!("cannot lock {}: {error}; the server must be able to write there", lock.display());
        open_error(what, &error)
    };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&lock).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: path.display().to_string(), lock: lock.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

pub(super) enum Role {
    Writer,
    Reader,
}

pub(super) async fn connect(path: &Path, role: Role) -> Result<DatabaseConnection, DbErr> {
    // The URL is a formality, it is overridden by the path: as a part of a URL, `%` and `?` would be read as such.
    let mut options = ConnectOptions::new("sqlite://tollgate.db");
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .acquire_timeout(PATIENCE)
        .connect_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .min_connections(1)
        .max_connections(match role {
            Role::Writer => 1,
            Role::Reader => READERS,
        });
    let path = path.to_owned();
    options.map_sqlx_sqlite_opts(move |options| sqlite(options, &path, &role));
    // SQLite may roll back by itself (full disk, I/O error). The driver's own ROLLBACK then fails, and it believes to be
    // within the transaction forever: such a connection must not be used again.
    options.map_sqlx_sqlite_pool_opts(|options| {
        options.after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
    });
    Database::connect(options).await
}

fn sqlite(options: SqliteConnectOptions, path: &Path, role: &Role) -> SqliteConnectOptions {
    let options = options
        .filename(path)
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS_AHEAD);
    match role {
        Role::Writer => options.thread_name(|id| format!("store-writer-{id}")),
        Role::Reader => options.pragma("query_only", "ON").thread_name(|id| format!("store-reader-{id}")),
    }
}

pub(super) fn cannot_open(path: &Path, error: &DbErr) -> StoreError {
    let path = path.display();
    let what = match Fault::of(error) {
        Fault::NoDatabase => format!("cannot open the database {path}: the file is not a SQLite database"),
        Fault::Damaged => format!("cannot open the database {path}: the file is damaged; restore a backup"),
        Fault::ReadOnly | Fault::CannotOpen => format!(
            "cannot open the database {path} for writing: the server must be able to write the file and its directory"
        ),
        fault => format!("cannot open the database {path}: {}", fault.text()),
    };
    open_error(what, error)
}

/// Makes the database ours, if it may be: nothing is written before that is certain.
async fn prepare(writer: &DatabaseConnection, path: &Path) -> Result<(), StoreError> {
    examine(writer, path).await?;
    let failed = |error: DbErr| cannot_open(path, &error);
    // A property of the file, so that it is set once and not by each connection.
    let mode = query(writer, "PRAGMA journal_mode = WAL").await.map_err(failed)?;
    let mode: Option<String> = mode.map(|row| row.try_get_by_index(0)).transpose().map_err(failed)?;
    if mode.as_deref() != Some("wal") {
        let what = format!("cannot open the database {}: its file system has no write-ahead logs", path.display());
        return Err(StoreError::Open { what, detail: format!("journal_mode is {mode:?}") });
    }
    migrate(writer).await.map_err(failed)
}

async fn query(connection: &DatabaseConnection, sql: &'static str) -> Result<Option<QueryResult>, DbErr> {
    connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await
}

/// Whether the database is a store that this build understands, or nothing yet.
pub(super) async fn examine(writer: &DatabaseConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: DbErr| cannot_open(path, &error);
    if SchemaManager::new(writer).has_table("seaql_migrations").await.map_err(failed)? {
        let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        let applied = seaql_migrations::Entity::find().all(writer).await.map_err(failed)?;
        let unknown: Vec<String> =
            applied.into_iter().map(|applied| applied.version).filter(|version| !known.contains(version)).collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(StoreError::Newer { path: path.display().to_string(), migrations: unknown }),
        }
    } else {
        match query(writer, "SELECT 1 FROM sqlite_master").await.map_err(failed)? {
            None => Ok(()),
            Some(_) => Err(StoreError::Open {
                what: format!(
                    "the database {} belongs to another program; give tollgate one of its own",
                    path.display()
                ),
                detail: String::new(),
            }),
        }
    }
}

/// Brings the schema up to date and makes the head, all in one transaction: a start that is cut off leaves nothing.
async fn migrate(writer: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = tx::begin_write(writer).await?;
    Migrator::up(&transaction, None).await?;
    if head::Entity::find_by_id(1).one(&transaction).await?.is_none() {
        let store_id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let origin = head::Model {
            id: 1,
            store_id: store_id.to_string(),
            revision: 0,
            chain: Chain::ORIGIN.0.to_vec(),
            committed_at: Timestamp::now().as_micros(),
            compacted_revision: 0,
            compacted_chain: Chain::ORIGIN.0.to_vec(),
            last_config_id: 0,
            usage_version: 0,
            last_incarnation: 0,
        };
        origin.into_active_model().insert(&transaction).await?;
    }
    transaction.commit().await
}
