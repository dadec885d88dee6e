//! The lock of all writers of one database: the head is locked before anything is written, and whoever has the lock first
//! learns what others wrote before.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};

use super::commit::Begins;
use super::entity::{head, usage_node};
use super::error::StoreError;
use super::group::{CatchUpDelta, Position, Remembered, RevisionRecord};
use super::persist::rows;
use super::reach::Reach;
use super::script::Script;
use super::tx::{LARGE_PATIENCE, PATIENCE, ReadTx, allow_for_large, begin_write, roll_back, soon};
use super::usage::{UsageGroup, Watermark};
use super::{Group, Reader, Store, changelog, commit, connect, journal, news, position_of, requests, usage};
use crate::domain::Timestamp;
use crate::seeded::{self, Bug};

/// The right to write: until it is used or let go, the store stands still for all other servers.
pub enum WriteTx {
    /// There can be no other. Nothing is begun before there is something to write, and then in one trip.
    Own(Store),
    /// A transaction that has the lock of all writers.
    Shared {
        /// The transaction.
        tx: ReadTx,
        /// Where the store stands.
        position: Position,
        /// Whether its server can be reached.
        reach: Reach,
    },
}

impl Reader {
    /// Whether other servers may write to the database.
    pub fn is_shared(&self) -> bool {
        match *self.engine {
            connect::Engine::Sqlite(_) => false,
            connect::Engine::Postgres(_) => true,
        }
    }
}

impl Store {
    /// Locks the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`], or [`StoreError::Unavailable`] if another server does not let go of the lock.
    pub async fn lock(&self) -> Result<WriteTx, StoreError> {
        if !self.is_shared() {
            return Ok(WriteTx::Own(self.clone()));
        }
        self.in_time(self.past_dead_connections(move || self.lock_shared())).await
    }

    /// A fault that the tests plant: the file of the database cannot grow. The limit is one of the connection, of which
    /// there is one; at the least it becomes the present size.
    pub(super) async fn fill_disk(&self) -> Result<(), StoreError> {
        for (fault, pages) in [(Bug::DiskFull, "1"), (Bug::DiskFreed, "4294967294")] {
            if seeded::is(fault) {
                self.writer.get().execute_unprepared(&format!("PRAGMA max_page_count = {pages}")).await?;
            }
        }
        Ok(())
    }

    async fn lock_shared(&self) -> Result<WriteTx, StoreError> {
        let tx = ReadTx(soon(true, begin_write(&self.writer.get())).await?);
        let row = head::Entity::find_by_id(1).lock_exclusive();
        match rows(&tx, row).await.and_then(|mut rows| position_of(rows.pop())) {
            Ok(position) => Ok(WriteTx::Shared { tx, position, reach: self.reach.clone() }),
            Err(error) => {
                roll_back(tx.0).await;
                Err(error)
            }
        }
    }

    /// Whether the store can be written: writes to it, without changing anything.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let touch = head::Entity::update_many()
            .col_expr(head::Column::LastConfigId, sea_orm::sea_query::Expr::col(head::Column::LastConfigId));
        let result = self.in_time(async { Ok(touch.exec(&tx).await.map(drop)?) }).await;
        self.reach.finish(tx, result).await
    }
}

impl WriteTx {
    /// Where the store stands; `None` if nobody else can have moved it.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Own(_) => None,
            Self::Shared { position, .. } => Some(position),
        }
    }

    /// As [`Reader::news`](super::Reader::news), up to where the store is locked.
    ///
    /// # Errors
    ///
    /// As [`Reader::news`](super::Reader::news).
    pub async fn news(&self, known: &Position) -> Result<Option<CatchUpDelta>, StoreError> {
        match self {
            Self::Own(_) => Ok(Some(CatchUpDelta::none(known.clone()))),
            Self::Shared { tx, position, reach } => news::since(tx, reach, position.clone(), known).await,
        }
    }

    /// Those of the requests (caller, method, request id) that were accepted within the 24 hours before `now`, in no
    /// particular order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`], [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn find_requests(
        &self,
        requests: &[(&str, &str, &str)],
        now: Timestamp,
    ) -> Result<Vec<Remembered>, StoreError> {
        match self {
            // By the connection that writes, so that no write waits for those who read.
            Self::Own(store) => requests::find(&store.writer.get(), requests, now).await,
            Self::Shared { tx, reach, .. } => reach.in_time(requests::find(&tx.0, requests, now)).await,
        }
    }

    /// What the table has of these incarnations, which another server may have registered.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`], [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn watermarks(&self, incarnations: &BTreeSet<i64>) -> Result<Vec<Watermark>, StoreError> {
        let Self::Shared { tx, reach, .. } = self else { return Ok(Vec::new()) };
        let these = usage_node::Column::Incarnation.is_in(incarnations.iter().copied());
        let found = reach.in_time(rows(tx, usage_node::Entity::find().filter(these))).await?;
        found.into_iter().map(usage::watermark).collect()
    }

    /// Gives the server more time, as for a large change that is to be written: for what has to be decided before that.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`] or [`StoreError::Unavailable`].
    pub async fn allow_for_large(&self) -> Result<(), StoreError> {
        let Self::Shared { tx, reach, .. } = self else { return Ok(()) };
        reach.in_time(async { Ok(allow_for_large(&tx.0).await?) }).await
    }

    /// Writes a group and ends the transaction: with one statement per table and operation, since statements are what a
    /// write costs, not rows.
    ///
    /// # Errors
    ///
    /// Nothing of the group is visible after an error, except perhaps after [`StoreError::Unknown`]: then the log tells.
    /// [`StoreError::Fenced`] if the head is not where the group begins, [`StoreError::Refused`] if the tables do not
    /// allow the changes or are not as the group believes, [`StoreError::Unavailable`] if it may be tried again.
    pub async fn commit(self, group: &Group) -> Result<(), StoreError> {
        let parts = commit::Parts::of(self.backend(), group)?;
        self.write(parts, &Begins::group(group)).await
    }

    /// Writes what a group of batches adds, and ends the transaction.
    ///
    /// # Errors
    ///
    /// As [`WriteTx::commit`]. [`StoreError::Fenced`] if a watermark or version is not below what is to be written.
    pub async fn count(self, group: &UsageGroup) -> Result<(), StoreError> {
        let mut script = Script::new(self.backend());
        journal::append(&mut script, group);
        self.write(std::iter::once(script), &Begins::usage(group)).await
    }

    pub(super) fn backend(&self) -> DbBackend {
        match self {
            Self::Own(store) => store.writer.backend(),
            Self::Shared { tx, .. } => tx.0.get_database_backend(),
        }
    }

    /// Writes what scripts say, and ends the transaction.
    pub(super) async fn write(
        self,
        mut scripts: impl ExactSizeIterator<Item = Script>,
        begins: &Begins<'_>,
    ) -> Result<(), StoreError> {
        let (result, position) = match self {
            Self::Shared { tx, position, reach } => (write_all(tx.0, scripts, &reach).await, Some(position)),
            Self::Own(store) => {
                store.fill_disk().await?;
                let writer = store.writer.get();
                let result = match (scripts.len(), scripts.next()) {
                    (1, Some(script)) => {
                        // By a task of its own, which goes on if nobody waits for it any more.
                        let running = tokio::spawn(async move { script.run_alone(&writer).await });
                        running.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
                    }
                    (_, first) => {
                        write_all(begin_write(&writer).await?, first.into_iter().chain(scripts), &store.reach).await
                    }
                };
                let refused = matches!(result, Err(StoreError::Refused { .. }));
                (result, if refused { store.position().await.ok() } else { None })
            }
        };
        match (result, position) {
            (Err(error @ StoreError::Refused { .. }), Some(position)) => Err(begins.refused(&position, error)),
            (result, _) => result,
        }
    }

    /// Whether the log has this revision with this hash: tells what became of a commit whose outcome was unknown, since
    /// nobody who might still commit it can have the lock now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Away`], [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn has(&self, txn: &RevisionRecord) -> Result<bool, StoreError> {
        let chain = match self {
            Self::Own(store) => changelog::chain_of(&store.begin_read().await?, txn.revision).await?,
            Self::Shared { tx, reach, .. } => reach.in_time(changelog::chain_of(tx, txn.revision)).await?,
        };
        Ok(chain == Some(txn.chain))
    }

    /// Writes nothing.
    pub async fn rollback(self) {
        match self {
            Self::Own(_) => {}
            Self::Shared { tx, reach, .. } => reach.roll_back(tx.0).await,
        }
    }
}

/// Writes what scripts say within `tx`, and ends it. The database has some time for each of them, not for all: what is large
/// takes as long as it takes, and a server that does not answer is noticed all the same.
async fn write_all(
    tx: DatabaseTransaction,
    scripts: impl Iterator<Item = Script>,
    reach: &Reach,
) -> Result<(), StoreError> {
    let write = async {
        let mut scripts = scripts.peekable();
        let first = scripts.next();
        let large = scripts.peek().is_some();
        if large {
            reach.in_time(async { Ok(allow_for_large(&tx).await?) }).await?;
        }
        let patience = if large { LARGE_PATIENCE } else { PATIENCE };
        for script in first.into_iter().chain(scripts) {
            reach.in_time_of(patience, script.run(&tx)).await?;
        }
        Ok(())
    };
    let result = write.await;
    reach.finish(tx, result).await
}
