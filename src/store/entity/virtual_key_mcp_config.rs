//! What virtual keys may do with MCP clients.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "virtual_key_mcp_config")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub virtual_key_id: String,
    pub ord: i32,
    pub mcp_client_name: String,
    /// JSON list.
    pub tools_to_execute: String,
}

impl ActiveModelBehavior for ActiveModel {}
