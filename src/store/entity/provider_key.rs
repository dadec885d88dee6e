//! Names of the keys of providers.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "provider_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub provider: String,
    pub ord: i32,
    pub name: String,
    /// JSON list.
    pub models: String,
}

impl ActiveModelBehavior for ActiveModel {}
