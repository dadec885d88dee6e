//! The log: one row a revision.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "change_txn")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    pub chain: Vec<u8>,
    pub chain_version: i32,
    pub committed_at: i64,
    pub actor: String,
    pub peer: String,
    pub method: String,
    pub request_id: String,
    pub request_digest: Option<Vec<u8>>,
    pub adjustment: Option<Vec<u8>>,
}

impl ActiveModelBehavior for ActiveModel {}
