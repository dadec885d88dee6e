//! Tokens, and the counter that tells replicas that they changed.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null, bytes, int, table, text, text_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0005_tokens"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [token(), token_head()] {
            manager.create_table(table).await?;
        }
        let head = Query::insert()
            .into_table("token_head")
            .columns(["id", "version"])
            .values_panic([1.into(), 0.into()])
            .take();
        manager.execute(head).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn token() -> TableCreateStatement {
    table(
        "token",
        [
            text("id").primary_key().take(),
            text("name").unique_key().take(),
            text("role"),
            text_or_null("node_id"),
            bytes("value_sha256").unique_key().take(),
            bigint("created_at"),
            text("created_by"),
            bigint_or_null("expires_at"),
            bigint_or_null("revoked_at"),
            text_or_null("revoked_by"),
            bigint_or_null("last_used_at"),
        ],
    )
}

/// One row: the lock of whoever changes tokens, and how often they were changed.
fn token_head() -> TableCreateStatement {
    let mut head = table("token_head", [int("id").primary_key().take(), bigint("version")]);
    head.check(Expr::cust("id = 1"));
    head
}
