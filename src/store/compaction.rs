//! Shortening the log. It takes two steps, each harmless if the other never comes: the point from which watchers can
//! resume moves forward, later what lies before it and is older than the audit wants is deleted, bit by bit.

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Order},
};

use super::Store;
use super::entity::{change_row, change_txn, head};
use super::error::StoreError;
use super::tx::finish;
use crate::domain::Timestamp;
use crate::state::Head;

impl Store {
    /// Moves the compacted revision forward: from the head, `store_id`, `compacted_revision` and `compacted_chain` are
    /// taken as they are to be. Deletes nothing. Repeating it is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] if the store is another one, has no such revision, or is compacted further already;
    /// [`StoreError::Refused`] if the log has another chain at that revision.
    pub async fn compact(&self, after: &Head) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(move_compacted(&tx, after)).await;
        finish(tx, result).await
    }

    /// Deletes the oldest revisions of the log: those before `below_revision`, not after the compacted one, and committed
    /// before `older_than`; at most `limit` of them, in one transaction. Returns how many; less than `limit` means that
    /// there is nothing more to delete.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn prune_log(&self, older_than: Timestamp, below_revision: i64, limit: u64) -> Result<u64, StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(prune(&tx, older_than, below_revision, limit)).await;
        finish(tx, result).await
    }
}

async fn move_compacted(tx: &DatabaseTransaction, after: &Head) -> Result<(), StoreError> {
    use head::Column::{CompactedChain, CompactedRevision, Id, Revision, StoreId};
    let (revision, chain) = (after.compacted_revision, after.compacted_chain.0.to_vec());
    let moved = head::Entity::update_many()
        .col_expr(CompactedRevision, Expr::value(revision))
        .col_expr(CompactedChain, Expr::value(chain.clone()))
        .filter(Id.eq(1))
        .filter(StoreId.eq(after.store_id.as_ref()))
        .filter(Revision.gte(revision))
        .filter(CompactedRevision.lte(revision))
        .exec(tx)
        .await?;
    if moved.rows_affected != 1 {
        return Err(StoreError::Fenced);
    }
    // The log must say the same: the chain is what later tells whether the history is still this one. Revision 0 is
    // where every history begins.
    match change_txn::Entity::find_by_id(revision).one(tx).await? {
        Some(txn) if txn.chain == chain => Ok(()),
        None if revision == 0 => Ok(()),
        Some(_) => Err(StoreError::refused(format!("the log has another chain at revision {revision}"))),
        None => Err(StoreError::refused(format!("the log has no revision {revision}"))),
    }
}

async fn prune(
    tx: &DatabaseTransaction,
    older_than: Timestamp,
    below_revision: i64,
    limit: u64,
) -> Result<u64, StoreError> {
    use change_txn::Column::{CommittedAt, Revision};
    let head = head::Entity::find_by_id(1).one(tx).await?;
    let compacted = head.map_or(0, |head| head.compacted_revision);
    let oldest: Vec<(i64, i64)> = change_txn::Entity::find()
        .select_only()
        .columns([Revision, CommittedAt])
        .filter(Revision.lt(below_revision))
        .filter(Revision.lte(compacted))
        .order_by(Revision, Order::Asc)
        .limit(limit)
        .into_tuple()
        .all(tx)
        .await?;
    // From the oldest on without a gap, even if the clock was set back: what remains of the log stays in one piece.
    let count = oldest.iter().take_while(|(_, committed_at)| *committed_at < older_than.as_micros()).count();
    let Some((last, _)) = oldest[..count].last() else {
        return Ok(0);
    };
    change_row::Entity::delete_many().filter(change_row::Column::Revision.lte(*last)).exec(tx).await?;
    change_txn::Entity::delete_many().filter(Revision.lte(*last)).exec(tx).await?;
    Ok(count as u64)
}
