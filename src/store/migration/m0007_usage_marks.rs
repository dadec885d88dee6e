//! By what transactions of usage are told apart that led to one version in two histories.

use sea_orm_migration::prelude::*;

use super::columns::bigint;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0007_usage_marks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, column) in [("head", "usage_mark"), ("usage_journal", "from_mark")] {
            let column = bigint(column).default(0).take();
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
