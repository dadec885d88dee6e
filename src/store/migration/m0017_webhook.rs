//! Webhooks, and the outbox of what is to be sent to them.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, bigint_or_null, boolean, composite_key, index, int, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0017_webhook"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [webhook(), webhook_head(), webhook_delivery(), webhook_told()] {
            manager.create_table(table).await?;
        }
        for columns in [&["state", "next_attempt_at"][..], &["webhook_id", "state", "number"], &["finished_at"]] {
            manager.create_index(index("webhook_delivery", columns)).await?;
        }
        // Thresholds that were crossed before are told to nobody.
        let mut crossed = Query::select();
        let columns = ["1", "COALESCE(MAX(version), 0)", "0"];
        for column in columns {
            crossed.expr(Expr::cust(column));
        }
        let crossed = crossed.from("threshold_event").take();
        let head = Query::insert()
            .into_table("webhook_head")
            .columns(["id", "crossing_version", "last_number"])
            .select_from(crossed)
            .map_err(|error| DbErr::Custom(error.to_string()))?
            .take();
        manager.execute(head).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn webhook() -> TableCreateStatement {
    let columns = [
        text("id").primary_key().take(),
        bigint("revision"),
        bigint("created_at"),
        bigint("updated_at"),
        text("name").unique_key().take(),
        text("url"),
        text("secret"),
        text("events"),
        text("owner_kind"),
        text("owner_id"),
        text("format"),
        boolean("is_active"),
        text("managed_by"),
    ];
    table("webhook", columns)
}

fn webhook_head() -> TableCreateStatement {
    let mut head =
        table("webhook_head", [int("id").primary_key().take(), bigint("crossing_version"), bigint("last_number")]);
    head.check(Expr::cust("id = 1"));
    head
}

fn webhook_delivery() -> TableCreateStatement {
    let columns = [
        text("id").primary_key().take(),
        bigint("number").unique_key().take(),
        text("webhook_id"),
        int("event"),
        int("state"),
        text("body"),
        int("attempts"),
        int("last_status"),
        text("last_error"),
        bigint("created_at"),
        bigint("next_attempt_at"),
        bigint("leased_until"),
        bigint_or_null("finished_at"),
    ];
    table("webhook_delivery", columns)
}

fn webhook_told() -> TableCreateStatement {
    let columns = [text("webhook_id"), int("event"), text("subject"), bigint("mark"), bigint("told_at")];
    composite_key(table("webhook_told", columns), &["webhook_id", "event", "subject", "mark"])
}
