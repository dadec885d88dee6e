//! Sending what is in the outbox: one server at a time, until it is over.

use sea_orm::sea_query::{Expr, IntoCondition, Order};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::super::entity::webhook_delivery::{self, Column};
use super::super::entity::webhook_told;
use super::super::error::StoreError;
use super::super::persist::rows;
use super::super::tx::{KEYS, ReadTx};
use super::super::{Reader, Store};
use super::{Delivery, DeliveryState, is_waiting, read, row};
use crate::domain::Timestamp;

/// Deliveries that are over and kept; of more, the oldest are forgotten.
const KEPT: u64 = 50_000;
/// Microseconds after which all servers know of a webhook.
const SETTLED: i64 = 60_000_000;

/// The times before which rows of the outbox are given up or deleted.
#[derive(Clone, Copy, Debug)]
pub struct Tidy<'a> {
    /// When it goes.
    pub now: Timestamp,
    /// The ids of all webhooks.
    pub existing: &'a [&'a str],
    /// Deliveries that were noticed before, and wait, are given up.
    pub given_up: Timestamp,
    /// Deliveries that were over before are forgotten.
    pub forgotten: Timestamp,
    /// It is forgotten that webhooks were told something before.
    pub untold: Timestamp,
}

/// Those of these webhooks that are due at `now` and that no server is at.
fn due_to(webhooks: &[&str], now: Timestamp) -> Condition {
    Condition::all()
        .add(is_waiting())
        .add(Column::NextAttemptAt.lte(now.as_micros()))
        .add(Column::LeasedUntil.lt(now.as_micros()))
        .add(Column::WebhookId.is_in(webhooks.iter().take(KEYS).copied()))
}

/// Gives up those of `these` that wait.
pub(super) async fn give_up(
    tx: &DatabaseTransaction,
    these: impl IntoCondition,
    why: &str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let done = webhook_delivery::Entity::update_many()
        .col_expr(Column::State, Expr::value(DeliveryState::Failed.number()))
        .col_expr(Column::LastError, Expr::value(why))
        .col_expr(Column::FinishedAt, Expr::value(now.as_micros()))
        .filter(is_waiting())
        .filter(these);
    Ok(done.exec(tx).await?.rows_affected)
}

impl Store {
    /// Leases deliveries to `webhooks` that are due, the oldest first: at most so many to each as stand beside it, and at most
    /// `limit`. Nobody else gets them before `until`, by when the attempt is over, and settled unless this server is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Unknown`] or [`StoreError::Corrupt`].
    pub async fn lease_deliveries(
        &self,
        webhooks: &[(&str, u64)],
        now: Timestamp,
        until: Timestamp,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let ids: Vec<&str> = webhooks.iter().map(|(id, _)| *id).collect();
        let waits = async {
            let ReadTx(tx) = self.begin_read().await?;
            let due = webhook_delivery::Entity::find().select_only().column(Column::WebhookId).distinct();
            Ok(due.filter(due_to(&ids, now)).into_tuple::<String>().all(&tx).await?)
        };
        if limit == 0 || ids.is_empty() {
            return Ok(Vec::new());
        }
        let waits = self.in_time(waits).await?;
        if waits.is_empty() {
            return Ok(Vec::new());
        }
        let tx = self.begin_write().await?;
        let result = async {
            let mut leased = Vec::new();
            for (id, room) in webhooks.iter().filter(|(id, _)| waits.iter().any(|waits| waits == id)) {
                let room = std::cmp::min(limit.saturating_sub(leased.len() as u64), *room);
                let due = webhook_delivery::Entity::find().filter(due_to(&[id], now));
                let due = due.order_by(Column::NextAttemptAt, Order::Asc).order_by(Column::Number, Order::Asc);
                leased.extend(due.limit(room).all(&tx).await?);
            }
            webhook_delivery::Entity::update_many()
                .col_expr(Column::LeasedUntil, Expr::value(until.as_micros()))
                .filter(Column::Id.is_in(leased.iter().map(|row| row.id.as_str())))
                .exec(&tx)
                .await?;
            leased.into_iter().map(read).collect()
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }

    /// Ends all leases: of a server that is gone, where no other can be running.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`].
    pub async fn end_leases(&self) -> Result<(), StoreError> {
        let leased = Column::LeasedUntil.gt(0_i64);
        if !self.has_deliveries(leased.clone()).await? {
            return Ok(());
        }
        let tx = self.begin_write().await?;
        let end = webhook_delivery::Entity::update_many()
            .col_expr(Column::LeasedUntil, Expr::value(0_i64))
            .filter(leased)
            .filter(is_waiting());
        let result = self.in_time(async { Ok(end.exec(&tx).await.map(drop)?) }).await;
        self.reach.finish(tx, result).await
    }
}

impl Reader {
    /// Whether there are any of `these`: mostly there are none, and then nobody is kept from writing.
    async fn has_deliveries(&self, these: Expr) -> Result<bool, StoreError> {
        let some = webhook_delivery::Entity::find().filter(these).limit(1);
        self.in_time(async { Ok(!rows(&self.begin_read().await?, some).await?.is_empty()) }).await
    }
}

impl Store {
    /// Writes what became of deliveries, and ends their leases.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn settle_deliveries(&self, settled: &[Delivery]) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let result = async {
            for delivery in settled {
                let model = row(delivery);
                webhook_delivery::Entity::update_many()
                    .col_expr(Column::State, Expr::value(model.state))
                    .col_expr(Column::Attempts, Expr::value(model.attempts))
                    .col_expr(Column::LastStatus, Expr::value(model.last_status))
                    .col_expr(Column::LastError, Expr::value(model.last_error))
                    .col_expr(Column::NextAttemptAt, Expr::value(model.next_attempt_at))
                    .col_expr(Column::FinishedAt, Expr::value(model.finished_at))
                    .col_expr(Column::LeasedUntil, Expr::value(0_i64))
                    .filter(Column::Id.eq(model.id))
                    // Somebody else may have given it up.
                    .filter(is_waiting())
                    .exec(&tx)
                    .await?;
            }
            Ok(())
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }

    /// Gives up what was noticed before `given_up` and still waits, and what waits for a webhook that is none of `existing`; and
    /// forgets what was over before `forgotten`, or is more than is kept, and what webhooks were told before `untold`. Returns how
    /// many were given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn tidy_deliveries(&self, tidy: Tidy<'_>) -> Result<u64, StoreError> {
        let Tidy { now, existing, given_up, forgotten, untold } = tidy;
        if !self.has_deliveries(Column::Number.gt(0_i64)).await? {
            return Ok(0);
        }
        let tx = self.begin_write().await?;
        let result = async {
            let old = Column::CreatedAt.lt(given_up.as_micros());
            let mut count = give_up(&tx, old, "given up: it was not delivered for 24 hours", now).await?;
            if existing.len() <= KEYS {
                // A server that has just heard of a webhook must not lose what another one has for it.
                let settled = Column::CreatedAt.lt(now.plus_micros(-SETTLED).as_micros());
                let orphans = Condition::all().add(Column::WebhookId.is_not_in(existing.iter().copied())).add(settled);
                count += give_up(&tx, orphans, "given up: its webhook was deleted", now).await?;
            }
            let over = || webhook_delivery::Entity::find().filter(Column::FinishedAt.is_not_null());
            let newest = over().order_by(Column::FinishedAt, Order::Desc).offset(KEPT).limit(1).one(&tx).await?;
            let surplus = newest.and_then(|row| row.finished_at).unwrap_or(i64::MIN);
            let before = std::cmp::max(surplus, forgotten.as_micros());
            webhook_delivery::Entity::delete_many().filter(Column::FinishedAt.lt(before)).exec(&tx).await?;
            let old = webhook_told::Column::ToldAt.lt(untold.as_micros());
            webhook_told::Entity::delete_many().filter(old).exec(&tx).await?;
            Ok(count)
        };
        let result = self.in_time(result).await;
        self.reach.finish(tx, result).await
    }
}
