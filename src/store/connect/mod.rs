//! Opening and closing. What is particular to an engine stands in the file of the engine: where it is, its connections,
//! their settings, and who may have it. [`schema`] is about both.

mod postgres;
mod schema;
mod sqlite;
mod url;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use sea_orm::DatabaseConnection;

pub use self::url::DatabaseUrl;
use super::Store;
use super::error::StoreError;

/// Connections that write and connections that only read.
struct Connections {
    writer: DatabaseConnection,
    readers: DatabaseConnection,
}

/// What else an open database takes, by its engine.
pub(super) enum Engine {
    /// The lock on the file, which is held as long as the store is open: the file has one owner.
    Sqlite(Mutex<Option<File>>),
    /// Other servers may have it open as well.
    Postgres,
}

impl Store {
    /// The fewest connections that a store on PostgreSQL works with: two that write, one that reads, one that listens.
    pub const MIN_CONNECTIONS: u32 = 4;

    /// Opens the database; makes and migrates it as needed. A SQLite file is taken for this process. Of a PostgreSQL
    /// database at most `connections` connections are used; other servers may use it as well.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`] if another process has the file, [`StoreError::Newer`] if a newer build migrated the database
    /// in a way that this one does not understand, and [`StoreError::Open`] with what to do about it for everything else.
    pub async fn open(url: &DatabaseUrl, connections: u32) -> Result<Self, StoreError> {
        let (Connections { writer, readers }, engine) = match url {
            DatabaseUrl::Sqlite(path) => {
                let (connections, lock) = sqlite::open(path).await?;
                (connections, Engine::Sqlite(Mutex::new(Some(lock))))
            }
            DatabaseUrl::Postgres(url) => (postgres::open(url, connections).await?, Engine::Postgres),
        };
        Ok(Self { writer, readers, engine: engine.into(), announced: Arc::default() })
    }

    /// Opens the database for reading, beside whoever has it: takes no lock and changes nothing. Every write fails.
    ///
    /// # Errors
    ///
    /// As [`Store::open`]; also if there is no store.
    pub async fn open_beside(url: &DatabaseUrl) -> Result<Self, StoreError> {
        let (readers, engine) = match url {
            DatabaseUrl::Sqlite(path) => (sqlite::open_beside(path).await?, Engine::Sqlite(Mutex::new(None))),
            DatabaseUrl::Postgres(url) => (postgres::open_beside(url).await?, Engine::Postgres),
        };
        Ok(Self { writer: readers.clone(), readers, engine: engine.into(), announced: Arc::default() })
    }

    /// Closes all connections and gives the database free; on SQLite this brings the write-ahead log into the file. All
    /// clones of the store are closed with it.
    pub async fn close(&self) {
        // Readers first: the last connection that closes does SQLite's checkpoint, and readers may not write.
        let _ = self.readers.clone().close().await;
        let _ = self.writer.clone().close().await;
        match &*self.engine {
            Engine::Sqlite(lock) => drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take()),
            Engine::Postgres => {}
        }
    }
}

/// Whether a database that is only to be read is a store that this build understands.
fn readable(found: schema::Found, database: &dyn std::fmt::Display) -> Result<(), StoreError> {
    let refused = |why| StoreError::Open { what: format!("the database {database} {why}"), detail: String::new() };
    match found {
        schema::Found::Current => Ok(()),
        schema::Found::Older => Err(refused("is of an older version; start `tollgate serve` on it once")),
        schema::Found::Newer(migrations) => Err(StoreError::Newer { database: database.to_string(), migrations }),
        schema::Found::Other => Err(refused("is no store of tollgate")),
    }
}

fn open_error(what: String, error: &impl std::fmt::Display) -> StoreError {
    StoreError::Open { what, detail: error.to_string() }
}
