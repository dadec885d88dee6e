//! The first schema: the head, the log, requests, and the resources.
//!
//! There are no foreign keys: a cascade would change resources behind the stream's back, and a plain reference would
//! forbid to delete and insert a row again within a transaction, which is how unique names are swapped. References
//! between resources are checked in `decide`, rows without an owner when the tables are read.

use sea_orm_migration::prelude::*;

use super::columns::{
    bigint, bigint_or_null, boolean, bytes, bytes_or_null, composite_key, index, int, table, text, text_or_null,
};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_first"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            head(),
            change_txn(),
            change_row(),
            request(),
            customer(),
            team(),
            virtual_key(),
            virtual_key_provider_config(),
            virtual_key_mcp_config(),
            routing_rule(),
            routing_target(),
            model_config(),
            provider_governance(),
            pricing_override(),
            provider(),
            provider_key(),
            mcp_client(),
            budget(),
            rate_limit(),
            label(),
        ] {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    /// On SQLite transactions must be asked for. Without one, a crash would leave half a schema.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What the tables of all kinds begin with.
fn resource(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let common = [text("id").primary_key().take(), bigint("revision"), bigint("created_at"), bigint("updated_at")];
    table(name, common.into_iter().chain(columns))
}

fn head() -> TableCreateStatement {
    let mut head = table(
        "head",
        [
            int("id").primary_key().take(),
            text("store_id"),
            bigint("revision"),
            bytes("chain"),
            bigint("committed_at"),
            bigint("compacted_revision"),
            bytes("compacted_chain"),
            bigint("last_config_id"),
            bigint("usage_version"),
            bigint("last_incarnation"),
        ],
    );
    head.check(Expr::cust("id = 1")).check(Expr::cust("compacted_revision <= revision"));
    head
}

fn change_txn() -> TableCreateStatement {
    table(
        "change_txn",
        [
            bigint("revision").primary_key().take(),
            bytes("chain"),
            bigint("committed_at"),
            text("actor"),
            text("peer"),
            text("method"),
            text("request_id"),
        ],
    )
}

fn change_row() -> TableCreateStatement {
    composite_key(
        table(
            "change_row",
            [
                bigint("revision"),
                int("ord"),
                int("kind"),
                text("resource_id"),
                int("op"),
                bytes_or_null("body"),
                bytes_or_null("before_body"),
            ],
        ),
        &["revision", "ord"],
    )
}

fn request() -> TableCreateStatement {
    composite_key(
        table(
            "request",
            [
                text("caller"),
                text("method"),
                text("request_id"),
                bytes("fingerprint"),
                bytes("response"),
                bigint("accepted_at"),
            ],
        ),
        &["caller", "method", "request_id"],
    )
}

fn customer() -> TableCreateStatement {
    resource("customer", [text("name").unique_key().take(), boolean("calendar_aligned")])
}

fn team() -> TableCreateStatement {
    resource(
        "team",
        [
            text("name").unique_key().take(),
            text_or_null("customer_id"),
            boolean("calendar_aligned"),
            text_or_null("profile"),
            text_or_null("config"),
            text_or_null("claims"),
        ],
    )
}

fn virtual_key() -> TableCreateStatement {
    let mut virtual_key = resource(
        "virtual_key",
        [
            text("name").unique_key().take(),
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
        ],
    );
    virtual_key
        .check(Expr::cust("team_id IS NULL OR customer_id IS NULL"))
        .check(Expr::cust("(previous_value_sha256 IS NULL) = (previous_value_expires_at IS NULL)"));
    virtual_key
}

fn virtual_key_provider_config() -> TableCreateStatement {
    table(
        "virtual_key_provider_config",
        [
            bigint("id").primary_key().take(),
            text("virtual_key_id"),
            int("ord"),
            text("provider"),
            ColumnDef::new("weight").double().null().take(),
            text("allowed_models"),
            text("blacklisted_models"),
            text("key_ids"),
        ],
    )
}

fn virtual_key_mcp_config() -> TableCreateStatement {
    table(
        "virtual_key_mcp_config",
        [
            bigint("id").primary_key().take(),
            text("virtual_key_id"),
            int("ord"),
            text("mcp_client_name"),
            text("tools_to_execute"),
        ],
    )
}

fn routing_rule() -> TableCreateStatement {
    resource(
        "routing_rule",
        [
            text("name"),
            text("description"),
            boolean("enabled"),
            text("cel_expression"),
            text("fallbacks"),
            text("scope"),
            text("scope_id"),
            int("priority"),
            boolean("chain_rule"),
            text_or_null("query"),
        ],
    )
}

fn routing_target() -> TableCreateStatement {
    composite_key(
        table(
            "routing_target",
            [
                text("routing_rule_id"),
                int("ord"),
                text_or_null("provider"),
                text_or_null("model"),
                text_or_null("key_id"),
                ColumnDef::new("weight").double().not_null().take(),
            ],
        ),
        &["routing_rule_id", "ord"],
    )
}

fn model_config() -> TableCreateStatement {
    resource(
        "model_config",
        [text("model_name"), text("provider"), text("scope"), text("scope_id"), boolean("calendar_aligned")],
    )
}

fn provider_governance() -> TableCreateStatement {
    resource("provider_governance", [boolean("calendar_aligned")])
}

fn pricing_override() -> TableCreateStatement {
    resource(
        "pricing_override",
        [
            text("name"),
            text("scope_kind"),
            text_or_null("virtual_key_id"),
            text_or_null("provider_id"),
            text_or_null("provider_key_id"),
            text("pattern"),
            boolean("wildcard"),
            int("request_types"),
            text("rates"),
        ],
    )
}

fn provider() -> TableCreateStatement {
    resource("provider", [boolean("built_in")])
}

fn provider_key() -> TableCreateStatement {
    table("provider_key", [text("id").primary_key().take(), text("provider"), int("ord"), text("name"), text("models")])
}

fn mcp_client() -> TableCreateStatement {
    resource("mcp_client", [text("tools")])
}

/// The columns of which exactly one names the owner of a limit.
const OWNERS: [&str; 6] =
    ["customer_id", "team_id", "virtual_key_id", "provider_config_id", "model_config_id", "provider"];

/// A limit: its owner columns, and what else it has.
fn limit(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let owners = OWNERS.map(|owner| match owner {
        "provider_config_id" => bigint_or_null(owner),
        _ => text_or_null(owner),
    });
    let mut limit = table(name, [text("id").primary_key().take()].into_iter().chain(owners).chain(columns));
    let count = OWNERS.map(|owner| format!("CASE WHEN {owner} IS NULL THEN 0 ELSE 1 END")).join(" + ");
    limit.check(Expr::cust(format!("{count} = 1")));
    limit
}

fn budget() -> TableCreateStatement {
    limit(
        "budget",
        [
            int("ord"),
            bigint("max_limit_nano_usd"),
            text("reset_duration"),
            bigint("anchor"),
            bigint("created_at"),
            bigint("updated_at"),
        ],
    )
}

fn rate_limit() -> TableCreateStatement {
    limit(
        "rate_limit",
        [
            bigint_or_null("token_max_limit"),
            text_or_null("token_reset_duration"),
            bigint_or_null("token_anchor"),
            bigint_or_null("request_max_limit"),
            text_or_null("request_reset_duration"),
            bigint_or_null("request_anchor"),
            bigint("created_at"),
            bigint("updated_at"),
        ],
    )
}

fn label() -> TableCreateStatement {
    composite_key(
        table("label", [int("kind"), text("resource_id"), text("key"), text("value")]),
        &["kind", "resource_id", "key"],
    )
}

fn indexes() -> Vec<IndexCreateStatement> {
    let mut indexes = vec![
        index("change_txn", &["committed_at", "revision"]),
        index("change_txn", &["actor", "revision"]),
        index("change_row", &["kind", "resource_id", "revision"]),
        // Only removals, which loading asks for: a scan of the log would read all its bodies.
        index("change_row", &["op", "revision"]).and_where(Expr::cust("op = 3")).take(),
        index("request", &["accepted_at"]),
        index("virtual_key_provider_config", &["virtual_key_id"]),
        index("virtual_key_mcp_config", &["virtual_key_id"]),
        index("provider_key", &["provider"]),
        index("routing_rule", &["scope", "scope_id", "name"]).unique().take(),
        index("routing_rule", &["scope", "scope_id", "priority"]).unique().take(),
        index("model_config", &["scope", "scope_id", "model_name", "provider"]).unique().take(),
    ];
    for owner in OWNERS {
        // Only rows of this kind of owner, so that a limit costs one entry and not six.
        let set = || Expr::col(owner).is_not_null();
        indexes.push(index("budget", &[owner]).and_where(set()).take());
        indexes.push(index("rate_limit", &[owner]).unique().and_where(set()).take());
    }
    indexes
}
