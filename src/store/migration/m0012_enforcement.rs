//! How budgets and rate limits hold requests back. Stored ones are hard from now on, as new ones are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::text;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0012_enforcement"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["budget", "rate_limit"] {
            let enforcement = text("enforcement").default("hard").take();
            manager.alter_table(Table::alter().table(table).add_column(enforcement).take()).await?;
            if manager.get_database_backend() == DbBackend::Postgres {
                // An earlier server that still runs takes a change of it for none. Without the default the database refuses
                // what it writes. A file has one server.
                let sql = format!("ALTER TABLE {table} ALTER COLUMN enforcement DROP DEFAULT");
                manager.get_connection().execute_unprepared(&sql).await?;
            }
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
