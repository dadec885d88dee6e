//! What can go wrong with the store, in terms of what its callers do about it. The driver's errors are read here and
//! nowhere else. Texts name paths and tables, never values; what the driver said is kept apart, for the log.

use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{DbErr, RuntimeErr};
use tokio_rustls::rustls;

/// Says of what there is too little.
const SHORT: &str = "memory, threads, open files or connections are short";

/// Why the store could not do what it was asked. The text is for people and free of the driver's words; those are in
/// `detail`, for the log.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is no URL of a database that this build knows.
    #[error("{0}")]
    Url(String),
    /// The database cannot be opened.
    #[error("{what}")]
    Open {
        /// Why, and what to do about it.
        what: String,
        /// For the log.
        detail: String,
    },
    /// Another process has the database.
    #[error(
        "another tollgate server has the database {path:?} open; stop that one first, or give this one a database of its \
         own (the lock is held on {lock:?} and ends with the process that holds it)"
    )]
    InUse {
        /// The database.
        path: String,
        /// The file that is locked.
        lock: String,
    },
    /// A newer build has migrated the database.
    #[error(
        "the database {database:?} was written by a newer version of tollgate (unknown migrations: {}); run that version, or \
         restore a backup made before the upgrade", .migrations.join(", ")
    )]
    Newer {
        /// The database.
        database: String,
        /// The migrations that this build does not know.
        migrations: Vec<String>,
    },
    /// The time zone of spend cannot be this one.
    #[error("--spend-time-zone {0}")]
    TimeZone(String),
    /// Sums do not fit into 64 bits.
    #[error("sums do not fit into 64 bits")]
    Overflow,
    /// What is stored is not what this server writes.
    #[error("the store is corrupt: table {table}, row {id:?}: {why}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The primary key of the row.
        id: String,
        /// What is wrong with it.
        why: String,
    },
    /// The tables do not allow the change, or are not as the caller believes: memory and tables disagree.
    #[error("the store refused the change: {what}")]
    Refused {
        /// What was refused.
        what: String,
        /// For the log.
        detail: String,
    },
    /// The head is not where the caller believes it to be: somebody else has written.
    #[error("the store has been changed by another server")]
    Fenced,
    /// This server's memory lacks what others wrote, or may. Nothing was changed.
    #[error("this replica cannot follow the database, and serves nothing until it can; use another one")]
    NotCurrent,
    /// The database cannot be reached. Nothing was changed.
    #[error("the database cannot be reached")]
    Away {
        /// For the log.
        detail: String,
    },
    /// This server, or that of the database, is short of memory, threads or open files. Nothing was changed.
    #[error("the store is not available: {SHORT}")]
    Short {
        /// For the log.
        detail: String,
    },
    /// It cannot be done now. Nothing was changed.
    #[error("the store is not available: {what}")]
    Unavailable {
        /// Why.
        what: &'static str,
        /// For the log.
        detail: String,
    },
    /// The transaction may have been committed or not; the head tells, once it can be read.
    #[error("it is not known whether the change was stored: {what}")]
    Unknown {
        /// Why.
        what: &'static str,
        /// For the log.
        detail: String,
    },
}

impl StoreError {
    /// What the driver said, for the log; empty if it said nothing.
    pub fn detail(&self) -> &str {
        match self {
            Self::Open { detail, .. }
            | Self::Refused { detail, .. }
            | Self::Away { detail }
            | Self::Short { detail }
            | Self::Unavailable { detail, .. }
            | Self::Unknown { detail, .. } => detail,
            Self::Url(_)
            | Self::TimeZone(_)
            | Self::Overflow
            | Self::InUse { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::NotCurrent
            | Self::Fenced => "",
        }
    }

    /// Whether it is about a setting, so that trying again does not help.
    pub fn is_setting(&self) -> bool {
        matches!(self, Self::Url(_) | Self::TimeZone(_))
    }

    /// A row that this server cannot have written.
    pub(super) fn corrupt(table: &'static str, id: impl ToString, why: impl Into<String>) -> Self {
        Self::Corrupt { table, id: id.to_string(), why: why.into() }
    }

    /// The tables are not as the caller believes.
    pub(super) fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), detail: String::new() }
    }

    /// The meaning of an error while reading `table`.
    pub(super) fn reading(table: &'static str, error: &DbErr) -> Self {
        let undecodable = match error {
            DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => {
                matches!(**error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
            }
            DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
            _ => false,
        };
        match undecodable {
            true => Self::corrupt(table, "", format!("a column does not hold what it should: {error}")),
            false => Self::from(error),
        }
    }

    /// The meaning of an error of COMMIT. Out of space and a held lock are refusals that leave nothing behind, and so is
    /// whatever PostgreSQL calls an error: it has ended the transaction. Of everything else (an I/O error, a lost
    /// connection) nobody can say whether it came before the commit or after.
    pub(super) fn committing(error: &DbErr) -> Self {
        let fault = Fault::of(error);
        let refused = match fault {
            Fault::Constraint | Fault::Full | Fault::Busy | Fault::ReadOnly => true,
            Fault::Short
            | Fault::Io
            | Fault::Damaged
            | Fault::NoDatabase
            | Fault::CannotOpen
            | Fault::Pool
            | Fault::Away
            | Fault::Denied
            | Fault::Permission
            | Fault::Tls
            | Fault::Slow
            | Fault::Overflow
            | Fault::Other => postgres(error).is_some_and(|error| matches!(error.severity(), PgSeverity::Error)),
        };
        match refused {
            true => Self::from(error),
            false => Self::Unknown { what: fault.text(), detail: error.to_string() },
        }
    }
}

impl From<&DbErr> for StoreError {
    fn from(error: &DbErr) -> Self {
        let detail = error.to_string();
        match Fault::of(error) {
            Fault::Constraint => Self::Refused { what: "a constraint of the database is violated".to_owned(), detail },
            Fault::Away => Self::Away { detail },
            Fault::Short => Self::Short { detail },
            Fault::Overflow => Self::Overflow,
            fault => Self::Unavailable { what: fault.text(), detail },
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        Self::from(&error)
    }
}

/// What an error of the driver means, whatever the engine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A constraint of a table.
    Constraint,
    /// Somebody holds a lock.
    Busy,
    /// No space.
    Full,
    /// The medium failed.
    Io,
    /// The database cannot be written.
    ReadOnly,
    /// The content of the file contradicts itself.
    Damaged,
    /// The file is something else.
    NoDatabase,
    /// The file, or one beside it, cannot be opened.
    CannotOpen,
    /// No connection became free in time, or all were closed.
    Pool,
    /// There is not enough memory, or there are too many threads, open files or connections.
    Short,
    /// The server of the database cannot be reached, or is about to stop or to start.
    Away,
    /// The server does not let the user in.
    Denied,
    /// The user may not do this.
    Permission,
    /// No secured connection can be made.
    Tls,
    /// It took too long.
    Slow,
    /// A number does not fit into 64 bits.
    Overflow,
    /// Anything else.
    Other,
}

impl Fault {
    /// Reads the driver's error.
    pub(super) fn of(error: &DbErr) -> Self {
        let Some(error) = driver(error) else {
            return match error {
                DbErr::ConnectionAcquire(_) => Self::Pool,
                _ => Self::Other,
            };
        };
        match error {
            sqlx::Error::Database(error) => {
                if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
                    return Self::of_postgres(error.code());
                }
                // The low byte of the extended result code is the primary one (https://www.sqlite.org/rescode.html).
                let sqlite = error.try_downcast_ref::<SqliteError>().and_then(|_| error.code()?.parse::<i32>().ok());
                match sqlite.unwrap_or_default() & 0xff {
                    1 if error.message().contains("integer overflow") => Self::Overflow,
                    5 | 6 => Self::Busy,
                    7 => Self::Short,
                    8 => Self::ReadOnly,
                    10 => Self::Io,
                    11 => Self::Damaged,
                    13 => Self::Full,
                    14 => Self::CannotOpen,
                    19 => Self::Constraint,
                    26 => Self::NoDatabase,
                    _ => Self::Other,
                }
            }
            // What is wrong with a certificate comes as an error of the connection.
            sqlx::Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Self::Tls,
            sqlx::Error::Io(error) if is_short(error) => Self::Short,
            // SQLite's own I/O errors have a code: this is a connection to a server.
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed => Self::Away,
            sqlx::Error::Tls(_) => Self::Tls,
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Pool,
            // The driver's thread for a file ends in the middle of its work where it gets no memory for a value.
            sqlx::Error::WorkerCrashed => Self::Short,
            _ => Self::Other,
        }
    }

    /// Reads a SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    fn of_postgres(code: &str) -> Self {
        match code {
            // Stopping, crashed, starting; a session that was idle in a transaction for too long.
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::Away,
            "57014" => Self::Slow,
            "22003" => Self::Overflow,
            "3D000" => Self::NoDatabase,
            "42501" => Self::Permission,
            "25006" => Self::ReadOnly,
            "55P03" | "40001" | "40P01" => Self::Busy,
            "53100" => Self::Full,
            "58030" => Self::Io,
            _ => match code.get(..2) {
                Some("08") => Self::Away,
                Some("53") => Self::Short,
                Some("28") => Self::Denied,
                Some("23") => Self::Constraint,
                Some("XX") => Self::Damaged,
                _ => Self::Other,
            },
        }
    }

    /// In a few words, to follow "the store is not available: ".
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Constraint => "a constraint of the database is violated",
            Self::Busy => "the database is locked",
            Self::Full => "the disk is full",
            Self::Io => "the disk reports an error",
            Self::ReadOnly => "the database is read-only",
            Self::Damaged => "the database is damaged",
            Self::NoDatabase => "there is no such database",
            Self::CannotOpen => "the database file cannot be opened",
            Self::Pool => "no connection to the database is free",
            Self::Short => SHORT,
            Self::Away => "the database cannot be reached",
            Self::Denied => "the database does not let the user in",
            Self::Permission => "the user of the database may not do this",
            Self::Tls => "no secured connection to the database can be made",
            Self::Slow => "the database took too long",
            Self::Overflow => "a number does not fit into 64 bits",
            Self::Other => "the database reports an error",
        }
    }
}

/// Whether the operating system has no more memory, threads or open files.
fn is_short(error: &std::io::Error) -> bool {
    // ENOMEM, ENFILE, EMFILE, ENOBUFS on Linux; EAGAIN is what a thread that cannot be started says.
    let code = error.raw_os_error();
    matches!(error.kind(), std::io::ErrorKind::OutOfMemory | std::io::ErrorKind::WouldBlock)
        || code.is_some_and(|code| [12, 23, 24, 105].contains(&code))
}

/// What the driver said.
fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn postgres(error: &DbErr) -> Option<&PgDatabaseError> {
    match driver(error)? {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    }
}
