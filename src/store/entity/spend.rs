//! What was spent, a row per series in an hour; in a day, once hours are joined.

use sea_orm::entity::prelude::*;

/// A row.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "spend")]
pub struct Model {
    /// The start of the hour or day.
    #[sea_orm(primary_key, auto_increment = false)]
    pub start: i64,
    /// The id in `spend_series`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub series: Vec<u8>,
    pub requests: i64,
    pub unpriced_requests: i64,
    pub input_tokens: i64,
    pub cached_input_tokens: i64,
    pub cache_write_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub audio_tokens: i64,
    pub cost_nano_usd: i64,
    #[sea_orm(belongs_to, from = "series", to = "id")]
    pub of: BelongsTo<super::spend_series::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
