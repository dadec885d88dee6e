//! SQLite: the file, its lock, its connections and their pragmas.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr, QueryResult, Statement};

use super::open_error;
use super::schema::{self, Found};
use crate::store::connections::Connections;
use crate::store::error::{Fault, StoreError};
use crate::store::tx;

/// Connections that read. Reads of the tables are rare (memory answers), and SQLite gains nothing from more.
const READERS: u32 = 4;

/// Prepared statements kept per connection. Multi-row statements differ by their number of rows and are large, so that
/// a greater cache would cost memory without being hit more often.
const STATEMENTS: usize = 32;

/// Rows that SQLite's thread may be ahead of a reader. The driver's 50 makes a full load a relay race of two threads.
const ROWS_AHEAD: usize = 1024;

/// How long to wait for a lock or a connection before giving up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the file and takes it for this process.
pub(super) async fn open(path: &Path) -> Result<([Connections; 2], Vec<String>, File), StoreError> {
    let path = &absolute(path)?;
    // The lock comes first: nothing may be written, not even a migration, before the file is known to be ours.
    let lock = lock(path)?;
    let (connections, applied) = open_in(Place::File(path)).await?;
    Ok((connections, applied, lock))
}

/// Makes a database in memory. It is there as long as one of its connections is.
pub(super) async fn in_memory() -> Result<([Connections; 2], Vec<String>), StoreError> {
    // Names that begin so are seen by all connections of the process.
    let name = PathBuf::from(format!("/memory {}", uuid::Uuid::now_v7()));
    open_in(Place::Memory(&name)).await
}

async fn open_in(place: Place<'_>) -> Result<([Connections; 2], Vec<String>), StoreError> {
    let failed = |error: DbErr| cannot_open(place.path(), &error);
    let writer = connect(place, Role::Writer).await.map_err(failed)?;
    let applied = match prepare(&writer, place).await {
        Ok(applied) => applied,
        Err(error) => {
            let _ = writer.close().await;
            return Err(error);
        }
    };
    let readers = connect(place, Role::Reader).await.map_err(failed)?;
    Ok(([Connections::kept("writer", writer), Connections::kept("readers", readers)], applied))
}

/// Opens the file for reading, beside whoever has it.
pub(super) async fn open_beside(path: &Path) -> Result<(Connections, Found), StoreError> {
    if !path.exists() {
        let what = format!(
            "there is no database {}; check the path, or make one: `tollgate serve` and `tollgate migrate up` do",
            path.display()
        );
        return Err(StoreError::Open { what, detail: String::new() });
    }
    let readers = connect(Place::File(path), Role::Reader).await.map_err(|error| cannot_open(path, &error))?;
    let found = schema::examine(&readers).await.map_err(|error| cannot_open(path, &error))?;
    Ok((Connections::kept("readers", readers), found))
}

/// Opens a file of another program as read-only.
pub(super) async fn foreign(path: &Path) -> Result<DatabaseConnection, StoreError> {
    if !path.exists() {
        let what = format!("there is no database {}; check the path", path.display());
        return Err(StoreError::Open { what, detail: String::new() });
    }
    connect(Place::File(path), Role::Stranger).await.map_err(|error| cannot_read(path, &error))
}

/// Why a file of another program cannot be read.
pub(super) fn cannot_read(path: &Path, error: &DbErr) -> StoreError {
    match Fault::of(error) {
        Fault::ReadOnly | Fault::CannotOpen => {
            let what = format!(
                "cannot read the database {}: the file must be readable, and its directory writable while it has a \
                 write-ahead log; copy it to a place of your own",
                path.display()
            );
            open_error(what, error)
        }
        _ => cannot_open(path, error),
    }
}

/// The file's one true path, so that two spellings of it share a lock. Makes the file if there is none, and finds out
/// whether it can be written, because SQLite tells less about both.
fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    let shown = path.display();
    // SQLite gives its side files the same mode.
    private().read(true).write(true).create(true).open(path).and_then(|_| path.canonicalize()).map_err(|error| {
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

/// Makes files that are for this user only: hashes of keys are nobody else's business, and whoever could open the lock
/// could take it.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
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
    let file = private().write(true).create(true).truncate(false).open(&lock).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse { path: path.display().to_string(), lock: lock.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Where a database is.
#[derive(Clone, Copy)]
enum Place<'a> {
    File(&'a Path),
    /// In this process, by this name.
    Memory(&'a Path),
}

impl<'a> Place<'a> {
    const fn path(self) -> &'a Path {
        match self {
            Self::File(path) | Self::Memory(path) => path,
        }
    }
}

enum Role {
    Writer,
    Reader,
    /// Reads a file of another program.
    Stranger,
}

async fn connect(place: Place<'_>, role: Role) -> Result<DatabaseConnection, DbErr> {
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
            Role::Stranger => 1,
        });
    let (path, is_memory) = (place.path().to_owned(), matches!(place, Place::Memory(_)));
    options.map_sqlx_sqlite_opts(move |options| match is_memory {
        true => sqlite(options, &path, &role).vfs("memdb"),
        false => sqlite(options, &path, &role),
    });
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
        // Where the first rows of a statement lie until the last is written: else in a file once they are more than 64 kB.
        Role::Writer => options.pragma("temp_store", "MEMORY").thread_name(|id| format!("store-writer-{id}")),
        Role::Reader => options.pragma("query_only", "ON").thread_name(|id| format!("store-reader-{id}")),
        Role::Stranger => options.read_only(true).pragma("query_only", "ON"),
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
/// Returns the names of the migrations that it applied.
async fn prepare(writer: &DatabaseConnection, place: Place<'_>) -> Result<Vec<String>, StoreError> {
    let failed = |error: DbErr| cannot_open(place.path(), &error);
    let shown = place.path().display();
    let current = match schema::examine(writer).await.map_err(failed)? {
        Found::Current => true,
        Found::Older | Found::Empty => false,
        Found::Newer(migrations) => return Err(StoreError::Newer { database: shown.to_string(), migrations }),
        Found::Other => {
            let what = format!("the database {shown} belongs to another program; give tollgate one of its own");
            return Err(StoreError::Open { what, detail: String::new() });
        }
    };
    // A property of the file, so that it is set once and not by each connection. Memory has none.
    let mode = query(writer, "PRAGMA journal_mode = WAL").await.map_err(failed)?;
    let mode: Option<String> = mode.map(|row| row.try_get_by_index(0)).transpose().map_err(failed)?;
    if matches!(place, Place::File(_)) && mode.as_deref() != Some("wal") {
        let what = format!("cannot open the database {shown}: its file system has no write-ahead logs");
        return Err(StoreError::Open { what, detail: format!("journal_mode is {mode:?}") });
    }
    if current {
        return Ok(Vec::new());
    }
    let transaction = tx::begin_write(writer).await.map_err(failed)?;
    let applied = schema::migrate(&transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(applied)
}

async fn query(connection: &DatabaseConnection, sql: &'static str) -> Result<Option<QueryResult>, DbErr> {
    connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await
}
