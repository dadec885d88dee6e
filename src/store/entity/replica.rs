//! The servers of a database as they last told of themselves, a row for each that runs.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "replica")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub name: String,
    pub version: String,
    pub started_at: i64,
    pub last_seen: i64,
    pub revision: i64,
    pub is_current: bool,
}

impl ActiveModelBehavior for ActiveModel {}
