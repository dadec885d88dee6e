//! Webhooks.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub name: String,
    pub url: String,
    /// Empty if it has none.
    pub secret: String,
    /// JSON list of names.
    pub events: String,
    /// A kind of resource, or empty.
    pub owner_kind: String,
    pub owner_id: String,
    pub format: String,
    pub is_active: bool,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
