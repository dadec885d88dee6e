//! What the chain takes in of each revision, and hashes of the requests that are remembered.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use super::columns::{bytes, bytes_or_null, int};

pub(super) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0008_chain_version"
    }
}

/// The columns that a server of an earlier version does not write.
const NEW: [(&str, &str); 2] = [("change_txn", "chain_version"), ("request", "digest")];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // What is there was chained under the first version, and remembered without a hash.
        let chain_version = int("chain_version").default(1).take();
        let digest = bytes("digest").default(Vec::<u8>::new()).take();
        for (table, column) in
            [("change_txn", chain_version), ("change_txn", bytes_or_null("request_digest")), ("request", digest)]
        {
            manager.alter_table(Table::alter().table(table).add_column(column).take()).await?;
        }
        if manager.get_database_backend() == DbBackend::Postgres {
            // An earlier server that still runs would go on with the chain as it knows it, which later ones could not
            // verify. Without the defaults the database refuses what it writes. A file has one server.
            for (table, column) in NEW {
                let sql = format!("ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT");
                manager.get_connection().execute_unprepared(&sql).await?;
            }
        }
        Ok(())
    }

    /// As in `m0001_first`.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
