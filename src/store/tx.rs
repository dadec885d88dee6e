//! Transactions: how they begin and end, on which connection, and how many parameters a statement may have.

use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};

use super::error::StoreError;
use super::lock::WriteTx;
use super::reach::Reach;
use super::{Reader, Store};

/// A snapshot of the tables: what is read within it is of one revision.
pub struct ReadTx(pub(super) DatabaseTransaction);

/// Begins a transaction that may write. On SQLite it must take the write lock at once: a transaction that reads first
/// and writes later fails without waiting if anything was written in between.
pub(super) async fn begin_write(writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options =
        TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
    writer.begin_with_options(options).await
}

/// Lifts the limits on the time of a transaction whose pace somebody else sets: whoever writes the file that is read, or
/// reads the one that is written.
pub(super) async fn be_patient(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        let patient = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        transaction.execute_unprepared(patient).await?;
    }
    Ok(())
}

/// Gives the server more time for each statement of a transaction that is large, and for each to arrive over a slow network.
pub(super) async fn allow_for_large(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        let longer = "SET LOCAL statement_timeout = '55s'; SET LOCAL idle_in_transaction_session_timeout = '30s'";
        transaction.execute_unprepared(longer).await?;
    }
    Ok(())
}

/// How many parameters one statement may bind.
pub(super) fn bind_limit(backend: DbBackend) -> usize {
    match backend {
        DbBackend::Sqlite => 32_766,
        _ => 65_535,
    }
}

/// How long a server of a database may take to answer before it is taken to be gone: longer than its own limits are.
pub(super) const PATIENCE: Duration = Duration::from_secs(12);

/// How long a server may take to begin a transaction, which is one trip, once there is a connection.
const BEGINNING: Duration = Duration::from_millis(2_500);

/// The same for a part of a large change.
pub(super) const LARGE_PATIENCE: Duration = Duration::from_secs(60);

/// How long it may take to roll back before the connection is given up.
const ROLLBACK: Duration = Duration::from_secs(2);

/// How many connections that turn out to be dead are tried before the database is taken to be away.
const DEAD_CONNECTIONS: usize = 3;

/// How many keys one statement may look for. PostgreSQL compares each row with all of a long list, and reads keys of
/// several columns as so many nested conditions, for which its stack is small.
pub(super) const KEYS: usize = 1_000;

/// How many rows of `columns` parameters each fit into one statement.
pub(super) fn rows_per_statement(backend: DbBackend, columns: usize) -> usize {
    (bind_limit(backend) / columns.max(1)).max(1)
}

impl Store {
    /// Begins a transaction that writes, with the lock of all writers: what is done in the background is done by one server
    /// at a time, and one that lost its lock with its session cannot commit.
    pub(super) async fn begin_write(&self) -> Result<DatabaseTransaction, StoreError> {
        match self.lock().await? {
            WriteTx::Shared { tx, .. } => Ok(tx.0),
            WriteTx::Own(store) => {
                store.fill_disk().await?;
                Ok(begin_write(&store.writer.get()).await?)
            }
        }
    }
}

impl Reader {
    /// The result of `work`, for which a server has some time: where connections are half-open, nothing else would ever
    /// end it.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.reach.in_time(work).await
    }

    pub(super) async fn begin_read(&self) -> Result<ReadTx, StoreError> {
        let begin = move || async move { Ok(ReadTx(soon(self.is_shared(), self.readers.get().begin()).await?)) };
        self.reach.unless_away(self.past_dead_connections(begin)).await
    }

    /// What `begin` begins: connections that the server closed while they were idle are found out one by one, and nothing was
    /// done on any. What comes after the last of them is a new one.
    pub(super) async fn past_dead_connections<T, Begun>(&self, begin: impl Fn() -> Begun) -> Result<T, StoreError>
    where
        Begun: Future<Output = Result<T, StoreError>>,
    {
        for _ in 0..DEAD_CONNECTIONS {
            match begin().await {
                Err(StoreError::Away { .. }) => self.reach.doubt(),
                begun => return begun,
            }
        }
        begin().await
    }
}

/// A transaction that begins: on a half-open connection to a server it would do so for ever.
pub(super) async fn soon(
    server: bool,
    begins: impl Future<Output = Result<DatabaseTransaction, DbErr>>,
) -> Result<DatabaseTransaction, StoreError> {
    if !server {
        return Ok(begins.await?);
    }
    let late = |_| StoreError::Unavailable { what: "a connection does not answer", detail: String::new() };
    Ok(tokio::time::timeout(BEGINNING, begins).await.map_err(late)??)
}

/// Ends a transaction of which nothing is to stay. If that fails, or the server does not answer, it is no further error:
/// the connection is given up then, and with it whatever it had begun.
pub(super) async fn roll_back(transaction: DatabaseTransaction) {
    drop(tokio::time::timeout(ROLLBACK, transaction.rollback()).await);
}

impl Reach {
    /// Commits if `result` is fine, else rolls back.
    ///
    /// # Errors
    ///
    /// That of `result`, else what COMMIT came to. When this is another than [`StoreError::Unknown`], nothing of the
    /// transaction is or will be visible.
    pub(super) async fn finish<T>(
        &self,
        transaction: DatabaseTransaction,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let value = match result {
            Ok(value) => value,
            Err(error) => {
                self.roll_back(transaction).await;
                return Err(error);
            }
        };
        let committed = async { transaction.commit().await.map_err(|error| StoreError::committing(&error)) };
        match self.in_time(committed).await {
            Ok(()) => Ok(value),
            // The server may have heard of it before it went away.
            Err(StoreError::Away { detail }) => {
                Err(StoreError::Unknown { what: "the database went away meanwhile", detail })
            }
            Err(error) => Err(error),
        }
    }

    /// As [`roll_back`]. Where the server is away, there is nothing to roll back.
    pub(super) async fn roll_back(&self, transaction: DatabaseTransaction) {
        let rolled_back = async {
            roll_back(transaction).await;
            Ok(())
        };
        drop(self.unless_away(rolled_back).await);
    }
}
