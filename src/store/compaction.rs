//! Shortening the log. It takes two steps, each harmless if the other never comes: the point from which watchers can
//! resume moves forward, later what lies before it and is older than the audit wants is deleted, bit by bit.

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, Order},
};

use super::Store;
use super::entity::{change_row, change_txn, head};
use super::error::StoreError;
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
        self.reach.finish(tx, result).await
    }

    /// Deletes the oldest revisions of the log: those up to the compacted one that were committed at `older_than` or before.
    /// In one transaction, which is why it takes no more of them than have `limit` changes in all; but one at least. Returns
    /// how many; 0 means that there is nothing more to delete.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn prune_log(&self, older_than: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(prune(&tx, older_than, limit)).await;
        self.reach.finish(tx, result).await
    }
}

async fn move_compacted(tx: &DatabaseTransaction, after: &Head) -> Result<(), StoreError> {
    use head::Column::{CompactedChain, CompactedRevision, Id, Revision, StoreId};
    let (revision, chain) = (after.compacted_revision, after.compacted_chain.0.to_vec());
    let before = head::Entity::find_by_id(1).one(tx).await?;
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
    // The log must say the same: the chain is what later tells whether the history is still this one. What the head says
    // already may be deleted from the log.
    let known = before.is_some_and(|head| (head.compacted_revision, &head.compacted_chain) == (revision, &chain));
    match change_txn::Entity::find_by_id(revision).one(tx).await? {
        Some(txn) if txn.chain == chain => Ok(()),
        None if known => Ok(()),
        Some(_) => Err(StoreError::refused(format!("the log has another chain at revision {revision}"))),
        None => Err(StoreError::refused(format!("the log has no revision {revision}"))),
    }
}

async fn prune(tx: &DatabaseTransaction, older_than: Timestamp, limit: u64) -> Result<u64, StoreError> {
    use change_txn::Column::{CommittedAt, Revision};
    let head = head::Entity::find_by_id(1).one(tx).await?;
    let compacted = head.map_or(0, |head| head.compacted_revision);
    let oldest: Vec<(i64, i64)> = change_txn::Entity::find()
        .select_only()
        .columns([Revision, CommittedAt])
        .filter(Revision.lte(compacted))
        .order_by(Revision, Order::Asc)
        .limit(limit)
        .into_tuple()
        .all(tx)
        .await?;
    // From the oldest on without a gap, even where an earlier version let commit times fall: what remains of the log stays
    // in one piece.
    let count = oldest.iter().take_while(|(_, committed_at)| *committed_at <= older_than.as_micros()).count();
    let (Some((first, _)), Some((last, _))) = (oldest.first(), oldest[..count].last()) else {
        return Ok(0);
    };
    let too_much: Option<i64> = change_row::Entity::find()
        .select_only()
        .column(change_row::Column::Revision)
        .filter(change_row::Column::Revision.lte(*last))
        .order_by(change_row::Column::Revision, Order::Asc)
        .order_by(change_row::Column::Ord, Order::Asc)
        .offset(limit)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let last = too_much.map_or(*last, |too_much| (too_much - 1).max(*first));
    change_row::Entity::delete_many().filter(change_row::Column::Revision.lte(last)).exec(tx).await?;
    Ok(change_txn::Entity::delete_many().filter(Revision.lte(last)).exec(tx).await?.rows_affected)
}
