//! One row: up to which version of usage the crossings of thresholds have become deliveries; and how many deliveries there were.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_head")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub crossing_version: i64,
    /// The number of the last delivery.
    pub last_number: i64,
}

impl ActiveModelBehavior for ActiveModel {}
