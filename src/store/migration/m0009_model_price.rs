//! Prices of models.
//!
//! No column without a default keeps earlier servers on PostgreSQL from writing, as in `m0008_chain_version`: this version can
//! follow all that they write. They cannot follow a price. An earlier server ends at the first one, and since it reads what
//! others wrote before it writes, it cannot delete the provider of a price. The changelog asks to stop all servers for the
//! upgrade that this migration is a part of.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0009_model_price"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            text("id").primary_key().take(),
            bigint("revision"),
            bigint("created_at"),
            bigint("updated_at"),
            text("provider"),
            text("model"),
            text("rates"),
            bigint("context_window"),
            bigint("max_output_tokens"),
            text("source"),
            bigint_or_null("valid_from"),
            bigint_or_null("valid_to"),
        ];
        manager.create_table(table("model_price", columns)).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
