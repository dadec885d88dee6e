//! Model configs.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "model_config")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub model_name: String,
    /// Empty for every provider.
    pub provider: String,
    pub scope: String,
    /// Empty for the global scope.
    pub scope_id: String,
    pub calendar_aligned: bool,
    pub calendar: Option<String>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
