//! The journal of usage.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bytes, table};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0004_usage_journal"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [bigint("version").primary_key().take(), bigint("from_version"), bytes("body")];
        manager.create_table(table("usage_journal", columns)).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
