//! Sessions of nodes, a row per incarnation that ever had one, or was closed.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "credit_node")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub incarnation: i64,
    pub session: i64,
    /// The number of the connection that began the session: its bits, since it has no sign.
    pub connection: i64,
    pub last_seen: i64,
    pub is_closed: bool,
    /// Until when it may hold slots of limits on requests that are open at once.
    pub slots_until: i64,
}

impl ActiveModelBehavior for ActiveModel {}
