//! What was counted, a row per window of a limit.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_counter")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start: i64,
    pub used: i64,
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}
