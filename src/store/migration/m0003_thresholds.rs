//! Limits that reached a threshold; and who registered a node.

use sea_orm_migration::prelude::*;

use super::columns::{bigint, composite_key, index, int, table, text};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_thresholds"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(threshold_event()).await?;
        for columns in [&["version", "percent"][..], &["owner_kind", "owner_id", "version"], &["crossed_at"]] {
            manager.create_index(index("threshold_event", columns)).await?;
        }
        // Nodes that registered before callers were told apart belong to whoever needs no name: the empty one.
        let registered_by = text("registered_by").default("").take();
        manager.alter_table(Table::alter().table("usage_node").add_column(registered_by).take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn threshold_event() -> TableCreateStatement {
    let columns = [
        text("limit_id"),
        int("kind"),
        bigint("window_start"),
        int("percent"),
        int("owner_kind"),
        text("owner_id"),
        bigint("used"),
        bigint("max"),
        bigint("version"),
        bigint("crossed_at"),
    ];
    composite_key(table("threshold_event", columns), &["limit_id", "kind", "window_start", "percent"])
}
