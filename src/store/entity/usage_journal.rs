//! What groups of batches and resets made of the counters, a row per transaction, until it is folded into `usage_counter`
//! and `usage_node`.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "usage_journal")]
pub struct Model {
    /// The usage version that the transaction led to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    /// The usage version that it began at.
    pub from_version: i64,
    /// What it moved, as `journal::encode` writes it.
    pub body: Vec<u8>,
    /// The mark of the transaction that led to where this one began.
    pub from_mark: i64,
}

impl ActiveModelBehavior for ActiveModel {}
