//! What groups of batches add to spend, a row per transaction, until it is added to `spend`.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spend_journal")]
pub struct Model {
    /// The usage version that the transaction led to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i64,
    /// What it adds, as `spend::journal::encode` writes it.
    pub body: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
