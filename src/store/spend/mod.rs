//! Spend: the sums of all that was counted, by hour and series; by day, once hours are joined.
//!
//! A commit of usage adds one row to a journal, as it does with counters and for the same reason. The journal is a queue:
//! the transaction that adds a row's amounts to the tables deletes the row, so that nothing is added twice or lost whoever
//! crashes when, and whichever server does it. What was spent is in the tables and the journal together.

mod adjustments;
mod all;
mod journal;
mod list;

use std::sync::Arc;

pub use all::RecordedSpend;
pub(super) use all::each_cell;
pub(super) use journal::append;
pub use list::{SpendFilter, SpendSnapshot};
use sea_orm::sea_query::{Expr, ExprTrait as _, IntoValueTuple as _, Order};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::Store;
use super::entity::{spend, spend_head, spend_journal, spend_series};
use super::error::StoreError;
use super::persist::Row;
use super::script::Script;
use super::tx::KEYS;
use crate::domain::Timestamp;
use crate::usage::{SpendAmounts, SpendCalendar, SpendCell, SpendSeries, SpendTally, SpendZone};

impl Row for spend::Model {
    type Key = (i64, Vec<u8>);

    fn key(&self) -> Self::Key {
        (self.start, self.series.clone())
    }
}

impl Row for spend_series::Model {
    type Key = Vec<u8>;

    fn key(&self) -> Self::Key {
        self.id.clone()
    }
}

impl Row for spend_head::Model {
    type Key = i32;

    fn key(&self) -> Self::Key {
        self.id
    }
}

impl Row for spend_journal::Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.version
    }
}

/// The fault of a row that names no series.
const NO_SERIES: &str = "its series is missing";

/// A part of the journal that was added to the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpendFolded {
    /// How many amounts it had.
    pub amounts: usize,
    /// Whether nothing is left up to where it was to go.
    pub is_through: bool,
}

/// Amounts as they lie in the tables.
pub(super) fn row(start: Timestamp, series: [u8; 16], amounts: SpendAmounts) -> spend::Model {
    let SpendAmounts {
        requests,
        unpriced_requests,
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        audio_tokens,
        cost,
    } = amounts;
    spend::Model {
        start: start.as_micros(),
        series: series.to_vec(),
        requests,
        unpriced_requests,
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        audio_tokens,
        cost_nano_usd: cost,
    }
}

/// The amounts of a row.
pub(super) fn amounts(row: &spend::Model) -> SpendAmounts {
    SpendAmounts {
        requests: row.requests,
        unpriced_requests: row.unpriced_requests,
        input_tokens: row.input_tokens,
        cached_input_tokens: row.cached_input_tokens,
        cache_write_tokens: row.cache_write_tokens,
        output_tokens: row.output_tokens,
        reasoning_tokens: row.reasoning_tokens,
        audio_tokens: row.audio_tokens,
        cost: row.cost_nano_usd,
    }
}

/// The series of a row.
pub(super) fn series(row: &spend_series::Model) -> SpendSeries {
    let texts = [&row.customer_id, &row.team_id, &row.virtual_key_id, &row.provider, &row.model];
    SpendSeries::of(texts.map(|text| Arc::from(text.as_str())))
}

/// The calendar of a row.
pub(super) fn calendar(row: &spend_head::Model) -> Result<SpendCalendar, StoreError> {
    let unknown = || StoreError::corrupt("spend_head", row.id, "its time zone is unknown");
    let zone = SpendZone::named(&row.time_zone).ok_or_else(unknown)?;
    Ok(SpendCalendar { zone, joined_until: Timestamp::from_micros(row.joined_until) })
}

fn head_row(calendar: &SpendCalendar) -> spend_head::Model {
    let SpendCalendar { zone, joined_until } = calendar;
    spend_head::Model { id: 1, time_zone: zone.name().to_owned(), joined_until: joined_until.as_micros() }
}

/// How spend is kept; `None` if no server has started on the store.
pub(super) async fn read_calendar(connection: &impl ConnectionTrait) -> Result<Option<SpendCalendar>, StoreError> {
    let row = spend_head::Entity::find_by_id(1).one(connection).await;
    let row = row.map_err(|error| StoreError::reading("spend_head", &error))?;
    row.map(|row| calendar(&row)).transpose()
}

/// Adds `tally` to the tables.
pub(super) fn add(script: &mut Script, tally: SpendTally) {
    let (mut cells, mut series) = (Vec::with_capacity(tally.len()), Vec::with_capacity(tally.len()));
    for (SpendCell { start, series: of }, amounts) in tally {
        let id = of.digest();
        cells.push(row(start, id, amounts));
        let [customer_id, team_id, virtual_key_id, provider, model] = of.texts().map(|text| text.to_string());
        let last_start = start.as_micros();
        let id = id.to_vec();
        series.push(spend_series::Model { id, customer_id, team_id, virtual_key_id, provider, model, last_start });
    }
    // In the order of the tables, so that few pages are touched; and of a series that has several hours, the last one.
    cells.sort_unstable_by(|one, other| (one.start, &one.series).cmp(&(other.start, &other.series)));
    series.sort_unstable_by(|one, other| (&one.id, other.last_start).cmp(&(&other.id, one.last_start)));
    series.dedup_by(|later, first| later.id == first.id);
    script.upsert_newer(series, spend_series::Column::LastStart);
    script.add(cells);
}

/// Begins to keep spend by `calendar`, unless that has begun.
pub(super) fn begin(script: &mut Script, calendar: &SpendCalendar) {
    script.insert_new(vec![head_row(calendar)]);
}

impl Store {
    /// How spend is kept. Where no server has started before, it is kept by `first` from now on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Unknown`] or [`StoreError::Corrupt`]; it can be repeated in any case.
    pub async fn spend_calendar(&self, first: &SpendCalendar) -> Result<SpendCalendar, StoreError> {
        if let Some(calendar) = read_calendar(&self.begin_read().await?.0).await? {
            return Ok(calendar);
        }
        let tx = self.begin_write().await?;
        let result = async {
            let mut script = Script::new(tx.get_database_backend());
            begin(&mut script, first);
            script.run(&tx).await?;
            read_calendar(&tx).await?.ok_or_else(|| StoreError::corrupt("spend_head", 1, "it is missing"))
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }

    /// Adds the oldest part of the journal of spend up to the usage version `covers` to the tables.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Unknown`] or [`StoreError::Corrupt`]; it can be repeated in any case.
    pub async fn fold_spend(&self, covers: i64) -> Result<SpendFolded, StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(journal::fold(&tx, covers)).await;
        self.reach.finish(tx, result).await
    }

    /// Joins hours to days, a small part of them: of the day that was joined last if something of it is left, else of the
    /// next, if it ended before `until`. Returns whether there may be more to do.
    ///
    /// # Errors
    ///
    /// As [`Store::fold_spend`].
    pub async fn join_spend(&self, until: Timestamp) -> Result<bool, StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(join(&tx, until)).await;
        self.reach.finish(tx, result).await
    }

    /// Forgets spend of hours and days that began before `before`, a part of it. Returns whether there may be more.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn forget_spend(&self, before: Timestamp) -> Result<bool, StoreError> {
        let tx = self.begin_write().await?;
        let result = self.in_time(forget(&tx, before)).await;
        self.reach.finish(tx, result).await
    }
}

async fn join(tx: &DatabaseTransaction, until: Timestamp) -> Result<bool, StoreError> {
    let Some(SpendCalendar { zone, joined_until }) = read_calendar(tx).await? else { return Ok(false) };
    let (day, _) = zone.day(joined_until.plus_micros(-1));
    let hours = spend::Entity::find()
        .filter(spend::Column::Start.gt(day.as_micros()))
        .filter(spend::Column::Start.lt(joined_until.as_micros()))
        .order_by(spend::Column::Start, Order::Asc)
        .order_by(spend::Column::Series, Order::Asc)
        .limit(KEYS as u64)
        .all(tx)
        .await
        .map_err(|error| StoreError::reading("spend", &error))?;
    let mut script = Script::new(tx.get_database_backend());
    if hours.is_empty() {
        // On to the next day that has anything, over those that have nothing.
        let (_, next) = zone.day(joined_until);
        let first = first(tx, joined_until).await?.unwrap_or(until).min(until);
        let next = zone.day(first).0.max(next);
        if next > until {
            return Ok(false);
        }
        // What comes late for a day goes to it from now on.
        script.upsert(vec![head_row(&SpendCalendar { zone, joined_until: next })]);
    } else {
        script.delete::<spend::Model>(hours.iter().map(Row::key).collect());
        // One statement cannot add to a row twice.
        let mut sums = std::collections::BTreeMap::<Vec<u8>, SpendAmounts>::new();
        for hour in hours {
            let sum = sums.entry(hour.series.clone()).or_default();
            *sum = sum.plus(amounts(&hour));
        }
        let days = sums.into_iter().filter_map(|(series, amounts)| Some(row(day, series.try_into().ok()?, amounts)));
        script.add(days.collect());
    }
    script.run(tx).await?;
    Ok(true)
}

/// The first start from `from` on that has anything.
async fn first(connection: &impl ConnectionTrait, from: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let first = spend::Entity::find()
        .select_only()
        .column(spend::Column::Start)
        .filter(spend::Column::Start.gte(from.as_micros()))
        .order_by_asc(spend::Column::Start)
        .limit(1);
    Ok(first.into_tuple().one(connection).await?.map(Timestamp::from_micros))
}

async fn forget(tx: &DatabaseTransaction, before: Timestamp) -> Result<bool, StoreError> {
    use spend::Column::{Series, Start};
    let old: Vec<(i64, Vec<u8>)> = spend::Entity::find()
        .select_only()
        .columns([Start, Series])
        .filter(Start.lt(before.as_micros()))
        .order_by(Start, Order::Asc)
        .limit(KEYS as u64)
        .into_tuple()
        .all(tx)
        .await?;
    if old.is_empty() {
        // Of these nothing is left.
        let unused = spend_series::Column::LastStart.lt(before.as_micros());
        spend_series::Entity::delete_many().filter(unused).exec(tx).await?;
        return Ok(false);
    }
    let keys = old.into_iter().map(|key| key.into_value_tuple());
    let these = Expr::tuple([Start, Series].map(Expr::col)).in_tuples(keys);
    spend::Entity::delete_many().filter(these).exec(tx).await?;
    Ok(true)
}
