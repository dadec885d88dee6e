//! Corrections of what limits counted, which are no part of spend, as the log has them.

use std::collections::HashMap;

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::SpendSnapshot;
use crate::domain::Timestamp;
use crate::store::LoggedChange;
use crate::store::changelog::{log_row, txn};
use crate::store::entity::{change_row, change_txn};
use crate::store::error::StoreError;
use crate::store::persist::rows;
use crate::store::tx::KEYS;

impl SpendSnapshot {
    /// At most `limit` corrections that were made from `from` on and before `to`, newest first; those of revisions before
    /// `before`, if that is given.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn adjustments(
        &self,
        from: Timestamp,
        to: Timestamp,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<LoggedChange>, StoreError> {
        use change_txn::Column::{Adjustment, CommittedAt, Revision};
        let mut select = change_txn::Entity::find()
            // As the index has it, which is of these revisions alone.
            .filter(Adjustment.is_not_null())
            .filter(CommittedAt.gte(from.as_micros()))
            .filter(CommittedAt.lt(to.as_micros()));
        if let Some(before) = before {
            select = select.filter(Revision.lt(before));
        }
        // Clocks that are set back make no revision earlier than the one before it.
        let select = select.order_by(CommittedAt, Order::Desc).order_by(Revision, Order::Desc).limit(limit as u64);
        let txns = rows(&self.tx, select).await?;
        let mut changes = HashMap::with_capacity(txns.len());
        for chunk in txns.chunks(KEYS) {
            let these = change_row::Column::Revision.is_in(chunk.iter().map(|txn| txn.revision));
            for row in rows(&self.tx, change_row::Entity::find().filter(these)).await? {
                changes.insert(row.revision, row);
            }
        }
        let join = |of: change_txn::Model| {
            // It changes its limit's owner, and nothing else.
            let row = changes
                .remove(&of.revision)
                .ok_or_else(|| StoreError::corrupt("change_txn", of.revision, "its correction has no owner"))?;
            Ok(LoggedChange { ord: row.ord, row: log_row(row)?, txn: txn(of)? })
        };
        txns.into_iter().map(join).collect()
    }
}
