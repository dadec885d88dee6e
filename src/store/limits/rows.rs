//! The columns that are read of rows of limits.

use sea_orm::{DbErr, FromQueryResult, QueryResult, TryGetable};

use super::super::entity::{budget, rate_limit};

/// The column under which the owner of a limit is read, whichever it is.
pub(super) const OWNER: &str = "owner";

/// A row with its owner.
pub(super) struct OwnedRow<K, R> {
    pub(super) owner: K,
    pub(super) row: R,
}

impl<K: TryGetable, R: FromQueryResult> FromQueryResult for OwnedRow<K, R> {
    fn from_query_result(result: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        Ok(Self { owner: result.try_get(prefix, OWNER)?, row: R::from_query_result(result, prefix)? })
    }
}

#[derive(FromQueryResult)]
pub(super) struct BudgetRow {
    pub(super) id: String,
    pub(super) ord: i32,
    pub(super) max_limit_nano_usd: i64,
    pub(super) temporary_increase_nano_usd: Option<i64>,
    pub(super) temporary_increase_until: Option<i64>,
    pub(super) reset_duration: String,
    pub(super) enforcement: String,
    pub(super) reserve: String,
    pub(super) usage_reset_at: Option<i64>,
    pub(super) alert_percents: Option<String>,
    pub(super) anchor: i64,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

impl BudgetRow {
    pub(super) const COLUMNS: [budget::Column; 13] = {
        use budget::Column::*;
        [
            Id,
            Ord,
            MaxLimitNanoUsd,
            TemporaryIncreaseNanoUsd,
            TemporaryIncreaseUntil,
            ResetDuration,
            Enforcement,
            Reserve,
            UsageResetAt,
            AlertPercents,
            Anchor,
            CreatedAt,
            UpdatedAt,
        ]
    };
}

#[derive(FromQueryResult)]
pub(super) struct RateLimitRow {
    pub(super) id: String,
    pub(super) ord: i32,
    pub(super) token_max_limit: Option<i64>,
    pub(super) token_reset_duration: Option<String>,
    pub(super) token_anchor: Option<i64>,
    pub(super) request_max_limit: Option<i64>,
    pub(super) request_reset_duration: Option<String>,
    pub(super) request_anchor: Option<i64>,
    pub(super) concurrent_request_max_limit: Option<i64>,
    pub(super) enforcement: String,
    pub(super) reserve: String,
    pub(super) usage_reset_at: Option<i64>,
    pub(super) alert_percents: Option<String>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
}

impl RateLimitRow {
    pub(super) const COLUMNS: [rate_limit::Column; 15] = {
        use rate_limit::Column::*;
        [
            Id,
            Ord,
            TokenMaxLimit,
            TokenResetDuration,
            TokenAnchor,
            RequestMaxLimit,
            RequestResetDuration,
            RequestAnchor,
            ConcurrentRequestMaxLimit,
            Enforcement,
            Reserve,
            UsageResetAt,
            AlertPercents,
            CreatedAt,
            UpdatedAt,
        ]
    };
}
