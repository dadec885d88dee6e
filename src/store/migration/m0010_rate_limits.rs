//! Several rate limits for one owner, in the client's order.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{index, int};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0010_rate_limits"
    }
}

/// The columns of which exactly one names the owner of a rate limit.
const OWNERS: [&str; 6] =
    ["customer_id", "team_id", "virtual_key_id", "provider_config_id", "model_config_id", "provider"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An owner had one rate limit at most, which is the first of its list.
        let ord = int("ord").default(0).take();
        manager.alter_table(Table::alter().table("rate_limit").add_column(ord).take()).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            // An earlier server that still runs takes the second rate limit of an owner for a fault. Without the default the
            // database refuses what it writes. A file has one server.
            let sql = "ALTER TABLE rate_limit ALTER COLUMN ord DROP DEFAULT";
            manager.get_connection().execute_unprepared(sql).await?;
        }
        for owner in OWNERS {
            let mut unique = Index::drop();
            unique.name(format!("rate_limit_{owner}")).table("rate_limit");
            manager.drop_index(unique).await?;
            let of_owner = index("rate_limit", &[owner]).and_where(Expr::col(owner).is_not_null()).take();
            manager.create_index(of_owner).await?;
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
