//! Accepted requests and their answers, kept for 24 hours.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "request")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub caller: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub method: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: String,
    pub fingerprint: Vec<u8>,
    pub response: Vec<u8>,
    pub accepted_at: i64,
    /// Empty if an earlier version remembered it.
    pub digest: Vec<u8>,
}

impl ActiveModelBehavior for ActiveModel {}
