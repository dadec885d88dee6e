//! Prices of models.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "model_price")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub provider: String,
    pub model: String,
    /// JSON object: rates by their names.
    pub rates: String,
    pub context_window: i64,
    pub max_output_tokens: i64,
    pub source: String,
    pub valid_from: Option<i64>,
    pub valid_to: Option<i64>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
