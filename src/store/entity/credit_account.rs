//! The credit of incarnations of nodes, a row per limit, window and incarnation.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub limit_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: i32,
    #[sea_orm(primary_key, auto_increment = false)]
    pub window_start: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub incarnation: i64,
    pub granted: i64,
    pub used: i64,
    pub returned: i64,
}

impl ActiveModelBehavior for ActiveModel {}
