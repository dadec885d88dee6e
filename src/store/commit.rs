//! Writing a group: the one transaction that changes resources.

use sea_orm::{ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::entity::head::{Column, Entity};
use super::error::StoreError;
use super::group::{Group, Txn};
use super::persist::Batch;
use super::script::Script;
use super::{changelog, journal, requests, usage};
use crate::state::{Chain, Head};

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
    let mut script = Script::new(tx);
    if let Some(first) = group.txns.first() {
        // First of all, because the row is the lock of all writers.
        move_head(&mut script, &group.head, first.revision - 1);
    }
    batch.write(tx, &mut script).await?;
    changelog::append(&mut script, &group.txns);
    requests::remember(&mut script, &group.requests);
    journal::append(&mut script, &group.usage);
    usage::remember_former(&mut script, &group.former_keys);
    let counted = (group.usage.version != group.usage.from_version).then_some(group.usage.version);
    run(tx, script, group.txns.last().map(|last| last.chain), counted).await
}

/// Runs a script that moves the head to `chain`, if to any, and usage to `version`, if to any.
///
/// # Errors
///
/// [`StoreError::Fenced`] if it does not get there, because somebody else moved it; else as [`Script::run`].
pub(super) async fn run(
    tx: &DatabaseTransaction,
    script: Script,
    chain: Option<Chain>,
    version: Option<i64>,
) -> Result<(), StoreError> {
    let refused = match script.run(tx).await {
        Err(error @ StoreError::Refused { .. }) => error,
        result => return result,
    };
    match Entity::find_by_id(1).one(tx).await {
        Ok(Some(head)) => {
            let there = chain.is_none_or(|chain| head.chain == chain.0)
                && version.is_none_or(|version| head.usage_version == version);
            Err(if there { refused } else { StoreError::Fenced })
        }
        // PostgreSQL answers nothing more within a transaction that it has refused something; the head was locked there.
        Ok(None) | Err(_) => Err(refused),
    }
}

/// Moves the head on from the revision `before`. What compaction moves stays as it is: that is not the group's business.
fn move_head(script: &mut Script, head: &Head, before: i64) {
    let moved = Entity::update_many()
        .col_expr(Column::Revision, Expr::value(head.revision))
        .col_expr(Column::Chain, Expr::value(head.chain.0.to_vec()))
        .col_expr(Column::CommittedAt, Expr::value(head.committed_at.as_micros()))
        .col_expr(Column::LastConfigId, Expr::value(head.last_config_id))
        .filter(Column::Id.eq(1))
        .filter(Column::StoreId.eq(head.store_id.as_ref()))
        .filter(Column::Revision.eq(before));
    script.push(&moved, 1);
}
