//! Credit of hard limits: windows, accounts and sessions; and what nodes last said of themselves.
//!
//! An earlier server on PostgreSQL does not understand the journal rows of this one. The changelog asks to stop all servers
//! for the upgrade that this migration is a part of.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null, boolean, bytes, composite_key, int, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0014_credit"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [pool(), account(), node(), status()] {
            manager.create_table(table).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn pool() -> TableCreateStatement {
    let columns = [
        text("limit_id"),
        int("kind"),
        bigint("window_start"),
        bigint("max"),
        bigint("window_end"),
        bigint_or_null("valid_for"),
        bytes("carried"),
        boolean("is_moved"),
        bigint("epoch"),
        bytes("awaited"),
        bigint("awaited_until"),
    ];
    composite_key(table("credit_pool", columns), &["limit_id", "kind", "window_start"])
}

fn account() -> TableCreateStatement {
    let columns = [
        text("limit_id"),
        int("kind"),
        bigint("window_start"),
        bigint("incarnation"),
        bigint("granted"),
        bigint("used"),
        bigint("returned"),
    ];
    composite_key(table("credit_account", columns), &["limit_id", "kind", "window_start", "incarnation"])
}

fn node() -> TableCreateStatement {
    let columns = [
        bigint("incarnation").primary_key().take(),
        bigint("session"),
        bigint("connection"),
        bigint("last_seen"),
        boolean("is_closed"),
    ];
    table("credit_node", columns)
}

fn status() -> TableCreateStatement {
    let columns = [
        bigint("incarnation").primary_key().take(),
        text("replica"),
        text("version"),
        text("features"),
        boolean("has_session"),
        bigint("connected_at"),
        bigint("last_seen"),
        bigint("applied_revision"),
        bigint_or_null("max_staleness"),
        bigint("outbox_batches"),
        bigint_or_null("outbox_age"),
        bigint("open_admissions"),
        text("last_error"),
    ];
    table("node_status", columns)
}
