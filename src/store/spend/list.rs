//! Reading spend.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _};

use super::journal::unfolded;
use super::{NO_SERIES, first, read_calendar};
use crate::domain::Timestamp;
use crate::store::Reader;
use crate::store::entity::{spend, spend_series};
use crate::store::error::StoreError;
use crate::store::persist::{rows, visit};
use crate::store::tx::{KEYS, ReadTx};
use crate::usage::{SpendAmounts, SpendCalendar, SpendSeries, SpendTally};

/// Which series are asked for. All that is given must match.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SpendFilter {
    /// Of this customer.
    pub customer_id: Option<String>,
    /// Of this team.
    pub team_id: Option<String>,
    /// Of this virtual key.
    pub virtual_key_id: Option<String>,
    /// At this provider.
    pub provider: Option<String>,
    /// Of this model.
    pub model: Option<String>,
}

impl SpendFilter {
    fn wanted(&self) -> [Option<&String>; 5] {
        let Self { customer_id, team_id, virtual_key_id, provider, model } = self;
        [customer_id.as_ref(), team_id.as_ref(), virtual_key_id.as_ref(), provider.as_ref(), model.as_ref()]
    }

    fn matches(&self, series: &SpendSeries) -> bool {
        self.wanted().into_iter().zip(series.texts()).all(|(wanted, text)| wanted.is_none_or(|it| **it == **text))
    }

    fn condition(&self) -> Condition {
        use spend_series::Column::{CustomerId, Model, Provider, TeamId, VirtualKeyId};
        let columns = [CustomerId, TeamId, VirtualKeyId, Provider, Model];
        let given = self.wanted().into_iter().zip(columns);
        given.fold(Condition::all(), |all, (wanted, column)| all.add_option(wanted.map(|it| column.eq(it.as_str()))))
    }

    /// Whether no series can match: PostgreSQL has no NUL in texts, and refuses to be asked.
    fn matches_nothing(&self) -> bool {
        self.wanted().into_iter().flatten().any(|text| text.contains('\0'))
    }
}

/// Spend at one moment.
pub struct SpendSnapshot {
    pub(super) tx: ReadTx,
    calendar: SpendCalendar,
    /// What is in the journal alone.
    unfolded: SpendTally,
    /// Series that were read.
    series: HashMap<Vec<u8>, SpendSeries>,
}

/// The id of a series, and what sums up for it, in the order of the columns.
type Sums = (Vec<u8>, i64, i64, i64, i64, i64, i64, i64, i64, i64);

impl Reader {
    /// Spend as it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn spend(&self) -> Result<SpendSnapshot, StoreError> {
        let tx = self.begin_read().await?;
        let calendar = read_calendar(&tx.0).await?.unwrap_or_default();
        let unfolded = unfolded(&tx.0).await?;
        Ok(SpendSnapshot { tx, calendar, unfolded, series: HashMap::new() })
    }
}

impl SpendSnapshot {
    /// How spend is kept.
    pub fn calendar(&self) -> &SpendCalendar {
        &self.calendar
    }

    /// The first hour or day from `from` on and before `to` that has anything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn first(&self, from: Timestamp, to: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let first = first(&self.tx.0, from).await?.filter(|first| *first < to);
        let unfolded = self.unfolded.iter().map(|(cell, _)| self.calendar.place(cell.start));
        let unfolded = unfolded.filter(|start| (from..to).contains(start)).min();
        Ok(first.into_iter().chain(unfolded).min())
    }

    /// What was spent from `from` on and before `to`, by series, in no particular order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Overflow`] if sums do not fit, else [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn sums(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        filter: &SpendFilter,
    ) -> Result<Vec<(SpendSeries, SpendAmounts)>, StoreError> {
        use spend::Column::{Series, Start};
        if filter.matches_nothing() {
            return Ok(Vec::new());
        }
        let sum = |column: spend::Column| SimpleExpr::from(column.sum()).cast_as("bigint");
        let mut select = spend::Entity::find().select_only().column(Series);
        for column in AMOUNTS {
            select = select.expr(sum(column));
        }
        select = select.filter(Start.gte(from.as_micros())).filter(Start.lt(to.as_micros())).group_by(Series);
        if *filter != SpendFilter::default() {
            let mut matching = Query::select();
            matching.column(spend_series::Column::Id).from(spend_series::Entity).cond_where(filter.condition());
            select = select.filter(Expr::col(Series).in_subquery(matching));
        }
        let mut sums: HashMap<Vec<u8>, SpendAmounts> = HashMap::new();
        visit(&self.tx, "spend", select.into_tuple::<Sums>(), |row| {
            let (series, a, b, c, d, e, f, g, h, i) = row;
            sums.insert(series, SpendAmounts::from_array([a, b, c, d, e, f, g, h, i]));
            Ok::<_, StoreError>(())
        })
        .await?;
        self.learn(sums.keys()).await?;
        let mut all: HashMap<SpendSeries, SpendAmounts> = HashMap::with_capacity(sums.len());
        for (id, amounts) in sums {
            let series =
                self.series.get(&id).ok_or_else(|| StoreError::corrupt("spend", hex::encode(&id), NO_SERIES))?;
            all.insert(series.clone(), amounts);
        }
        for (cell, amounts) in self.unfolded.iter() {
            if (from..to).contains(&self.calendar.place(cell.start)) && filter.matches(&cell.series) {
                let sum = all.entry(cell.series.clone()).or_default();
                *sum = sum.plus(amounts);
            }
        }
        Ok(all.into_iter().collect())
    }

    /// Reads the series with these ids that are not known.
    async fn learn(&mut self, ids: impl Iterator<Item = &Vec<u8>>) -> Result<(), StoreError> {
        let unknown: Vec<_> = ids.filter(|id| !self.series.contains_key(*id)).cloned().collect();
        for chunk in unknown.chunks(KEYS) {
            let these = spend_series::Column::Id.is_in(chunk.iter().map(Vec::as_slice));
            for row in rows(&self.tx, spend_series::Entity::find().filter(these)).await? {
                let series = super::series(&row);
                self.series.insert(row.id, series);
            }
        }
        Ok(())
    }
}

/// The columns of [`SpendAmounts::to_array`].
const AMOUNTS: [spend::Column; SpendAmounts::COUNT] = {
    use spend::Column::{
        AudioTokens, CacheWriteTokens, CachedInputTokens, CostNanoUsd, InputTokens, OutputTokens, ReasoningTokens,
        Requests, UnpricedRequests,
    };
    [
        Requests,
        UnpricedRequests,
        InputTokens,
        CachedInputTokens,
        CacheWriteTokens,
        OutputTokens,
        ReasoningTokens,
        AudioTokens,
        CostNanoUsd,
    ]
};
