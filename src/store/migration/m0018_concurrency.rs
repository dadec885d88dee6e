//! Limits on requests that are open at once, and until when nodes may hold slots of them.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0018_concurrency"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = bigint_or_null("concurrent_request_max_limit");
        manager.alter_table(Table::alter().table("rate_limit").add_column(column).take()).await?;
        let column = bigint("slots_until").default(0).take();
        manager.alter_table(Table::alter().table("credit_node").add_column(column).take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
