//! Virtual keys.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "virtual_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub name: String,
    pub value_sha256: Vec<u8>,
    pub value_mask: String,
    pub previous_value_sha256: Option<Vec<u8>>,
    pub previous_value_expires_at: Option<i64>,
    pub description: String,
    pub is_active: bool,
    pub team_id: Option<String>,
    pub customer_id: Option<String>,
    pub expires_at: Option<i64>,
    pub calendar_aligned: bool,
    pub calendar: Option<String>,
    pub created_by: String,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
