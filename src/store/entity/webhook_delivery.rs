//! Events on their way to webhooks: the outbox.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Its place in the order of the outbox.
    pub number: i64,
    pub webhook_id: String,
    pub event: i32,
    pub state: i32,
    pub body: String,
    pub attempts: i32,
    pub last_status: i32,
    pub last_error: String,
    pub created_at: i64,
    pub next_attempt_at: i64,
    /// Until then, a server is at it.
    pub leased_until: i64,
    pub finished_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
