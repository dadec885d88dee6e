//! Calendars of owners of limits, thresholds of their own, increases of budgets for a while, and corrections of what limits
//! counted in the audit trail.

use sea_orm_migration::prelude::*;

use super::columns::{bigint_or_null, bytes_or_null, text_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0013_limits"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["budget", "rate_limit"] {
            let column = text_or_null("alert_percents");
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        for name in ["temporary_increase_nano_usd", "temporary_increase_until"] {
            let column = bigint_or_null(name);
            manager.alter_table(Table::alter().table("budget").add_column(column).take()).await?;
        }
        for table in ["customer", "team", "virtual_key", "model_config", "provider_governance"] {
            let column = text_or_null("calendar");
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        let column = bytes_or_null("adjustment");
        manager.alter_table(Table::alter().table("change_txn").add_column(column).take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
