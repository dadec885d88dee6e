//! Routing rules.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "routing_rule")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub revision: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub name: String,
    pub description: String,
    pub enabled: bool,
    pub cel_expression: String,
    /// JSON list of `provider/model`.
    pub fallbacks: String,
    pub scope: String,
    /// Empty for the global scope.
    pub scope_id: String,
    pub priority: i32,
    pub chain_rule: bool,
    /// JSON.
    pub query: Option<String>,
    pub managed_by: String,
}

impl ActiveModelBehavior for ActiveModel {}
