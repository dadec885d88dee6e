//! What virtual keys may do with providers.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "virtual_key_provider_config")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub virtual_key_id: String,
    pub ord: i32,
    pub provider: String,
    pub weight: Option<f64>,
    /// JSON list.
    pub allowed_models: String,
    /// JSON list.
    pub blocked_models: String,
    /// JSON list.
    pub key_ids: String,
}

impl ActiveModelBehavior for ActiveModel {}
