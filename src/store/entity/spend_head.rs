//! How spend is kept: a single row, once a server has started on the store.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spend_head")]
pub struct Model {
    /// Always 1.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub time_zone: String,
    /// Where spend is kept by hours from; before it, by days.
    pub joined_until: i64,
}

impl ActiveModelBehavior for ActiveModel {}
