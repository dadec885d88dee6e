//! Limits that reached a threshold, a row per window and percentage.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "threshold_event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub percent: i32,
    pub owner_kind: i32,
    pub owner_id: String,
    pub used: i64,
    pub max: i64,
    pub version: i64,
    pub crossed_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
