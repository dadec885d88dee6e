//! Opening and closing. What is particular to an engine stands in the file of the engine: where it is, its connections,
//! their settings, and who may have it. [`schema`] is about both.

mod postgres;
mod schema;
mod sqlite;
mod url;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::sqlx::postgres::PgPool;
use sea_orm::{DatabaseConnection, DbErr};

pub use self::schema::Migration;
pub use self::url::DatabaseUrl;
use super::connections::Connections;
use super::error::StoreError;
use super::reach::Reach;
use super::{Reader, Store};

/// What else an open database takes, by its engine.
pub(super) enum Engine {
    /// The lock on the file, which is held as long as the store is open: the file has one owner. None in memory.
    Sqlite(Mutex<Option<File>>),
    /// Other servers may have it open as well: connections to listen to them on.
    Postgres(PgPool),
}

/// Connects to a database of another program, to read it.
pub(super) async fn foreign(url: &DatabaseUrl) -> Result<DatabaseConnection, StoreError> {
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::foreign(path).await,
        DatabaseUrl::Postgres(url) => postgres::foreign(url).await,
    }
}

/// Why a database of another program cannot be read.
pub(super) fn cannot_read(url: &DatabaseUrl, error: &DbErr) -> StoreError {
    match url {
        DatabaseUrl::Sqlite(path) => sqlite::cannot_read(path, error),
        DatabaseUrl::Postgres(url) => postgres::cannot_read(url, error),
    }
}

impl Store {
    /// The fewest connections that a store on PostgreSQL works with: two that write, one that reads, one that listens.
    pub const MIN_CONNECTIONS: u32 = 4;

    /// Opens the database; makes and migrates it as needed. A SQLite file is taken for this process. Of a PostgreSQL
    /// database at most `connections` connections are used, not counting those that are lost to a network that went silent;
    /// other servers may use it as well.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process has the file, [`StoreError::Newer`] if a newer build migrated the database
    /// in a way that this one does not understand, and [`StoreError::Open`] with what to do about it for everything else.
    pub async fn open(url: &DatabaseUrl, connections: u32) -> Result<Self, StoreError> {
        Self::open_migrated(url, connections).await.map(|(store, _)| store)
    }

    /// Makes a store that is in memory alone, and gone once it is closed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Open`] if there is not enough memory.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let (connections, _) = sqlite::in_memory().await?;
        Ok(Self::of(connections.map(Arc::new), Engine::Sqlite(Mutex::new(None))))
    }

    /// Opens the database as [`Store::open`] does, if it is a store of this version: makes none, and migrates none.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; also if there is no store, or one of an older version.
    pub async fn open_existing(url: &DatabaseUrl, connections: u32) -> Result<Self, StoreError> {
        Self::open_beside(url).await?.close().await;
        Self::open(url, connections).await
    }

    /// Makes and migrates the database as [`Store::open`] does; returns the names of the migrations that were missing.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub async fn migrate(url: &DatabaseUrl) -> Result<Vec<String>, StoreError> {
        let (store, applied) = Self::open_migrated(url, Self::MIN_CONNECTIONS).await?;
        store.close().await;
        Ok(applied)
    }

    async fn open_migrated(url: &DatabaseUrl, connections: u32) -> Result<(Self, Vec<String>), StoreError> {
        let ([writer, readers], applied, engine) = match url {
            DatabaseUrl::Sqlite(path) => {
                let (connections, applied, lock) = sqlite::open(path).await?;
                (connections, applied, Engine::Sqlite(Mutex::new(Some(lock))))
            }
            DatabaseUrl::Postgres(url) => {
                let (connections, applied) = postgres::open(url, connections).await?;
                let listeners = postgres::listeners(&connections[1]);
                (connections, applied, Engine::Postgres(listeners))
            }
        };
        // A database that had none of them is a new one.
        if !applied.is_empty() && applied != schema::known() {
            tracing::info!(migrations = applied.join(", "), "the database was brought up to date");
        }
        Ok((Self::of([writer, readers].map(Arc::new), engine), applied))
    }

    /// Opens the database for reading, beside whoever has it: takes no lock and changes nothing. Every write fails.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; also if there is no store.
    pub async fn open_beside(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let (readers, found, engine) = match url {
            DatabaseUrl::Sqlite(path) => {
                let (readers, found) = sqlite::open_beside(path).await?;
                (readers, found, Engine::Sqlite(Mutex::new(None)))
            }
            DatabaseUrl::Postgres(url) => {
                let (readers, found) = postgres::open_beside(url).await?;
                let listeners = postgres::listeners(&readers);
                (readers, found, Engine::Postgres(listeners))
            }
        };
        readable(found, url)?;
        let readers = Arc::new(readers);
        Ok(Self::of([Arc::clone(&readers), readers], engine))
    }

    fn of([writer, readers]: [Arc<Connections>; 2], engine: Engine) -> Self {
        let reach = match &engine {
            Engine::Sqlite(_) => Reach::of_file(),
            Engine::Postgres(listeners) => Reach::of_server(listeners.connect_options()),
        };
        let reader = Reader { readers, engine: engine.into(), reach };
        Self { reader, writer, announced: Arc::default() }
    }

    /// The migrations that this build knows, oldest first, as the database has them. May run beside whoever has it, and
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; also if there is no database.
    pub async fn migrations(url: &DatabaseUrl) -> Result<Vec<Migration>, StoreError> {
        let (connection, found) = match url {
            DatabaseUrl::Sqlite(path) => sqlite::open_beside(path).await?,
            DatabaseUrl::Postgres(url) => postgres::open_beside(url).await?,
        };
        let migrations = match found {
            schema::Found::Current | schema::Found::Older | schema::Found::Empty => {
                schema::migrations(&connection.get()).await.map_err(|error| match url {
                    DatabaseUrl::Sqlite(path) => sqlite::cannot_open(path, &error),
                    DatabaseUrl::Postgres(url) => postgres::cannot_open(url, &error),
                })
            }
            found => readable(found, url).map(|()| Vec::new()),
        };
        // Nothing was written, so that there is nothing to lose.
        connection.close().await;
        migrations
    }

    /// Closes all connections and gives the database free; on SQLite this brings the write-ahead log into the file. All
    /// clones of the store are closed with it.
    pub async fn close(&self) {
        // Readers first: the last connection that closes does SQLite's checkpoint, and readers may not write.
        self.readers.close().await;
        self.writer.close().await;
        match &*self.engine {
            // Unlocked, not only closed: a process that is being started at this moment has a copy of the file until it
            // becomes another program. What cannot be unlocked is when the last copy is closed.
            Engine::Sqlite(lock) => {
                let file = lock.lock().unwrap_or_else(PoisonError::into_inner).take();
                drop(file.map(|file| file.unlock()));
            }
            Engine::Postgres(listeners) => postgres::close(listeners).await,
        }
    }
}

/// Whether a database that is only to be read is a store that this build understands.
fn readable(found: schema::Found, url: &DatabaseUrl) -> Result<(), StoreError> {
    let database = match url {
        DatabaseUrl::Sqlite(path) => path.display().to_string(),
        DatabaseUrl::Postgres(url) => url.to_string(),
    };
    let refused = |why| StoreError::Open { what: format!("the database {database} {why}"), detail: String::new() };
    match found {
        schema::Found::Current => Ok(()),
        schema::Found::Older => Err(refused("is of an older version; bring it up to date with `tollgate migrate up`")),
        schema::Found::Newer(migrations) => Err(StoreError::Newer { database, migrations }),
        schema::Found::Empty => Err(refused("is empty; `tollgate serve` or `tollgate migrate up` makes a store of it")),
        schema::Found::Other => Err(refused("is no store of tollgate")),
    }
}

fn open_error(what: String, error: &impl std::fmt::Display) -> StoreError {
    StoreError::Open { what, detail: error.to_string() }
}
