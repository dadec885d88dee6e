//! Whom and what spend is kept apart by. Ids and names are empty where there is none.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spend_series")]
pub struct Model {
    /// A hash of the texts.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    pub customer_id: String,
    pub team_id: String,
    pub virtual_key_id: String,
    pub provider: String,
    pub model: String,
    /// The start of the last hour or day in which it was used; nothing of it lies later in `spend`.
    pub last_start: i64,
}

impl ActiveModelBehavior for ActiveModel {}
