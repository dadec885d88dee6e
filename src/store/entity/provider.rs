//! Providers; the id is the name.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "provider")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub built_in: bool,
    pub calendar_aligned: bool,
    pub calendar: Option<String>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
