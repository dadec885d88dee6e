//! Targets of routing rules.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_target")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub routing_rule_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ord: i32,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub key_id: Option<String>,
    pub weight: f64,
}

impl ActiveModelBehavior for ActiveModel {}
