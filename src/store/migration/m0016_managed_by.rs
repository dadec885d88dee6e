//! The source that manages a resource; and names of teams and virtual keys that are unique within their parents only, which no
//! table can say: they are compared in normal form.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{bigint, bigint_or_null, boolean, bytes, bytes_or_null, rebuild, text, text_or_null};

/// The tables of all kinds.
const RESOURCES: [&str; 10] = [
    "customer",
    "team",
    "virtual_key",
    "routing_rule",
    "model_config",
    "provider_governance",
    "pricing_override",
    "model_price",
    "provider",
    "mcp_client",
];

const VIRTUAL_KEY_CHECKS: [&str; 2] =
    ["team_id IS NULL OR customer_id IS NULL", "(previous_value_sha256 IS NULL) = (previous_value_expires_at IS NULL)"];

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0016_managed_by"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for (resource, columns, checks) in
            [("team", team(), &[][..]), ("virtual_key", virtual_key(), &VIRTUAL_KEY_CHECKS)]
        {
            match backend {
                DbBackend::Sqlite => rebuild(manager, resource, columns, checks).await?,
                _ => {
                    let sql = format!("ALTER TABLE {resource} DROP CONSTRAINT IF EXISTS {resource}_name_key");
                    manager.get_connection().execute_unprepared(&sql).await?;
                }
            }
        }
        for resource in RESOURCES {
            let column = text("managed_by").default("").take();
            manager.alter_table(Table::alter().table(resource).add_column(column).take()).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn team() -> Vec<ColumnDef> {
    vec![
        text("id").primary_key().take(),
        bigint("revision"),
        bigint("created_at"),
        bigint("updated_at"),
        text("name"),
        text_or_null("customer_id"),
        boolean("calendar_aligned"),
        text_or_null("profile"),
        text_or_null("config"),
        text_or_null("claims"),
        text_or_null("calendar"),
        boolean("is_active").default(true).take(),
        text("model_ceiling_allowed_providers").default("[]").take(),
        text("model_ceiling_allowed_models").default("[]").take(),
        text("model_ceiling_blocked_models").default("[]").take(),
    ]
}

fn virtual_key() -> Vec<ColumnDef> {
    vec![
        text("id").primary_key().take(),
        bigint("revision"),
        bigint("created_at"),
        bigint("updated_at"),
        text("name"),
        bytes("value_sha256").unique_key().take(),
        text("value_mask"),
        bytes_or_null("previous_value_sha256").unique_key().take(),
        bigint_or_null("previous_value_expires_at"),
        text("description"),
        boolean("is_active"),
        text_or_null("team_id"),
        text_or_null("customer_id"),
        bigint_or_null("expires_at"),
        boolean("calendar_aligned"),
        text("created_by"),
        text_or_null("calendar"),
    ]
}
