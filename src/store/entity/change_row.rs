//! The log: one row for each resource that a revision changed.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "change_row")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ord: i32,
    /// Number of the kind.
    pub kind: i32,
    pub resource_id: String,
    /// Number of the operation.
    pub op: i32,
    /// The encoded resource after.
    pub body: Option<Vec<u8>>,
    /// The encoded resource before.
    pub before_body: Option<Vec<u8>>,
    #[sea_orm(belongs_to, from = "revision", to = "revision")]
    pub txn: BelongsTo<super::change_txn::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
