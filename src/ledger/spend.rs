//! Spend: how it is kept on this store, and when its journal is added to the tables.

use std::time::Duration;

use tokio::time::Instant;

use super::retention::ago;
use crate::domain::Timestamp;
use crate::settings::SpendSettings;
use crate::store::{Store, StoreError};
use crate::usage::{SpendCalendar, SpendZone};

/// Between two runs. The longer, the more often an amount is added to before it is written once; and the longer the journal,
/// which whoever lists spend reads.
const INTERVAL: Duration = Duration::from_secs(10);
/// With so many amounts in the journal, runs go before counting.
const LONG: usize = 1_000_000;
/// After each part of a run, so many times as long as it took: that time belongs to those who count.
const REST: u32 = 3;
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Begins to keep spend on a store where no server has started before, as `settings` say.
///
/// # Errors
///
/// [`StoreError::TimeZone`] if the time zone cannot be that of the store, else what the store says.
pub(super) async fn begin(store: &Store, settings: &SpendSettings, now: Timestamp) -> Result<(), StoreError> {
    let zone = match settings.time_zone.as_deref() {
        None => None,
        Some(name) => Some(zone(name, now)?),
    };
    let first = zone.clone().unwrap_or_else(SpendZone::utc);
    let joined_until = first.day(ago(now, settings.hour_retention)).0;
    let kept = store.spend_calendar(&SpendCalendar { zone: first, joined_until }).await?.zone;
    match zone {
        Some(zone) if zone != kept => Err(StoreError::TimeZone(format!(
            "{}: this store keeps spend by days of {}, since its first start; leave the flag out, or start a new store",
            zone.name(),
            kept.name()
        ))),
        Some(_) | None => Ok(()),
    }
}

fn zone(name: &str, now: Timestamp) -> Result<SpendZone, StoreError> {
    let Some(zone) = SpendZone::named(name) else {
        let text = format!("{name:?}: there is no such time zone; use an IANA name, as Europe/Berlin");
        return Err(StoreError::TimeZone(text));
    };
    if !zone.has_whole_hours(now) {
        let text = format!("{name}: its offset from UTC is not a whole number of hours, by which spend is kept");
        return Err(StoreError::TimeZone(text));
    }
    Ok(zone)
}

/// What of the journal of spend waits to be added to the tables.
pub(super) struct SpendFold {
    /// How many amounts the journal has, as far as this server knows.
    waiting: usize,
    /// The usage version up to which the run goes that has begun.
    covers: Option<i64>,
    next: Option<Instant>,
}

impl Default for SpendFold {
    /// There may be something, which has waited already.
    fn default() -> Self {
        Self { waiting: 0, covers: None, next: Some(Instant::now()) }
    }
}

impl SpendFold {
    /// Notes that the journal has got so many amounts, or that others added to it.
    pub(super) fn journaled(&mut self, amounts: usize) {
        self.waiting += amounts;
        self.next.get_or_insert_with(|| Instant::now() + INTERVAL);
    }

    /// When the next part is due; `None` if nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Whether to go on before anything more is counted.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting >= LONG
    }

    /// Adds the next part of the journal, which ends at the usage version `version`, to the tables.
    ///
    /// # Errors
    ///
    /// Why it was not added: it stays in the journal.
    pub(super) async fn step(&mut self, store: &Store, version: i64) -> Result<(), StoreError> {
        let started = Instant::now();
        let covers = *self.covers.get_or_insert(version);
        let folded = store.fold_spend(covers).await.inspect_err(|_| self.next = Some(started + RETRY))?;
        self.waiting = self.waiting.saturating_sub(folded.amounts);
        if folded.is_through {
            self.covers = None;
            // What was counted meanwhile is for the next run.
            let more = self.waiting > 0 && version > covers;
            self.waiting = if more { self.waiting } else { 0 };
            self.next = more.then(|| Instant::now() + INTERVAL);
        } else {
            self.next = Some(Instant::now() + started.elapsed() * REST);
        }
        Ok(())
    }
}
