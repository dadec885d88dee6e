//! Where the store stands: a single row, which every writer locks first.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub store_id: String,
    pub revision: i64,
    pub chain: Vec<u8>,
    pub committed_at: i64,
    pub compacted_revision: i64,
    pub compacted_chain: Vec<u8>,
    pub last_config_id: i64,
    pub usage_version: i64,
    pub last_incarnation: i64,
    pub usage_mark: i64,
}

impl ActiveModelBehavior for ActiveModel {}
