//! `blocked_models` of provider configs, which earlier versions called `blacklisted_models`.

use sea_orm_migration::prelude::*;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0015_hierarchy"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An earlier server that still runs finds no `blacklisted_models`: the database refuses what it reads and writes.
        let mut renamed = Table::alter();
        renamed.table("virtual_key_provider_config").rename_column("blacklisted_models", "blocked_models");
        manager.alter_table(renamed).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
