//! Reading what was counted as it was written: the tables and the journal apart, so that one can be compared with the
//! other. [`load_usage`](Reader::load_usage) reads what both come to.

use std::collections::HashMap;

use sea_orm::sea_query::Order;
use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::entity::{head, threshold_event, usage_counter, usage_node};
use super::error::StoreError;
use super::journal::{self, JournalEntry};
use super::persist::{each, rows};
use super::tx::{ReadTx, be_patient};
use super::usage::{Watermark, counter, watermark};
use super::{Reader, threshold};
use crate::counters::{Counter, CounterKey};
use crate::credit::Change;
use crate::state::Crossing;

/// Counted usage as it was written.
#[derive(Default, Debug)]
pub struct RecordedUsage {
    /// The version of the counter that moved last.
    pub version: i64,
    /// The greatest incarnation that a node ever had.
    pub last_incarnation: i64,
    /// The counters of the table, which is a fold behind the journal.
    pub counters: HashMap<CounterKey, Counter>,
    /// The watermarks of the table, which is a fold behind the journal.
    pub watermarks: Vec<Watermark>,
    /// The journal, in order.
    pub journal: Vec<JournalEntry>,
    /// The thresholds that were crossed.
    pub crossings: Vec<Crossing>,
    /// The rows of credit of the tables, which are a fold behind the journal.
    pub credit: Vec<Change>,
}

/// Counted usage as it was written, in one snapshot, read part by part.
pub struct UsageReader(ReadTx);

impl UsageReader {
    /// All but the counters, of the table and of the journal: of these there may be many millions.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if rows cannot be read.
    pub async fn without_counters(&self) -> Result<RecordedUsage, StoreError> {
        let tx = &self.0;
        let mut recorded = RecordedUsage::default();
        let RecordedUsage { version, last_incarnation, watermarks, crossings, credit, .. } = &mut recorded;
        if let Some(head) = rows(tx, head::Entity::find_by_id(1)).await?.pop() {
            (*version, *last_incarnation) = (head.usage_version, head.last_incarnation);
        }
        each(tx, "usage_node", usage_node::Entity::find().into_model::<usage_node::Model>(), |row| {
            watermarks.push(watermark(row)?);
            Ok(())
        })
        .await?;
        *credit = super::credit::load(tx).await?;
        each(tx, "threshold_event", threshold_event::Entity::find().into_model::<threshold_event::Model>(), |row| {
            crossings.push(threshold::crossing(row)?);
            Ok(())
        })
        .await?;
        Ok(recorded)
    }

    /// The version that the journal begins at: what is later is in it. `None` if it is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn journal_begins(&self) -> Result<Option<i64>, StoreError> {
        journal::begins(&self.0).await
    }

    /// Hands the counters of the table to `take`, in the order of their versions.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if one cannot be read.
    pub async fn counters(&self, mut take: impl FnMut(CounterKey, Counter)) -> Result<(), StoreError> {
        let select = usage_counter::Entity::find().order_by(usage_counter::Column::Version, Order::Asc);
        each(&self.0, "usage_counter", select.into_model::<usage_counter::Model>(), |row| {
            let (key, counter) = counter(&row)?;
            take(key, counter);
            Ok(())
        })
        .await
    }

    /// Hands the rows of the journal to `take`, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if one cannot be read or is missing.
    pub async fn journal(&self, take: impl FnMut(JournalEntry)) -> Result<(), StoreError> {
        journal::visit(&self.0, 0, take).await
    }
}

impl Reader {
    /// Counted usage as it was written, to be read part by part.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn usage_reader(&self) -> Result<UsageReader, StoreError> {
        let tx = self.begin_read().await?;
        be_patient(&tx.0).await?;
        Ok(UsageReader(tx))
    }

    /// Counted usage as it was written, in one snapshot, all of it at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if rows cannot be read or one of the journal is missing.
    pub async fn recorded_usage(&self) -> Result<RecordedUsage, StoreError> {
        let reader = self.usage_reader().await?;
        let mut recorded = reader.without_counters().await?;
        reader.counters(|key, counter| recorded.counters.extend([(key, counter)])).await?;
        reader.journal(|entry| recorded.journal.push(entry)).await?;
        Ok(recorded)
    }
}
