//! Nodes that report usage, a row per incarnation, with the number of the last batch that was counted.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_node")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub incarnation: i64,
    pub node_id: String,
    pub version: String,
    pub metadata: String,
    pub registered_at: i64,
    pub last_sequence: i64,
    pub last_fingerprint: Vec<u8>,
    pub registered_by: String,
    /// The store that it registered at; empty for this one.
    pub store_id: String,
}

impl ActiveModelBehavior for ActiveModel {}
