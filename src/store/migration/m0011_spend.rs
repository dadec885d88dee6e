//! Spend over time.
//!
//! An earlier server on PostgreSQL that counts usage beside this one adds nothing to spend. The changelog asks to stop all
//! servers for the upgrade that this migration is a part of.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bytes, composite_key, int, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0011_spend"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [journal(), series(), spend(), head()] {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn journal() -> TableCreateStatement {
    table("spend_journal", [bigint("version").primary_key().take(), bytes("body")])
}

fn series() -> TableCreateStatement {
    let columns = [
        bytes("id").primary_key().take(),
        text("customer_id"),
        text("team_id"),
        text("virtual_key_id"),
        text("provider"),
        text("model"),
        bigint("last_start"),
    ];
    table("spend_series", columns)
}

fn spend() -> TableCreateStatement {
    let columns = [
        bigint("start"),
        bytes("series"),
        bigint("requests"),
        bigint("unpriced_requests"),
        bigint("input_tokens"),
        bigint("cached_input_tokens"),
        bigint("cache_write_tokens"),
        bigint("output_tokens"),
        bigint("reasoning_tokens"),
        bigint("audio_tokens"),
        bigint("cost_nano_usd"),
    ];
    composite_key(table("spend", columns), &["start", "series"])
}

fn head() -> TableCreateStatement {
    table("spend_head", [int("id").primary_key().take(), text("time_zone"), bigint("joined_until")])
}
