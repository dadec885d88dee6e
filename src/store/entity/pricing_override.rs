//! Pricing overrides.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "pricing_override")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub name: String,
    pub scope_kind: String,
    pub virtual_key_id: Option<String>,
    pub provider_id: Option<String>,
    pub provider_key_id: Option<String>,
    /// The name of a model, or the beginning of one.
    pub pattern: String,
    /// Whether `pattern` is the beginning of the name.
    pub wildcard: bool,
    /// One bit for each number of a kind of request.
    pub request_types: i32,
    /// JSON object: rates by their names.
    pub rates: String,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
