//! Reading the log part by part: a single revision may have 100,000 changes, and a thousand of them millions.

use std::collections::HashMap;

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::changelog::{chain_of, dense, each_change, log_row, txn};
use super::entity::{change_row, change_txn};
use super::error::StoreError;
use super::group::{LogRow, RevisionRecord};
use super::persist::rows;
use super::snapshot::Snapshot;
use crate::state::Chain;

/// Revisions that are read at a time.
const REVISIONS: u64 = 1_000;

/// A piece of the log.
pub enum LogPart {
    /// A revision begins: what is recorded of it, without its changes, and how many follow.
    Revision(Box<RevisionRecord>, u64),
    /// The next change of the revision.
    Change(LogRow),
}

impl Snapshot {
    /// Hands some revisions after `after_revision` to `take`, in order, each with its changes after it. Returns the last of
    /// them; `None` if there was none. Begins later if the log does not reach back so far.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if a revision is missing.
    pub async fn visit_log(
        &self,
        after_revision: i64,
        mut take: impl FnMut(LogPart),
    ) -> Result<Option<i64>, StoreError> {
        use change_txn::Column::Revision;
        let tx = &self.tx;
        let following = change_txn::Entity::find().filter(Revision.gt(after_revision));
        let following = following.order_by(Revision, Order::Asc).limit(REVISIONS);
        let txns = self.reach.in_time(rows(tx, following)).await?.into_iter().map(txn);
        let txns = txns.collect::<Result<Vec<_>, _>>()?;
        let (Some(first), Some(last)) = (txns.first().map(|it| it.revision), txns.last().map(|it| it.revision)) else {
            return Ok(None);
        };
        dense(first, txns.iter().map(|it| it.revision))?;
        let counts = change_row::Entity::find()
            .select_only()
            .column(change_row::Column::Revision)
            .column_as(change_row::Column::Ord.count(), "changes")
            .filter(change_row::Column::Revision.between(first, last))
            .group_by(change_row::Column::Revision)
            .into_tuple::<(i64, i64)>();
        let counted = async { counts.all(&tx.0).await.map_err(|error| StoreError::reading("change_row", &error)) };
        let counts: HashMap<i64, i64> = self.reach.in_time(counted).await?.into_iter().collect();
        let mut begun = txns.into_iter().map(|txn| {
            let changes = counts.get(&txn.revision).copied().unwrap_or_default();
            (txn.revision, LogPart::Revision(Box::new(txn), changes.unsigned_abs()))
        });
        let (mut at, mut next_ord) = (first - 1, 0);
        each_change(tx, &self.reach, (first, i32::MIN), last, |row| {
            while at < row.revision {
                let Some((revision, part)) = begun.next() else { break };
                (at, next_ord) = (revision, 0);
                take(part);
            }
            if row.ord != next_ord {
                let id = format!("{}/{}", row.revision, row.ord);
                return Err(StoreError::corrupt("change_row", id, "the changes of a revision are numbered from 0"));
            }
            next_ord += 1;
            take(LogPart::Change(log_row(row)?));
            Ok(())
        })
        .await?;
        begun.for_each(|(_, part)| take(part));
        Ok(Some(last))
    }

    /// The oldest revision that the log has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn oldest_revision(&self) -> Result<Option<i64>, StoreError> {
        let select = change_txn::Entity::find().order_by(change_txn::Column::Revision, Order::Asc).limit(1);
        Ok(self.reach.in_time(rows(&self.tx, select)).await?.pop().map(|row| row.revision))
    }

    /// The chain at `revision`, if the log reaches back so far; revision 0 has one as well.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn chain_at(&self, revision: i64) -> Result<Option<Chain>, StoreError> {
        self.reach.in_time(chain_of(&self.tx, revision)).await
    }
}
