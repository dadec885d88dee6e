//! Reading all spend as it was written, the tables and the journal apart, and as it is.

use std::collections::BTreeMap;

use sea_orm::sea_query::Order;
use sea_orm::{EntityTrait as _, QueryOrder as _};

use super::journal::unfolded;
use super::{amounts, read_calendar};
use crate::domain::Timestamp;
use crate::store::Reader;
use crate::store::entity::{spend, spend_series};
use crate::store::error::StoreError;
use crate::store::persist::visit;
use crate::store::tx::ReadTx;
use crate::usage::{SpendAmounts, SpendCalendar, SpendCell, SpendSeries};

/// A row of the tables.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedSpend {
    /// The start of the hour or day.
    pub start: Timestamp,
    /// The id of the series.
    pub id: Vec<u8>,
    /// The series, and the last start that it has; `None` if there is none with this id.
    pub series: Option<(SpendSeries, Timestamp)>,
    /// The amounts.
    pub amounts: SpendAmounts,
}

impl Reader {
    /// How spend is kept. Hands its rows to `take`, in the order of their starts and ids, after it was found that the journal
    /// can be read.
    ///
    /// # Errors
    ///
    /// What `take` fails with; [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn recorded_spend(
        &self,
        mut take: impl FnMut(&SpendCalendar, RecordedSpend) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let tx = self.begin_read().await?;
        let calendar = read_calendar(&tx.0).await?;
        unfolded(&tx.0).await?;
        rows(&tx, |row| match &calendar {
            Some(calendar) => take(calendar, row),
            None => Err(StoreError::corrupt("spend_head", 1, "it is missing")),
        })
        .await
    }
}

/// Hands the rows of the tables to `take`.
async fn rows<E: From<StoreError>>(tx: &ReadTx, mut take: impl FnMut(RecordedSpend) -> Result<(), E>) -> Result<(), E> {
    // Each row with its series: the series of all keys, providers and models are too many to be held.
    let in_order = spend::Entity::find()
        .find_also_related(spend_series::Entity)
        .order_by(spend::Column::Start, Order::Asc)
        .order_by(spend::Column::Series, Order::Asc)
        .into_model::<spend::Model, spend_series::Model>();
    visit(tx, "spend", in_order, |(row, of)| {
        let (start, amounts) = (Timestamp::from_micros(row.start), amounts(&row));
        let series = of.map(|of| (super::series(&of), Timestamp::from_micros(of.last_start)));
        take(RecordedSpend { start, series, id: row.series, amounts })
    })
    .await
}

/// Hands all spend to `take`: the amounts of each place once, in the order of their starts and the ids of their series.
pub(in crate::store) async fn each_cell<E: From<StoreError>>(
    tx: &ReadTx,
    mut take: impl FnMut(SpendCell, SpendAmounts) -> Result<(), E>,
) -> Result<(), E> {
    let calendar = read_calendar(&tx.0).await?.unwrap_or_default();
    // What is in the journal alone, to be taken at its place.
    let mut waiting: BTreeMap<(Timestamp, Vec<u8>), (SpendSeries, SpendAmounts)> = BTreeMap::new();
    for (SpendCell { start, series }, amounts) in unfolded(&tx.0).await? {
        let id = series.digest().to_vec();
        let (_, sum) = waiting.entry((calendar.place(start), id)).or_insert((series, SpendAmounts::default()));
        *sum = sum.plus(amounts);
    }
    rows(tx, |RecordedSpend { start, id, series, mut amounts }| {
        let Some((series, _)) = series else {
            return Err(StoreError::corrupt("spend", hex::encode(&id), super::NO_SERIES).into());
        };
        let place = (start, id);
        while let Some(before) = waiting.first_entry().filter(|it| *it.key() < place) {
            let ((start, _), (series, amounts)) = before.remove_entry();
            take(SpendCell { start, series }, amounts)?;
        }
        if let Some((_, more)) = waiting.remove(&place) {
            amounts = amounts.plus(more);
        }
        take(SpendCell { start, series }, amounts)
    })
    .await?;
    for ((start, _), (series, amounts)) in waiting {
        take(SpendCell { start, series }, amounts)?;
    }
    Ok(())
}
