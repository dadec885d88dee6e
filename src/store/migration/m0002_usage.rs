//! The tables of usage: nodes and their watermarks, counters, and the owners of deleted keys.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bytes, composite_key, int, table, text, text_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_usage"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [usage_node(), usage_counter(), former_key()] {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn usage_node() -> TableCreateStatement {
    table(
        "usage_node",
        [
            bigint("incarnation").primary_key().take(),
            text("node_id"),
            text("version"),
            text("metadata"),
            bigint("registered_at"),
            bigint("last_sequence"),
            bytes("last_fingerprint"),
        ],
    )
}

fn usage_counter() -> TableCreateStatement {
    composite_key(
        table(
            "usage_counter",
            [text("limit_id"), int("kind"), bigint("window_start"), bigint("used"), bigint("version")],
        ),
        &["limit_id", "kind", "window_start"],
    )
}

fn former_key() -> TableCreateStatement {
    let columns = [
        text("virtual_key_id").primary_key().take(),
        text_or_null("team_id"),
        text_or_null("customer_id"),
        bigint("deleted_at"),
    ];
    table("former_key", columns)
}
