//! At which store a node registered, if that was another one than this: it was imported.

use sea_orm_migration::prelude::*;

use super::columns::text;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0006_usage_origin"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let store_id = text("store_id").default("").take();
        manager.alter_table(Table::alter().table("usage_node").add_column(store_id).take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
