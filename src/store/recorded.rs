//! Reading what was counted as it was written: the tables and the journal apart, so that one can be compared with the
//! other. [`load_usage`](Store::load_usage) reads what both come to.

use std::collections::HashMap;

use sea_orm::EntityTrait as _;

use super::entity::{head, threshold_event, usage_counter, usage_node};
use super::error::StoreError;
use super::journal::{self, JournalEntry};
use super::persist::{each, rows};
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

impl Reader {
    /// Counted usage as it was written, in one snapshot.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], or [`StoreError::Corrupt`] if rows cannot be read or one of the journal is missing.
    pub async fn recorded_usage(&self) -> Result<RecordedUsage, StoreError> {
        let tx = self.begin_read().await?;
        let mut recorded = RecordedUsage::default();
        let RecordedUsage { version, last_incarnation, counters, watermarks, journal, crossings, credit } =
            &mut recorded;
        if let Some(head) = rows(&tx, head::Entity::find_by_id(1)).await?.pop() {
            (*version, *last_incarnation) = (head.usage_version, head.last_incarnation);
        }
        each(&tx, "usage_counter", usage_counter::Entity::find().into_model::<usage_counter::Model>(), |row| {
            counters.extend([counter(&row)?]);
            Ok(())
        })
        .await?;
        each(&tx, "usage_node", usage_node::Entity::find().into_model::<usage_node::Model>(), |row| {
            watermarks.push(watermark(row)?);
            Ok(())
        })
        .await?;
        *journal = journal::read(&tx, 0).await?;
        *credit = super::credit::load(&tx).await?;
        each(&tx, "threshold_event", threshold_event::Entity::find().into_model::<threshold_event::Model>(), |row| {
            crossings.push(threshold::crossing(row)?);
            Ok(())
        })
        .await?;
        Ok(recorded)
    }
}
