//! The schema's history, oldest first. A migration that was released is never changed, so migrations spell out their
//! tables instead of deriving them from `entity`. Run by `connect` when a store is opened.

mod columns;
mod m0001_first;
mod m0002_usage;
mod m0003_thresholds;
mod m0004_usage_journal;
mod m0005_tokens;

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
        ]
    }
}
