//! Ceilings of teams and customers, and whether they are active; `blocked_models` of provider configs, which earlier versions
//! called `blacklisted_models`.

use sea_orm_migration::prelude::*;

use super::columns::{boolean, text};

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
        manager.alter_table(renamed).await?;
        for owner in ["customer", "team"] {
            let lists =
                ["model_ceiling_allowed_providers", "model_ceiling_allowed_models", "model_ceiling_blocked_models"];
            let lists = lists.map(|list| text(list).default("[]").take());
            for column in [boolean("is_active").default(true).take()].into_iter().chain(lists) {
                manager.alter_table(Table::alter().table(owner).add_column(column).take()).await?;
            }
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
