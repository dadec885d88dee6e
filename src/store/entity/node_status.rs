//! The state of nodes as they last told it to a server, a row per incarnation.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "node_status")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub incarnation: i64,
    pub replica: String,
    pub version: String,
    /// A list, as JSON.
    pub features: String,
    pub has_session: bool,
    pub connected_at: i64,
    pub last_seen: i64,
    pub applied_revision: i64,
    /// In microseconds, as the age below.
    pub max_staleness: Option<i64>,
    pub outbox_batches: i64,
    pub outbox_age: Option<i64>,
    pub open_admissions: i64,
    pub last_error: String,
    /// The numbers of the kinds of resources that it knows, as a list in JSON.
    pub kinds: String,
    pub credit_refused: i64,
}

impl ActiveModelBehavior for ActiveModel {}
