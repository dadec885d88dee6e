//! Writing a group: the one transaction that changes resources.

use sea_orm::{ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::entity::head::{Column, Entity};
use super::error::StoreError;
use super::group::{Group, Txn};
use super::persist::Batch;
use super::tx::finish;
use super::{Store, changelog, journal, requests, usage};
use crate::state::Head;

impl Store {
    /// Writes a group in one transaction: with one statement per table and operation, since statements are what a write
    /// costs, not rows.
    ///
    /// # Errors
    ///
    /// Nothing of the group is visible after an error, except perhaps after [`StoreError::Unknown`]: then the head tells.
    /// [`StoreError::Fenced`] if the head is not where the group begins, [`StoreError::Refused`] if the tables do not
    /// allow the changes or are not as the group believes, [`StoreError::Unavailable`] if it may be tried again.
    pub async fn commit(&self, group: &Group) -> Result<(), StoreError> {
        let Group { head, txns, net, requests, usage: _, former_keys: _ } = group;
        check(head, txns, net.is_empty())?;
        if txns.is_empty() && requests.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for net in net {
            batch.add(net);
        }
        let tx = self.begin_write().await?;
        let result = write(&tx, group, batch).await;
        finish(tx, result).await
    }
}

/// Whether the group is whole: its revisions dense and up to its head.
fn check(head: &Head, txns: &[Txn], nothing_changes: bool) -> Result<(), StoreError> {
    let dense = txns.windows(2).all(|pair| matches!(pair, [one, next] if next.revision == one.revision + 1));
    let ends_at_head = match txns.last() {
        Some(last) => last.revision == head.revision && last.chain == head.chain,
        None => nothing_changes,
    };
    match dense && ends_at_head {
        true => Ok(()),
        false => Err(StoreError::refused("the revisions of the group do not lead to its head")),
    }
}

async fn write(tx: &DatabaseTransaction, group: &Group, batch: Batch) -> Result<(), StoreError> {
    if let Some(first) = group.txns.first() {
        // First of all, because the row is the lock of all writers.
        move_head(tx, &group.head, first.revision - 1).await?;
    }
    batch.write(tx).await?;
    changelog::append(tx, &group.txns).await?;
    requests::remember(tx, &group.requests).await?;
    journal::append(tx, &group.usage).await?;
    usage::remember_former(tx, &group.former_keys).await
}

/// Moves the head on from the revision `before`. What compaction moves stays as it is: that is not the group's business.
async fn move_head(tx: &DatabaseTransaction, head: &Head, before: i64) -> Result<(), StoreError> {
    let moved = Entity::update_many()
        .col_expr(Column::Revision, Expr::value(head.revision))
        .col_expr(Column::Chain, Expr::value(head.chain.0.to_vec()))
        .col_expr(Column::CommittedAt, Expr::value(head.committed_at.as_micros()))
        .col_expr(Column::LastConfigId, Expr::value(head.last_config_id))
        .filter(Column::Id.eq(1))
        .filter(Column::StoreId.eq(head.store_id.as_ref()))
        .filter(Column::Revision.eq(before))
        .exec(tx)
        .await?;
    match moved.rows_affected {
        1 => Ok(()),
        _ => Err(StoreError::Fenced),
    }
}
