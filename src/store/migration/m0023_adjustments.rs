//! Corrections of what limits counted, by the time at which they were made: there are few of them in a long log.

use sea_orm_migration::prelude::*;

use super::columns::index;

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0023_adjustments"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let adjusted = Expr::col("adjustment").is_not_null();
        manager.create_index(index("change_txn", &["committed_at"]).and_where(adjusted).take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
