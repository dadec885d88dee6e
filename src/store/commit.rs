//! Writing a group: the one transaction that changes resources.

use sea_orm::{ColumnTrait as _, DbBackend, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::entity::head::{Column, Entity};
use super::error::StoreError;
use super::group::{Group, Position, Txn};
use super::persist::Batch;
use super::script::Script;
use super::usage::UsageGroup;
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

/// What a group does to the tables.
///
/// # Errors
///
/// [`StoreError::Refused`] if the group is not whole.
pub(super) fn script(backend: DbBackend, group: &Group) -> Result<Script, StoreError> {
    check(&group.head, &group.txns, group.net.is_empty())?;
    let mut batch = Batch::default();
    for net in &group.net {
        batch.add(net);
    }
    let mut script = Script::new(backend);
    if let Some(first) = group.txns.first() {
        // First of all, because the row is the lock of all writers.
        move_head(&mut script, &group.head, first.revision - 1);
    }
    batch.write(&mut script);
    changelog::append(&mut script, &group.txns);
    requests::remember(&mut script, &group.requests);
    journal::append(&mut script, &group.usage);
    usage::remember_former(&mut script, &group.former_keys);
    Ok(script)
}

/// Where a script begins. What it does not move may be anywhere.
pub(super) struct Begins<'a> {
    /// The store, and its revision.
    log: Option<(&'a str, i64)>,
    /// The version and the mark of usage.
    usage: Option<(i64, i64)>,
}

impl<'a> Begins<'a> {
    /// Where a group begins.
    pub(super) fn group(group: &'a Group) -> Self {
        let log = group.txns.first().map(|first| (group.head.store_id.as_ref(), first.revision - 1));
        Self { log, ..Self::usage(&group.usage) }
    }

    /// Where a group of batches begins.
    pub(super) fn usage(group: &UsageGroup) -> Self {
        let UsageGroup { from_version, from_mark, version, .. } = group;
        Self { log: None, usage: (version != from_version).then_some((*from_version, *from_mark)) }
    }

    /// What it means that a script was refused, of which nothing is left, where the store stands at `position`.
    pub(super) fn refused(&self, position: &Position, refused: StoreError) -> StoreError {
        let Position { head, usage_version, usage_mark } = position;
        let here = self.log.is_none_or(|log| log == (head.store_id.as_ref(), head.revision))
            && self.usage.is_none_or(|usage| usage == (*usage_version, *usage_mark));
        if here { refused } else { StoreError::Fenced }
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
