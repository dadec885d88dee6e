//! PostgreSQL: connections, the settings of their sessions, and what people are told when there is none.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Executor as _};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector, Statement};

use super::open_error;
use super::schema::{self, Found};
use super::url::PostgresUrl;
use crate::store::Store;
use crate::store::connections::{Connections, Pooled, Uses};
use crate::store::error::{Fault, StoreError};
use crate::store::tx;

/// How long to wait for a connection before giving up: the server is away, or all connections are taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// A connection that was not used for so long is asked whether it still is one.
const IDLE: Duration = Duration::from_secs(1);
/// How long a connection that is given back may take to become idle. One whose other end is gone would take for ever. After
/// that the driver asks once more by itself, with no limit: [`Connections`] replaces what is lost by that.
const RELEASE: Duration = Duration::from_secs(2);
/// How old a connection becomes.
const LIFE: Duration = Duration::from_secs(1800);
/// Prepared statements kept per connection. Multi-row statements differ by their number of rows and are large, so that
/// a greater cache would cost memory without being hit more often.
const STATEMENTS: usize = 32;
/// Connections that write. All writers wait for one row, so that more than one is only for while another is given up.
const WRITERS: u32 = 2;
/// The connection that listens for notifications; see [`listeners`].
const LISTENERS: u32 = 1;
/// Half-open ones that may be left to themselves meanwhile. The system gives them up in the end.
const HALF_OPEN: u32 = 100;

/// What sessions that write begin with. Whoever holds the head and is gone (a stopped process, a cut cable) loses it after
/// `idle_in_transaction_session_timeout`; others wait for it no longer than `lock_timeout`. The isolation must not come
/// from the server's defaults: what follows the lock has to see what was committed before it.
const WRITING: &str = "\
    SET default_transaction_isolation = 'read committed'; \
    SET default_transaction_read_only = off; \
    SET synchronous_commit = on; \
    SET lock_timeout = '3s'; \
    SET statement_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '5s'; \
    SET client_min_messages = warning";

/// What sessions that read begin with: each transaction sees one moment. Reading everything takes its time.
const READING: &str = "\
    SET default_transaction_isolation = 'repeatable read'; \
    SET default_transaction_read_only = on; \
    SET lock_timeout = '3s'; \
    SET statement_timeout = '5min'; \
    SET idle_in_transaction_session_timeout = '1min'; \
    SET client_min_messages = warning";

/// Identifies the lock on the schema among the advisory locks of the database: "toll" in ASCII.
const SCHEMA_LOCK: i64 = 0x746f_6c6c;

pub(super) async fn open(url: &PostgresUrl, connections: u32) -> Result<([Connections; 2], Vec<String>), StoreError> {
    let connections = connections.max(Store::MIN_CONNECTIONS);
    let writer = connect("writer", url, WRITING, WRITERS, cannot_open).await?;
    let applied = match prepare(&writer.get(), url).await {
        Ok(applied) => applied,
        Err(error) => {
            writer.close().await;
            return Err(error);
        }
    };
    let readers = connect("readers", url, READING, connections - WRITERS - LISTENERS, cannot_open).await?;
    Ok(([writer, readers], applied))
}

/// Opens the database for reading, beside whoever has it.
pub(super) async fn open_beside(url: &PostgresUrl) -> Result<(Connections, Found), StoreError> {
    let readers = connect("readers", url, READING, WRITERS, cannot_open).await?;
    let found = schema::examine(&readers.get()).await.map_err(|error| cannot_open(url, &error))?;
    Ok((readers, found))
}

/// Connects to a database of another program, to read it.
pub(super) async fn foreign(url: &PostgresUrl) -> Result<DatabaseConnection, StoreError> {
    Ok(connect("foreign", url, READING, 1, cannot_read).await?.get())
}

/// Why a database of another program cannot be read.
pub(super) fn cannot_read(url: &PostgresUrl, error: &DbErr) -> StoreError {
    match Fault::of(error) {
        Fault::Permission => open_error(
            format!("cannot read the database {url}: the user needs the right to SELECT from its tables"),
            error,
        ),
        Fault::NoDatabase => {
            open_error(format!("cannot read the database {url}: it does not exist; name the one that is there"), error)
        }
        _ => cannot_open(url, error),
    }
}

async fn connect(
    name: &'static str,
    url: &PostgresUrl,
    settings: &'static str,
    max: u32,
    failed: fn(&PostgresUrl, &DbErr) -> StoreError,
) -> Result<Connections, StoreError> {
    // Not through sea-orm, which would show the URL to the log at its finest level.
    let mut options = (*url.0).clone().statement_cache_capacity(STATEMENTS).disable_statement_logging();
    if options.get_application_name().is_none() {
        options = options.application_name("tollgate");
    }
    let connections = Connections::replaceable(name, move || {
        let uses = Arc::default();
        let pool = pool(settings, max, &uses).connect_lazy_with(options.clone());
        Pooled { connection: SqlxPostgresConnector::from_sqlx_postgres_pool(pool), uses }
    });
    // Whether the server can be reached, and how.
    let first = connections.get().get_postgres_connection_pool().acquire().await;
    first.map(|_| connections).map_err(|error| failed(url, &DbErr::Conn(RuntimeErr::SqlxError(error.into()))))
}

/// A pool of at most `max` connections whose sessions begin with `settings`, which notes in `uses` how they are used.
fn pool(settings: &'static str, max: u32, uses: &Arc<Uses>) -> PgPoolOptions {
    let [connected, acquired, released] = [(); 3].map(|()| Arc::clone(uses));
    // Without a least number of connections: the pool replaces one that was given up by a task of its own, which waits for
    // five minutes, with the place of the connection, if the network is silent at that moment. And without a longest life,
    // at whose end the pool closes a connection unseen: it is closed when it is given back instead.
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(PATIENCE)
        .idle_timeout(Duration::from_secs(600))
        .max_lifetime(None)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let uses = Arc::clone(&acquired);
            Box::pin(async move {
                if meta.idle_for >= IDLE {
                    connection.ping().await?;
                }
                uses.begin();
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let uses = Arc::clone(&connected);
            Box::pin(async move {
                connection.execute(settings).await?;
                uses.begin();
                Ok(())
            })
        })
        .after_release(move |connection, meta| {
            released.end();
            Box::pin(async move { Ok(meta.age < LIFE && settled(connection).await?) })
        })
}

/// Connections to listen on, as those that read are made, one at a time. To one that turned out to be half-open the driver
/// still has something to say, for ever, so that it never comes back: it must not be one of those that others wait for.
pub(super) fn listeners(readers: &Connections) -> PgPool {
    let options = readers.get().get_postgres_connection_pool().connect_options();
    let pool = PgPoolOptions::new().max_connections(1 + HALF_OPEN).acquire_timeout(PATIENCE);
    pool.idle_timeout(None).max_lifetime(None).connect_lazy_with((*options).clone())
}

/// Closes those connections, but for what does not come back.
pub(super) async fn close(listeners: &PgPool) {
    drop(tokio::time::timeout(RELEASE, listeners.close()).await);
}

/// Whether a connection that is given back can be used again: whatever was left unfinished on it ends in time.
async fn settled(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(RELEASE, connection.ping()).await {
        Ok(done) => done.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

pub(super) fn cannot_open(url: &PostgresUrl, error: &DbErr) -> StoreError {
    let why = match Fault::of(error) {
        Fault::Away | Fault::Pool => {
            "the server cannot be reached; is it running, and are host and port (or the directory of the socket) right?"
        }
        Fault::Denied => "the server refuses the user or the password",
        Fault::NoDatabase => "the database does not exist; create it with `createdb`, in the encoding UTF8",
        Fault::Tls => {
            "no secured connection can be made; do sslmode and sslrootcert fit the certificate of the server?"
        }
        Fault::Permission => {
            "the user may not do what is needed; it must be able to create tables in the first schema of its search_path"
        }
        fault => fault.text(),
    };
    open_error(format!("cannot open the database {url}: {why}"), error)
}

/// Makes the database ours, if it may be: nothing is written before that is certain.
/// Returns the names of the migrations that it applied.
async fn prepare(writer: &DatabaseConnection, url: &PostgresUrl) -> Result<Vec<String>, StoreError> {
    let failed = |error: DbErr| cannot_open(url, &error);
    let refused = |what: &str| StoreError::Open { what: format!("the database {url} {what}"), detail: String::new() };
    if text(writer, "SHOW server_encoding").await.map_err(failed)?.as_deref() != Some("UTF8") {
        return Err(refused("has another encoding than UTF8; create one with `createdb --encoding=UTF8`"));
    }
    let transaction = tx::begin_write(writer).await.map_err(failed)?;
    let result = async {
        // Servers that start at once migrate one after the other, however long that takes.
        transaction
            .execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            .await
            .map_err(failed)?;
        let lock = format!("SELECT pg_advisory_xact_lock({SCHEMA_LOCK})");
        transaction.execute_unprepared(&lock).await.map_err(failed)?;
        match schema::examine(&transaction).await.map_err(failed)? {
            Found::Current => Ok(Vec::new()),
            Found::Older | Found::Empty => schema::migrate(&transaction).await.map_err(failed),
            Found::Newer(migrations) => Err(StoreError::Newer { database: url.to_string(), migrations }),
            Found::Other => Err(refused("belongs to another program; give tollgate one of its own, or a schema")),
        }
    };
    match result.await {
        Ok(applied) => {
            transaction.commit().await.map_err(failed)?;
            Ok(applied)
        }
        Err(error) => {
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// The first column of the first row.
async fn text(connection: &impl sea_orm::ConnectionTrait, sql: &str) -> Result<Option<String>, DbErr> {
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}
