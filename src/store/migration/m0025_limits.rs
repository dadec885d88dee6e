//! When the usage of a limit was set to zero last, and how much of a limit is held for requests in flight.

use sea_orm_migration::prelude::*;

use super::columns::{bigint_or_null, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0025_limits"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["budget", "rate_limit"] {
            for column in [bigint_or_null("usage_reset_at"), text("reserve").default("observed").take()] {
                manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
            }
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
