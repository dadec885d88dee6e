//! Limits that reached a threshold. Written in the transaction that crossed it; the primary key lets each be recorded once
//! per window, whatever is reset or raised in between.

use sea_orm::sea_query::Order;
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};

use super::entity::threshold_event::{Column, Entity, Model};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::script::Script;
use super::usage::{kind, number};
use super::{Reader, Store};
use crate::counters::CounterKey;
use crate::domain::{Id, LimitOwner, Timestamp};
use crate::state::Crossing;

/// Where a page of events goes on: after the one with this version and percentage.
pub type AfterCrossing = (i64, i32);

impl Row for Model {
    type Key = (String, i32, i64, i32);

    fn key(&self) -> Self::Key {
        (self.limit_id.clone(), self.kind, self.window_start, self.percent)
    }
}

/// Records what was crossed, unless it is recorded already.
pub(super) fn record(script: &mut Script, crossings: &[Crossing]) {
    script.insert_new(crossings.iter().map(row).collect());
}

fn row(crossing: &Crossing) -> Model {
    let Crossing { key, owner, percent, used, max, version, crossed_at } = crossing;
    let (owner_kind, owner_id) = owner_columns(owner);
    Model {
        limit_id: key.limit_id.to_string(),
        kind: number(key.kind),
        window_start: key.window_start.as_micros(),
        percent: *percent,
        owner_kind,
        owner_id,
        used: *used,
        max: *max,
        version: *version,
        crossed_at: crossed_at.as_micros(),
    }
}

pub(super) fn crossing(row: Model) -> Result<Crossing, StoreError> {
    let corrupt = |why: &str| StoreError::corrupt("threshold_event", &row.limit_id, why);
    Ok(Crossing {
        owner: owner(row.owner_kind, &row.owner_id).ok_or_else(|| corrupt("its owner is unknown"))?,
        key: CounterKey {
            kind: kind(row.kind).ok_or_else(|| corrupt("its kind is unknown"))?,
            limit_id: row.limit_id.as_str().into(),
            window_start: Timestamp::from_micros(row.window_start),
        },
        percent: row.percent,
        used: row.used,
        max: row.max,
        version: row.version,
        crossed_at: Timestamp::from_micros(row.crossed_at),
    })
}

fn owner_columns(owner: &LimitOwner) -> (i32, String) {
    match owner {
        LimitOwner::Customer(id) => (1, id.to_string()),
        LimitOwner::Team(id) => (2, id.to_string()),
        LimitOwner::VirtualKey(id) => (3, id.to_string()),
        LimitOwner::ProviderConfig(id) => (4, id.to_string()),
        LimitOwner::ModelConfig(id) => (5, id.to_string()),
        LimitOwner::Provider(id) => (6, id.to_string()),
        LimitOwner::ProviderKey(id) => (7, id.to_string()),
    }
}

fn owner(kind: i32, id: &str) -> Option<LimitOwner> {
    Some(match kind {
        1 => LimitOwner::Customer(Id::new(id)),
        2 => LimitOwner::Team(Id::new(id)),
        3 => LimitOwner::VirtualKey(Id::new(id)),
        4 => LimitOwner::ProviderConfig(id.parse().ok()?),
        5 => LimitOwner::ModelConfig(Id::new(id)),
        6 => LimitOwner::Provider(Id::new(id)),
        7 => LimitOwner::ProviderKey(id.into()),
        _ => return None,
    })
}

impl Reader {
    /// Crossings of thresholds, newest first: of the limits of `owner` (of all if absent), older than `after`, at most
    /// `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_crossings(
        &self,
        owner: Option<&LimitOwner>,
        after: Option<AfterCrossing>,
        limit: u64,
    ) -> Result<Vec<Crossing>, StoreError> {
        let mut all = Condition::all();
        if let Some(owner) = owner {
            let (kind, id) = owner_columns(owner);
            all = all.add(Column::OwnerKind.eq(kind)).add(Column::OwnerId.eq(id));
        }
        if let Some((version, percent)) = after {
            let same = Condition::all().add(Column::Version.eq(version)).add(Column::Percent.lt(percent));
            all =
                all.add(Column::Version.lte(version)).add(Condition::any().add(Column::Version.lt(version)).add(same));
        }
        let tx = self.begin_read().await?;
        let select = Entity::find()
            .filter(all)
            .order_by(Column::Version, Order::Desc)
            .order_by(Column::Percent, Order::Desc)
            .limit(limit);
        rows(&tx, select).await?.into_iter().map(crossing).collect()
    }
}

impl Store {
    /// Forgets what was crossed before `older_than`. Returns how much that was.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn forget_crossings(&self, older_than: Timestamp) -> Result<u64, StoreError> {
        let tx = self.begin_write().await?;
        let forget = Entity::delete_many().filter(Column::CrossedAt.lt(older_than.as_micros()));
        let result = self.in_time(async { Ok(forget.exec(&tx).await?.rows_affected) }).await;
        self.reach.finish(tx, result).await
    }
}
