//! Which providers are governed; their limits stand in `budget` and `rate_limit`.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_governance")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub calendar_aligned: bool,
    pub calendar: Option<String>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
