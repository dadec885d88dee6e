//! The servers of a database, as they tell of themselves.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, boolean, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0019_replica"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            text("id").primary_key().take(),
            text("name"),
            text("version"),
            bigint("started_at"),
            bigint("last_seen"),
            bigint("revision"),
            boolean("is_current"),
        ];
        manager.create_table(table("replica", columns)).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
