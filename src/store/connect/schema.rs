//! Whose database it is, and bringing its schema up to date.

use sea_orm::{
    ActiveModelTrait as _, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait as _,
    IntoActiveModel as _, IntoDatabaseExecutor, Statement,
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
    /// Nothing.
    Empty,
    /// Something else.
    Other,
}

/// A step in the history of the schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Its name.
    pub name: String,
    /// When the database got it, to the second; `None` if it does not have it.
    pub applied_at: Option<Timestamp>,
}

/// Whether the database is a store that this build understands.
pub(super) async fn examine<'c, C>(connection: &'c C) -> Result<Found, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    let Some(applied) = applied(connection).await? else {
        let tables = match connection.get_database_backend() {
            DbBackend::Sqlite => "SELECT 1 FROM sqlite_master",
            _ => "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = current_schema() LIMIT 1",
        };
        let table = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), tables)).await?;
        return Ok(if table.is_none() { Found::Empty } else { Found::Other });
    };
    let known = known();
    let unknown = applied.iter().map(|applied| &applied.version).filter(|version| !known.contains(version));
    let unknown: Vec<String> = unknown.cloned().collect();
    Ok(match unknown.is_empty() {
        false => Found::Newer(unknown),
        true if applied.len() == known.len() => Found::Current,
        true => Found::Older,
    })
}

/// The migrations that this build knows, oldest first, as the database has them.
pub(super) async fn migrations<'c, C>(connection: &'c C) -> Result<Vec<Migration>, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    let applied = applied(connection).await?.unwrap_or_default();
    let as_applied = |name: String| {
        let applied = applied.iter().find(|applied| applied.version == name);
        let at = |seconds: i64| Timestamp::EPOCH.plus_micros(seconds.saturating_mul(1_000_000));
        Migration { applied_at: applied.map(|applied| at(applied.applied_at)), name }
    };
    Ok(known().into_iter().map(as_applied).collect())
}

/// The names of the migrations that this build knows, oldest first.
pub(super) fn known() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// The migrations that the database has; `None` if it has no list of them.
async fn applied<'c, C>(connection: &'c C) -> Result<Option<Vec<seaql_migrations::Model>>, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoDatabaseExecutor<'c>,
{
    match SchemaManager::new(connection).has_table("seaql_migrations").await? {
        true => seaql_migrations::Entity::find().all(connection).await.map(Some),
        false => Ok(None),
    }
}

/// Brings the schema up to date and makes the head, all in the one transaction: a start that is cut off leaves nothing.
/// Returns the names of the migrations that were missing.
pub(super) async fn migrate(transaction: &DatabaseTransaction) -> Result<Vec<String>, DbErr> {
    let mut missing = migrations(transaction).await?;
    missing.retain(|migration| migration.applied_at.is_none());
    Migrator::up(transaction, None).await?;
    if head::Entity::find_by_id(1).one(transaction).await?.is_none() {
        let store_id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let origin = head::Model {
            id: 1,
            store_id: store_id.to_string(),
            revision: 0,
            chain: Chain::ORIGIN.0.to_vec(),
            committed_at: Timestamp::EPOCH.as_micros(),
            compacted_revision: 0,
            compacted_chain: Chain::ORIGIN.0.to_vec(),
            last_config_id: 0,
            usage_version: 0,
            usage_mark: 0,
            last_incarnation: 0,
        };
        origin.into_active_model().insert(transaction).await?;
    }
    Ok(missing.into_iter().map(|migration| migration.name).collect())
}
