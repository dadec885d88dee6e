//! Whose database it is, and bringing its schema up to date.

use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    IntoDatabaseExecutor,
};
use sea_orm_migration::{MigratorTrait as _, SchemaManager, seaql_migrations};

use super::super::entity::head;
use super::super::migration::Migrator;
use crate::domain::Timestamp;
use crate::state::Chain;

/// What a database is.
pub(super) enum Found {
    /// A store that this build has migrated fully.
    Current,
    /// A store of an older build.
    Older,
    /// A store with these migrations, which this build does not know.
    Newer(Vec<String>),
    /// No store.
    Other,
}

/// Whether the database is a store that this build understands.
pub(super) async fn examine<'c, C>(connection: &'c C) -> Result<Found, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    if !SchemaManager::new(connection).has_table("seaql_migrations").await? {
        return Ok(Found::Other);
    }
    let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let applied = seaql_migrations::Entity::find().all(connection).await?;
    let applied: Vec<String> = applied.into_iter().map(|applied| applied.version).collect();
    let unknown: Vec<String> = applied.iter().filter(|version| !known.contains(version)).cloned().collect();
    Ok(match unknown.is_empty() {
        false => Found::Newer(unknown),
        true if known.iter().all(|version| applied.contains(version)) => Found::Current,
        true => Found::Older,
    })
}

/// Brings the schema up to date and makes the head, all in the one transaction: a start that is cut off leaves nothing.
pub(super) async fn migrate(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    Migrator::up(transaction, None).await?;
    if head::Entity::find_by_id(1).one(transaction).await?.is_none() {
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
        origin.into_active_model().insert(transaction).await?;
    }
    Ok(())
}
