//! Hard limits on which credit was granted, a row per window.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_pool")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start: i64,
    pub max: i64,
    pub window_end: i64,
    /// How long after the last renewal credit is freed, in microseconds; null if it does not expire.
    pub valid_for: Option<i64>,
    /// The windows whose open credit counts here, as `credit::put_keys` writes them.
    pub carried: Vec<u8>,
    pub is_moved: bool,
    pub epoch: i64,
    /// The incarnations that have to say hello, as `credit::put_incarnations` writes them.
    pub awaited: Vec<u8>,
    pub awaited_until: i64,
    pub uncovered: i64,
    pub raised_until: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
