//! Deleted keys and who owned them, kept for 30 days for the usage that is still on its way.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "former_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub virtual_key_id: String,
    pub team_id: Option<String>,
    pub customer_id: Option<String>,
    pub deleted_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
