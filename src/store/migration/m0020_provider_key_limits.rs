//! Limits of provider keys, and the calendar that those of a provider's keys follow.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{bigint, bigint_or_null, boolean, index, int, rebuild, text, text_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0020_provider_key_limits"
    }
}

/// The columns of which exactly one names the owner of a limit. The last one is new.
const OWNERS: [&str; 7] = [
    "customer_id",
    "team_id",
    "virtual_key_id",
    "provider_config_id",
    "model_config_id",
    "provider",
    "provider_key_id",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let count = OWNERS.map(|owner| format!("CASE WHEN {owner} IS NULL THEN 0 ELSE 1 END")).join(" + ");
        let owner = text_or_null("provider_key_id").check(Expr::cust(format!("{count} = 1"))).take();
        for (limits, columns) in [("budget", budget()), ("rate_limit", rate_limit())] {
            // The check on the owner columns that are there gives way to that on all.
            let not_indexed = match manager.get_database_backend() {
                DbBackend::Sqlite => {
                    rebuild(manager, limits, columns, &[]).await?;
                    &OWNERS[..]
                }
                _ => {
                    let sql = format!("ALTER TABLE {limits} DROP CONSTRAINT {limits}_check");
                    manager.get_connection().execute_unprepared(&sql).await?;
                    &OWNERS[6..]
                }
            };
            manager.alter_table(Table::alter().table(limits).add_column(owner.clone()).take()).await?;
            for owner in not_indexed {
                let owned = index(limits, &[*owner]).and_where(Expr::col(*owner).is_not_null()).take();
                manager.create_index(owned).await?;
            }
        }
        for column in [boolean("calendar_aligned").default(false).take(), text_or_null("calendar")] {
            manager.alter_table(Table::alter().table("provider").add_column(column).take()).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// The columns that a limit begins with, but for the new owner.
fn limit(columns: impl IntoIterator<Item = ColumnDef>) -> Vec<ColumnDef> {
    let owners = OWNERS[..6].iter().map(|owner| match *owner {
        "provider_config_id" => bigint_or_null(owner),
        _ => text_or_null(owner),
    });
    [text("id").primary_key().take()].into_iter().chain(owners).chain(columns).collect()
}

fn budget() -> Vec<ColumnDef> {
    limit([
        int("ord"),
        bigint("max_limit_nano_usd"),
        text("reset_duration"),
        bigint("anchor"),
        bigint("created_at"),
        bigint("updated_at"),
        text("enforcement"),
        text_or_null("alert_percents"),
        bigint_or_null("temporary_increase_nano_usd"),
        bigint_or_null("temporary_increase_until"),
    ])
}

fn rate_limit() -> Vec<ColumnDef> {
    limit([
        bigint_or_null("token_max_limit"),
        text_or_null("token_reset_duration"),
        bigint_or_null("token_anchor"),
        bigint_or_null("request_max_limit"),
        text_or_null("request_reset_duration"),
        bigint_or_null("request_anchor"),
        bigint("created_at"),
        bigint("updated_at"),
        int("ord"),
        text("enforcement"),
        text_or_null("alert_percents"),
        bigint_or_null("concurrent_request_max_limit"),
    ])
}
