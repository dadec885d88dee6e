//! When access tokens were last used: a column of their table that is no part of them. To use one is no change of it.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "token")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub last_used_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}
