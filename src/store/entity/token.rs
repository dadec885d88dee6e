//! Access tokens, revoked ones included. The column `last_used_at` of the same table is [`token_use`](super::token_use)'s.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub name: String,
    pub role: String,
    pub node_id: Option<String>,
    pub value_sha256: Vec<u8>,
    pub created_at: i64,
    pub created_by: String,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
    pub revoked_by: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
