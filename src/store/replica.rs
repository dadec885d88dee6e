//! The servers of a database, as they last told of themselves.

use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::replica::{Column, Entity, Model};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::script::Script;
use super::{Reader, Store};
use crate::domain::Timestamp;

/// A server, as it last told of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replica {
    /// UUIDv7, of this run of its process.
    pub id: Box<str>,
    /// Machine and port.
    pub name: Box<str>,
    /// The version of its program.
    pub version: Box<str>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it told this.
    pub last_seen: Timestamp,
    /// The revision that it had.
    pub revision: i64,
    /// Whether it followed the database.
    pub is_current: bool,
}

impl Row for Model {
    type Key = String;

    fn key(&self) -> Self::Key {
        self.id.clone()
    }
}

impl Store {
    /// Writes what a server tells of itself, and forgets those that were heard last before `forgotten`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn write_replica(&self, replica: &Replica, forgotten: Timestamp) -> Result<(), StoreError> {
        let row = Model {
            id: replica.id.to_string(),
            name: replica.name.to_string(),
            version: replica.version.to_string(),
            started_at: replica.started_at.as_micros(),
            last_seen: replica.last_seen.as_micros(),
            revision: replica.revision,
            is_current: replica.is_current,
        };
        let tx = self.begin_write().await?;
        let mut script = Script::new(tx.get_database_backend());
        script.upsert(vec![row]);
        let forget = Entity::delete_many().filter(Column::LastSeen.lt(forgotten.as_micros()));
        let written = async {
            script.run(&tx).await?;
            forget.exec(&tx).await?;
            Ok(())
        };
        let result = self.in_time(written).await;
        self.reach.finish(tx, result).await
    }

    /// Forgets a server.
    ///
    /// # Errors
    ///
    /// As [`Store::write_replica`].
    pub async fn remove_replica(&self, id: &str) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(async { Ok(Entity::delete_by_id(id.to_owned()).exec(&tx).await?) }).await;
        self.reach.finish(tx, result.map(|_| ())).await
    }
}

impl Reader {
    /// All servers, in no particular order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn replicas(&self) -> Result<Vec<Replica>, StoreError> {
        let tx = self.begin_read().await?;
        let told = self.in_time(rows(&tx, Entity::find())).await?;
        let told = told.into_iter().map(|row| Replica {
            id: row.id.into(),
            name: row.name.into(),
            version: row.version.into(),
            started_at: Timestamp::from_micros(row.started_at),
            last_seen: Timestamp::from_micros(row.last_seen),
            revision: row.revision,
            is_current: row.is_current,
        });
        Ok(told.collect())
    }
}
