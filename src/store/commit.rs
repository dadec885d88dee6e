//! Writing a group: the one transaction that changes resources.

use sea_orm::{ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::entity::head::{Column, Entity};
use super::error::StoreError;
use super::group::{Group, Txn};
use super::persist::Batch;
use super::{changelog, journal, requests, usage};
use crate::state::Head;

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

/// Writes a group.
pub(super) async fn write(tx: &DatabaseTransaction, group: &Group) -> Result<(), StoreError> {
    check(&group.head, &group.txns, group.net.is_empty())?;
    let mut batch = Batch::default();
    for net in &group.net {
        batch.add(net);
    }
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
