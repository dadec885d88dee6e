//! The log: every revision with its transaction and its changes. Appended to by `commit`, read by the audit, by
//! verification and by whoever follows the store.

use std::collections::HashSet;

use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Order};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};

use super::Reader;
use super::chain::ChainVersion;
use super::entity::{change_row, change_txn};
use super::error::StoreError;
use super::group::{ChangeFilter, LogRow, LoggedChange, Past, RevisionRecord};
use super::persist::{Row, rows};
use super::reach::Reach;
use super::script::Script;
use super::tx::{ReadTx, be_patient};
use crate::domain::{Kind, ResourceKey, Timestamp};
use crate::state::{Chain, Head, Op};

/// Changes that are read at a time.
const PART: u64 = 4_000;

impl Row for change_txn::Model {
    type Key = i64;

    fn key(&self) -> i64 {
        self.revision
    }
}

impl Row for change_row::Model {
    type Key = (i64, i32);

    fn key(&self) -> (i64, i32) {
        (self.revision, self.ord)
    }
}

/// Appends revisions, without their changes.
pub(super) fn append(script: &mut Script, txns: &[RevisionRecord]) {
    let heads = txns.iter().map(|txn| {
        let RevisionRecord {
            revision,
            chain,
            chain_version,
            committed_at,
            actor,
            peer,
            method,
            request_id,
            request_digest,
            adjustment,
            rows: _,
        } = txn;
        change_txn::Model {
            revision: *revision,
            chain: chain.0.to_vec(),
            chain_version: chain_version.number(),
            committed_at: committed_at.as_micros(),
            actor: actor.clone(),
            peer: peer.clone(),
            method: method.clone(),
            request_id: request_id.clone(),
            request_digest: request_digest.map(|digest| digest.to_vec()),
            adjustment: adjustment.as_deref().map(Into::into),
        }
    });
    script.insert(heads.collect());
}

/// At most `limit` of the changes of revisions, after the first `start`, as they are to be appended.
pub(super) fn changes(txns: &[RevisionRecord], start: usize, limit: usize) -> Vec<change_row::Model> {
    let rows = txns.iter().flat_map(|txn| txn.rows.iter().zip(0..).map(|(row, ord)| (txn.revision, ord, row)));
    let model = |(revision, ord, row): (i64, i32, &LogRow)| change_row::Model {
        revision,
        ord,
        kind: row.kind.number(),
        resource_id: row.id.to_string(),
        op: row.op.number(),
        body: row.after.as_ref().map(|body| body.bytes().into()),
        before_body: row.before.as_ref().map(|body| body.bytes().into()),
    };
    rows.skip(start).take(limit).map(model).collect()
}

pub(super) fn txn(row: change_txn::Model) -> Result<RevisionRecord, StoreError> {
    let corrupt = |why: String| StoreError::corrupt("change_txn", row.revision, why);
    let chain = chain(row.revision, &row.chain)?;
    let chain_version = ChainVersion::from_number(row.chain_version)
        .ok_or_else(|| corrupt(format!("there is no version {} of the chain", row.chain_version)))?;
    let request_digest = row.request_digest.map(|digest| <[u8; 32]>::try_from(digest.as_slice())).transpose();
    Ok(RevisionRecord {
        revision: row.revision,
        chain,
        chain_version,
        committed_at: Timestamp::from_micros(row.committed_at),
        actor: row.actor,
        peer: row.peer,
        method: row.method,
        request_id: row.request_id,
        request_digest: request_digest
            .map_err(|_| corrupt("the digest of its request is not 32 bytes long".to_owned()))?,
        adjustment: row.adjustment.map(Into::into),
        rows: Vec::new(),
    })
}

fn chain(revision: i64, bytes: &[u8]) -> Result<Chain, StoreError> {
    Chain::from_slice(bytes)
        .ok_or_else(|| StoreError::corrupt("change_txn", revision, format!("the chain has {} bytes", bytes.len())))
}

pub(super) fn log_row(row: change_row::Model) -> Result<LogRow, StoreError> {
    let corrupt = |why: String| StoreError::corrupt("change_row", format!("{}/{}", row.revision, row.ord), why);
    Ok(LogRow {
        kind: Kind::from_number(row.kind).ok_or_else(|| corrupt(format!("there is no kind {}", row.kind)))?,
        op: Op::from_number(row.op).ok_or_else(|| corrupt(format!("there is no operation {}", row.op)))?,
        id: row.resource_id.into(),
        before: row.before_body.map(Into::into),
        after: row.body.map(Into::into),
    })
}

impl Reader {
    /// At most `limit` changes that match `filter`, the newest first; those before the place `before` if that is given,
    /// which is the revision and the `ord` of the last one of the page before.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_changes(
        &self,
        filter: &ChangeFilter,
        before: Option<(i64, i32)>,
        limit: u64,
    ) -> Result<Vec<LoggedChange>, StoreError> {
        use change_row::Column::{Kind as KindNumber, Ord, ResourceId, Revision};
        use change_txn::Column::{Actor, CommittedAt};
        let ChangeFilter { kind, id, actors, from, to, revision } = filter;
        if id.iter().chain(actors).any(|text| text.contains('\0')) {
            // PostgreSQL has no NUL in texts, and refuses to be asked.
            return Ok(Vec::new());
        }
        let older = before.map(|(revision, ord)| {
            // Said twice, so that an engine that sees no range in the OR finds one.
            let same = Condition::all().add(Revision.eq(revision)).add(Ord.lt(ord));
            let older = Condition::any().add(Revision.lt(revision)).add(same);
            Condition::all().add(Revision.lte(revision)).add(older)
        });
        let all = Condition::all()
            .add_option(kind.map(|kind| KindNumber.eq(kind.number())))
            .add_option(id.as_ref().map(|id| ResourceId.eq(id.as_str())))
            .add_option(revision.map(|revision| Revision.eq(revision)))
            .add_option((!actors.is_empty()).then(|| Actor.is_in(actors.iter().map(String::as_str))))
            .add_option(from.map(|from| CommittedAt.gte(from.as_micros())))
            .add_option(to.map(|to| CommittedAt.lt(to.as_micros())))
            .add_option(older);
        let tx = self.begin_read().await?;
        let found = change_row::Entity::find()
            .find_also_related(change_txn::Entity)
            .filter(all)
            .order_by(Revision, Order::Desc)
            .order_by(Ord, Order::Desc)
            .limit(limit)
            .all(&tx.0)
            .await
            .map_err(|error| StoreError::reading("change_row", &error))?;
        let join = |(row, of): (change_row::Model, Option<change_txn::Model>)| {
            let of =
                of.ok_or_else(|| StoreError::corrupt("change_row", row.revision, "its revision has no change_txn"))?;
            Ok(LoggedChange { txn: txn(of)?, ord: row.ord, row: log_row(row)? })
        };
        found.into_iter().map(join).collect()
    }

    /// At most `limit_revisions` revisions after `after_revision`, in order, with their changes. Begins later if the log
    /// does not reach back so far.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if a revision is missing.
    pub async fn read_log(&self, after_revision: i64, limit_revisions: u64) -> Result<Vec<RevisionRecord>, StoreError> {
        read(&self.begin_read().await?, &self.reach, after_revision, limit_revisions).await
    }

    /// The resources that changed after a revision, as they were at that.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn resources_at(&self, revision: i64) -> Result<Past, StoreError> {
        let tx = self.begin_read().await?;
        let head = super::head(&tx).await?.revision;
        let select = change_txn::Entity::find().order_by(change_txn::Column::Revision, Order::Asc).limit(1);
        let oldest = self.reach.in_time(rows(&tx, select)).await?.pop();
        let mut past = Past { head, first: oldest.map_or(head, |txn| txn.revision - 1), resources: Vec::new() };
        if revision < past.first {
            return Ok(past);
        }
        // The first change of each resource says what it was before.
        let mut seen = HashSet::new();
        each_change(&tx, &self.reach, (revision, i32::MAX), head, |row| {
            let row = log_row(row)?;
            let key = ResourceKey { kind: row.kind, id: row.id };
            if seen.insert(key.clone()) {
                past.resources.push((key, row.before.map(|body| body.bytes())));
            }
            Ok(())
        })
        .await?;
        Ok(past)
    }

    /// A revision that has changes and no record of itself, if there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn unrecorded_change(&self) -> Result<Option<i64>, StoreError> {
        let of_its = Expr::col((change_txn::Entity, change_txn::Column::Revision))
            .equals((change_row::Entity, change_row::Column::Revision));
        let record = change_txn::Entity::find().filter(of_its).into_query();
        let select = change_row::Entity::find().filter(Expr::exists(record).not()).limit(1);
        let tx = self.begin_read().await?;
        be_patient(&tx.0).await?;
        Ok(rows(&tx, select).await?.pop().map(|row| row.revision))
    }

    /// The chain at `revision`, if the log reaches back so far; revision 0 has one as well.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn chain_at(&self, revision: i64) -> Result<Option<Chain>, StoreError> {
        self.in_time(async { chain_of(&self.begin_read().await?, revision).await }).await
    }

    /// The last revision committed at `time` or before, if the log has one. Should the clock have been set back in
    /// between, it may be an earlier one, never one that was committed later.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn revision_at(&self, time: Timestamp) -> Result<Option<i64>, StoreError> {
        use change_txn::Column::{CommittedAt, Revision};
        let select = change_txn::Entity::find()
            .filter(CommittedAt.lte(time.as_micros()))
            .order_by(CommittedAt, Order::Desc)
            .order_by(Revision, Order::Desc)
            .limit(1);
        let mut last = self.in_time(async { rows(&self.begin_read().await?, select).await }).await?;
        Ok(last.pop().map(|row| row.revision))
    }
}

pub(super) fn dense(first: i64, revisions: impl IntoIterator<Item = i64>) -> Result<(), StoreError> {
    for (revision, expected) in revisions.into_iter().zip(first..) {
        if revision != expected {
            return Err(StoreError::corrupt("change_txn", expected, "the revision is missing"));
        }
    }
    Ok(())
}

/// For each revision that watchers can resume from, except for the compacted one itself, the start of its chain.
pub(super) async fn chain_prefixes(tx: &ReadTx, head: &Head) -> Result<Vec<u64>, StoreError> {
    use change_txn::Column::{Chain as ChainColumn, Revision};
    let found: Vec<(i64, Vec<u8>)> = change_txn::Entity::find()
        .select_only()
        .columns([Revision, ChainColumn])
        .filter(Revision.gt(head.compacted_revision))
        .order_by(Revision, Order::Asc)
        .into_tuple()
        .all(&tx.0)
        .await
        .map_err(|error| StoreError::reading("change_txn", &error))?;
    let mut last = (head.compacted_revision, head.compacted_chain);
    dense(last.0 + 1, found.iter().map(|(revision, _)| *revision))?;
    let mut prefixes = Vec::with_capacity(found.len());
    for (revision, bytes) in found {
        let chain = chain(revision, &bytes)?;
        prefixes.push(chain.prefix());
        last = (revision, chain);
    }
    match last == (head.revision, head.chain) {
        true => Ok(prefixes),
        false => Err(StoreError::corrupt("head", 1, format!("the log ends at revision {} with another chain", last.0))),
    }
}

/// What was removed since the compacted revision, with the revision of the last removal, in the order of these.
pub(super) async fn removed(tx: &ReadTx, head: &Head) -> Result<Vec<(i64, ResourceKey)>, StoreError> {
    use change_row::Column::{Kind as KindNumber, Op as OpNumber, ResourceId, Revision};
    let found: Vec<(i32, String, i64)> = change_row::Entity::find()
        .select_only()
        .columns([KindNumber, ResourceId])
        .column_as(Revision.max(), "last")
        // A constant and no parameter, else the index of removals cannot be used.
        .filter(Expr::col(OpNumber).eq(Expr::Constant(Op::Delete.number().into())))
        .filter(Revision.gt(head.compacted_revision))
        .group_by(KindNumber)
        .group_by(ResourceId)
        .into_tuple()
        .all(&tx.0)
        .await
        .map_err(|error| StoreError::reading("change_row", &error))?;
    let mut removed = Vec::with_capacity(found.len());
    for (kind, id, revision) in found {
        let kind = Kind::from_number(kind)
            .ok_or_else(|| StoreError::corrupt("change_row", revision, format!("there is no kind {kind}")))?;
        removed.push((revision, ResourceKey { kind, id: id.into() }));
    }
    removed.sort();
    Ok(removed)
}

/// At most `limit_revisions` revisions after `after_revision`, in order, with their changes. The server has some time for
/// each part of them, not for all: a single revision may have 100,000 changes.
pub(super) async fn read(
    tx: &ReadTx,
    reach: &Reach,
    after_revision: i64,
    limit_revisions: u64,
) -> Result<Vec<RevisionRecord>, StoreError> {
    use change_txn::Column as TxnColumn;
    let select = change_txn::Entity::find()
        .filter(TxnColumn::Revision.gt(after_revision))
        .order_by(TxnColumn::Revision, Order::Asc)
        .limit(limit_revisions);
    let mut txns = reach.in_time(rows(tx, select)).await?.into_iter().map(txn).collect::<Result<Vec<_>, _>>()?;
    let (Some(first), Some(last)) = (txns.first().map(|txn| txn.revision), txns.last().map(|txn| txn.revision)) else {
        return Ok(txns);
    };
    dense(first, txns.iter().map(|txn| txn.revision))?;
    each_change(tx, reach, (first, i32::MIN), last, |row| {
        let of = usize::try_from(row.revision - first).ok().and_then(|place| txns.get_mut(place));
        if let Some(of) = of {
            if usize::try_from(row.ord) != Ok(of.rows.len()) {
                let id = format!("{}/{}", row.revision, row.ord);
                return Err(StoreError::corrupt("change_row", id, "the changes of a revision are numbered from 0"));
            }
            of.rows.push(log_row(row)?);
        }
        Ok(())
    })
    .await?;
    Ok(txns)
}

/// Hands the changes after the place `after`, a revision and an `ord`, up to revision `last` to `take`, in order.
pub(super) async fn each_change(
    tx: &ReadTx,
    reach: &Reach,
    mut after: (i64, i32),
    last: i64,
    mut take: impl FnMut(change_row::Model) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    use change_row::Column::{Ord, Revision};
    loop {
        let (revision, ord) = after;
        let same = Condition::all().add(Revision.eq(revision)).add(Ord.gt(ord));
        let select = change_row::Entity::find()
            .filter(Revision.between(revision, last))
            .filter(Condition::any().add(Revision.gt(revision)).add(same))
            .order_by(Revision, Order::Asc)
            .order_by(Ord, Order::Asc)
            .limit(PART);
        let part = reach.in_time(rows(tx, select)).await?;
        let is_last = (part.len() as u64) < PART;
        for row in part {
            after = (row.revision, row.ord);
            take(row)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The chain at `revision`, if the log reaches back so far.
pub(super) async fn chain_of(tx: &ReadTx, revision: i64) -> Result<Option<Chain>, StoreError> {
    if revision == 0 {
        return Ok(Some(Chain::ORIGIN));
    }
    let found = rows(tx, change_txn::Entity::find_by_id(revision)).await?.pop();
    found.map(|row| chain(row.revision, &row.chain)).transpose()
}
