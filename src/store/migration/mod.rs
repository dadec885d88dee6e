//! The schema's history, oldest first. A migration that was released is never changed, so migrations spell out their
//! tables instead of deriving them from `entity`. Run by `connect` when a store is opened.
//!
//! On PostgreSQL a server of this version may run beside one of the version before, which goes on while this one migrates.
//! So a migration only adds: tables, indexes, columns with a default; entities name their columns, so that who does not
//! know a column neither reads nor writes it. What renames, narrows or removes takes two versions: the first adds the new
//! and writes both, the second, which may only be started when no server of the version before the first is left,
//! removes the old. A server does not start on a database with a migration that it does not know.
//!
//! Where no server of the version before may go on, because the new one could not follow what it writes, the migration
//! leaves a new column without its default, so that the database refuses those writes: `m0008_chain_version` does. The
//! changelog says that all servers have to be stopped for such an upgrade, and then a migration may rename too:
//! `m0015_hierarchy` and `m0020_token` do.

mod columns;
mod m0001_first;
mod m0002_usage;
mod m0003_thresholds;
mod m0004_usage_journal;
mod m0005_tokens;
mod m0006_usage_origin;
mod m0007_usage_marks;
mod m0008_chain_version;
mod m0009_model_price;
mod m0010_rate_limits;
mod m0011_spend;
mod m0012_enforcement;
mod m0013_limits;
mod m0014_credit;
mod m0015_hierarchy;
mod m0016_managed_by;
mod m0017_webhook;
mod m0018_concurrency;
mod m0019_replica;
mod m0020_provider_key_limits;
mod m0021_token;
mod m0022_fleet;
mod m0023_adjustments;
mod m0025_limits;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// All migrations that this build knows.
pub(super) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_first::Migration),
            Box::new(m0002_usage::Migration),
            Box::new(m0003_thresholds::Migration),
            Box::new(m0004_usage_journal::Migration),
            Box::new(m0005_tokens::Migration),
            Box::new(m0006_usage_origin::Migration),
            Box::new(m0007_usage_marks::Migration),
            Box::new(m0008_chain_version::Migration),
            Box::new(m0009_model_price::Migration),
            Box::new(m0010_rate_limits::Migration),
            Box::new(m0011_spend::Migration),
            Box::new(m0012_enforcement::Migration),
            Box::new(m0013_limits::Migration),
            Box::new(m0014_credit::Migration),
            Box::new(m0015_hierarchy::Migration),
            Box::new(m0016_managed_by::Migration),
            Box::new(m0017_webhook::Migration),
            Box::new(m0018_concurrency::Migration),
            Box::new(m0019_replica::Migration),
            Box::new(m0020_provider_key_limits::Migration),
            Box::new(m0021_token::Migration),
            Box::new(m0022_fleet::Migration),
            Box::new(m0023_adjustments::Migration),
            Box::new(m0025_limits::Migration),
        ]
    }
}
