//! Rate limits. Exactly one of the owner columns is set; a dimension is there with all its columns or none.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "rate_limit")]
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
    pub token_max_limit: Option<i64>,
    pub token_reset_duration: Option<String>,
    pub token_anchor: Option<i64>,
    pub request_max_limit: Option<i64>,
    pub request_reset_duration: Option<String>,
    pub request_anchor: Option<i64>,
    pub concurrent_request_max_limit: Option<i64>,
    pub enforcement: String,
    pub reserve: String,
    pub usage_reset_at: Option<i64>,
    pub alert_percents: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
