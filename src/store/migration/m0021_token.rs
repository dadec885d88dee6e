//! Access tokens as resources: each has the revision of its last change, and its name is unique among those that are not
//! revoked, which no table can say. Those of an earlier version have revision 0 until the ledger enters them into the log.
//!
//! A server of an earlier version could not follow what is in the log then, and what it wrote of tokens would not be
//! there. Without a default of the new column, and without its counter of changes, it changes none.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{bigint, bigint_or_null, bytes, table, text, text_or_null};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0021_token"
    }
}

/// SQLite cannot drop the constraint of a column: the rows move to another table, which takes the name.
const REBUILD: [&str; 3] = [
    "INSERT INTO rebuilt SELECT id, 0, name, role, node_id, value_sha256, created_at, created_by, expires_at, \
     revoked_at, revoked_by, last_used_at FROM token",
    "DROP TABLE token",
    "ALTER TABLE rebuilt RENAME TO token",
];

const ALTER: [&str; 3] = [
    "ALTER TABLE token DROP CONSTRAINT IF EXISTS token_name_key",
    "ALTER TABLE token ADD COLUMN revision bigint NOT NULL DEFAULT 0",
    "ALTER TABLE token ALTER COLUMN revision DROP DEFAULT",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Sqlite => {
                manager.create_table(rebuilt()).await?;
                REBUILD
            }
            _ => ALTER,
        };
        for sql in statements {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        manager.drop_table(Table::drop().table("token_head").take()).await
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn rebuilt() -> TableCreateStatement {
    let columns = [
        text("id").primary_key().take(),
        bigint("revision"),
        text("name"),
        text("role"),
        text_or_null("node_id"),
        bytes("value_sha256").unique_key().take(),
        bigint("created_at"),
        text("created_by"),
        bigint_or_null("expires_at"),
        bigint_or_null("revoked_at"),
        text_or_null("revoked_by"),
        bigint_or_null("last_used_at"),
    ];
    table("rebuilt", columns)
}
