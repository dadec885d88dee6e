//! Teams.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "team")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub name: String,
    pub customer_id: Option<String>,
    pub calendar_aligned: bool,
    pub is_active: bool,
    /// JSON list.
    pub model_ceiling_allowed_providers: String,
    /// JSON list.
    pub model_ceiling_allowed_models: String,
    /// JSON list.
    pub model_ceiling_blocked_models: String,
    pub calendar: Option<String>,
    /// JSON.
    pub profile: Option<String>,
    /// JSON.
    pub config: Option<String>,
    /// JSON.
    pub claims: Option<String>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
