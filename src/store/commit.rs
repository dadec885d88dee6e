//! Writing a group: the one transaction that changes resources.

use sea_orm::{ColumnTrait as _, DbBackend, EntityTrait as _, QueryFilter as _, sea_query::Expr};

use super::entity::head::{Column, Entity};
use super::error::StoreError;
use super::group::{Group, Position, RevisionRecord};
use super::persist::Batch;
use super::script::Script;
use super::usage::UsageGroup;
use super::{changelog, journal, requests, usage};
use crate::state::Head;

/// Whether the group is whole: its revisions dense and up to its head.
fn check(head: &Head, txns: &[RevisionRecord], nothing_changes: bool) -> Result<(), StoreError> {
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

/// Resources whose rows are written by one part, and changes that it logs. The more, the fewer trips to the database; all
/// statements of a part are in memory at once.
const PART: usize = 2_000;

/// What a group does to the tables, part by part, so that memory holds the statements of one part at a time. All but the
/// largest groups are of one part. What one part frees another may take: rows of resources that exist are deleted and
/// updated first, and all others inserted after that.
pub(super) struct Parts<'a> {
    backend: DbBackend,
    group: &'a Group,
    /// The places in `Group::net` of the resources, those that exist before the group first.
    order: Vec<usize>,
    /// How many of them exist.
    existing: usize,
    batch: Batch,
    /// Parts that are written.
    written: usize,
}

impl<'a> Parts<'a> {
    /// The parts of `group`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] if the group is not whole.
    pub(super) fn of(backend: DbBackend, group: &'a Group) -> Result<Self, StoreError> {
        let Group { head, txns, net, .. } = group;
        check(head, txns, net.is_empty())?;
        let (mut order, created): (Vec<usize>, Vec<usize>) =
            (0..net.len()).partition(|place| net.get(*place).is_some_and(|net| net.before.is_some()));
        let existing = order.len();
        order.extend(created);
        Ok(Self { backend, group, order, existing, batch: Batch::default(), written: 0 })
    }

    fn total(&self) -> usize {
        let logged: usize = self.group.txns.iter().map(|txn| txn.rows.len()).sum();
        logged.max(self.order.len()).div_ceil(PART).max(1)
    }
}

impl Iterator for Parts<'_> {
    type Item = Script;

    fn next(&mut self) -> Option<Script> {
        let last = self.total();
        if self.written == last {
            return None;
        }
        let start = self.written * PART;
        self.written += 1;
        let group = self.group;
        let mut script = Script::new(self.backend);
        if start == 0 {
            if let Some(first) = group.txns.first() {
                // First of all, because the row is the lock of all writers.
                move_head(&mut script, &group.head, first.revision - 1);
            }
            changelog::append(&mut script, &group.txns);
        }
        for net in self.order.iter().skip(start).take(PART).filter_map(|place| group.net.get(*place)) {
            self.batch.add(net);
        }
        self.batch.write_changes(&mut script);
        if self.existing <= start + PART {
            self.batch.write_inserts(&mut script);
        }
        script.insert(changelog::changes(&group.txns, start, PART));
        if self.written == last {
            requests::remember(&mut script, &group.requests);
            journal::append(&mut script, &group.usage);
            usage::remember_former(&mut script, &group.former_keys);
        }
        Some(script)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total() - self.written;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Parts<'_> {}

/// Where a script begins. What it does not move may be anywhere.
#[derive(Default)]
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
    script.push::<Entity>(&moved, 1);
}
