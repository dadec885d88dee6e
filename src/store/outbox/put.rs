//! Putting events into the outbox.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, Order};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};

use super::super::Store;
use super::super::entity::webhook_delivery::{self, Column};
use super::super::entity::webhook_head::{self, Column as HeadColumn};
use super::super::entity::{threshold_event, webhook_told};
use super::super::error::StoreError;
use super::super::persist::{Row, rows};
use super::super::script::Script;
use super::super::threshold::crossing;
use super::super::tx::{KEYS, ReadTx};
use super::{Delivery, Told, is_waiting, row, send};
use crate::domain::{Timestamp, WebhookEvent};
use crate::state::Crossing;

/// Crossings that become deliveries in one transaction.
const CROSSINGS: u64 = 500;
/// Deliveries that may wait for one webhook; of more, the oldest are given up.
const WAITING: u64 = 10_000;

impl Row for webhook_told::Model {
    type Key = (String, i32, String, i64);

    fn key(&self) -> Self::Key {
        (self.webhook_id.clone(), self.event, self.subject.clone(), self.mark)
    }
}

/// The crossings that have not become deliveries.
fn crossed_after(version: i64) -> Select<threshold_event::Entity> {
    threshold_event::Entity::find()
        .filter(threshold_event::Column::Version.gt(version))
        .order_by(threshold_event::Column::Version, Order::Asc)
        .order_by(threshold_event::Column::Percent, Order::Asc)
        .limit(CROSSINGS)
}

fn head(row: Option<webhook_head::Model>) -> Result<webhook_head::Model, StoreError> {
    row.ok_or_else(|| StoreError::corrupt("webhook_head", 1, "it is missing"))
}

/// The webhook, subject and mark of each thing of which a webhook was told.
type Known = HashSet<(String, String, i64)>;

/// Those of the `new` events that their webhooks were told already.
async fn known(
    tx: &DatabaseTransaction,
    new: &[(Delivery, Option<Told>)],
    event: WebhookEvent,
) -> Result<Known, StoreError> {
    use webhook_told::Column::{Event, Subject};
    let subjects: HashSet<&str> = new.iter().filter_map(|(_, told)| Some(told.as_ref()?.subject.as_ref())).collect();
    let (subjects, mut known) = (Vec::from_iter(subjects), Known::new());
    for part in subjects.chunks(KEYS) {
        let these = webhook_told::Entity::find().filter(Subject.is_in(part.iter().copied()));
        let found = these.filter(Event.eq(event.number())).all(tx).await?;
        known.extend(found.into_iter().map(|row| (row.webhook_id, row.subject, row.mark)));
    }
    Ok(known)
}

/// Gives up the oldest deliveries to a webhook of which too many wait.
async fn bound(tx: &DatabaseTransaction, webhooks: &HashSet<&str>, now: Timestamp) -> Result<u64, StoreError> {
    let mut given_up = 0;
    for id in webhooks {
        let waiting = || webhook_delivery::Entity::find().filter(is_waiting()).filter(Column::WebhookId.eq(*id));
        let surplus = waiting().count(tx).await?.saturating_sub(WAITING);
        if surplus > 0 {
            let oldest = waiting().order_by(Column::Number, Order::Asc).limit(surplus).all(tx).await?;
            for part in oldest.chunks(KEYS) {
                let these = Column::Id.is_in(part.iter().map(|row| row.id.as_str()));
                given_up +=
                    send::give_up(tx, these, "given up: too many deliveries wait for this webhook", now).await?;
            }
        }
    }
    Ok(given_up)
}

async fn insert(tx: &DatabaseTransaction, new: &[(Delivery, Option<Told>)], now: Timestamp) -> Result<u64, StoreError> {
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    webhook_head::Entity::update_many()
        .col_expr(HeadColumn::LastNumber, Expr::col(HeadColumn::LastNumber).add(count))
        .filter(HeadColumn::Id.eq(1))
        .exec(tx)
        .await?;
    let last = head(webhook_head::Entity::find_by_id(1).one(tx).await?)?.last_number;
    let numbered = (last - count + 1..).zip(new).map(|(number, (delivery, _))| Delivery { number, ..delivery.clone() });
    let mut script = Script::new(tx.get_database_backend());
    script.insert_new(numbered.map(|delivery| row(&delivery)).collect());
    let told = new.iter().filter_map(|(delivery, told)| Some((delivery, told.as_ref()?)));
    let told = told.map(|(delivery, Told { subject, mark })| webhook_told::Model {
        webhook_id: delivery.webhook_id.to_string(),
        event: delivery.event.number(),
        subject: subject.to_string(),
        mark: *mark,
        told_at: now.as_micros(),
    });
    script.insert_new(told.collect());
    script.run(tx).await?;
    bound(tx, &new.iter().map(|(delivery, _)| delivery.webhook_id.as_ref()).collect(), now).await
}

impl Store {
    /// Makes deliveries of the crossings that are recorded and have not become any, in one transaction: `deliver` says which.
    /// Returns how many crossings there were, and how many older deliveries were given up for them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Unknown`] or [`StoreError::Corrupt`]; it can be repeated in any case.
    pub async fn deliver_crossings(
        &self,
        now: Timestamp,
        deliver: impl FnOnce(Vec<Crossing>) -> Vec<Delivery> + Send,
    ) -> Result<(u64, u64), StoreError> {
        let waits = async {
            let tx = self.begin_read().await?;
            let version = head(rows(&tx, webhook_head::Entity::find_by_id(1)).await?.pop())?.crossing_version;
            Ok(!rows(&tx, crossed_after(version).limit(1)).await?.is_empty())
        };
        if !self.in_time(waits).await? {
            return Ok((0, 0));
        }
        let tx = self.begin_write().await?;
        let result = async {
            let version = head(webhook_head::Entity::find_by_id(1).one(&tx).await?)?.crossing_version;
            let crossed = crossed_after(version).all(&tx).await?;
            let mut crossed = crossed.into_iter().map(crossing).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = crossed.last().map(|crossing| crossing.version) else { return Ok((0, 0)) };
            if crossed.len() as u64 == CROSSINGS {
                // Perhaps not all of this version; no version has so many.
                crossed.retain(|crossing| crossing.version < last);
            }
            let Some(last) = crossed.last().map(|crossing| crossing.version) else { return Ok((0, 0)) };
            let count = crossed.len() as u64;
            let deliveries: Vec<_> = deliver(crossed).into_iter().map(|delivery| (delivery, None)).collect();
            let given_up = insert(&tx, &deliveries, now).await?;
            webhook_head::Entity::update_many()
                .col_expr(HeadColumn::CrossingVersion, Expr::value(last))
                .filter(HeadColumn::Id.eq(1))
                .exec(&tx)
                .await?;
            Ok((count, given_up))
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }

    /// Puts deliveries of one event into the outbox, but for those of which the webhook was told already. Returns how many older
    /// ones were given up for them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn put_deliveries(
        &self,
        event: WebhookEvent,
        mut new: Vec<(Delivery, Option<Told>)>,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let is_new = |known: &Known, (delivery, told): &(Delivery, Option<Told>)| {
            told.as_ref().is_none_or(|told| {
                !known.contains(&(delivery.webhook_id.to_string(), told.subject.to_string(), told.mark))
            })
        };
        if new.iter().any(|(_, told)| told.is_some()) {
            // Mostly there is nothing new, and then nobody is kept from writing.
            let ReadTx(tx) = self.begin_read().await?;
            let known = self.in_time(known(&tx, &new, event)).await?;
            new.retain(|it| is_new(&known, it));
        }
        if new.is_empty() {
            return Ok(0);
        }
        let tx = self.begin_write().await?;
        let result = async {
            let known = known(&tx, &new, event).await?;
            new.retain(|it| is_new(&known, it));
            insert(&tx, &new, now).await
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }
}
