//! Budgets. Exactly one of the owner columns is set.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "budget")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub customer_id: Option<String>,
    pub team_id: Option<String>,
    pub virtual_key_id: Option<String>,
    pub provider_config_id: Option<i64>,
    pub model_config_id: Option<String>,
    pub provider: Option<String>,
    pub provider_key_id: Option<String>,
    pub ord: i32,
    pub max_limit_nano_usd: i64,
    pub temporary_increase_nano_usd: Option<i64>,
    pub temporary_increase_until: Option<i64>,
    pub reset_duration: String,
    pub alert_percents: Option<String>,
    pub anchor: i64,
    pub enforcement: String,
    pub reserve: String,
    pub usage_reset_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
