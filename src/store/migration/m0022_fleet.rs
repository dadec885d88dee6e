//! The part of usage that no credit was held for, the end of increases that credit was granted by, and further facts of nodes.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0022_fleet"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [
            ("credit_pool", bigint("uncovered").default(0).take()),
            ("credit_pool", bigint_or_null("raised_until")),
            ("node_status", text("kinds").default("[]").take()),
            ("node_status", bigint("credit_refused").default(0).take()),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
