//! The outbox: events on their way to webhooks. What causes an event writes it in a transaction of its own kind; a crossing of a
//! threshold is a row of `threshold_event`, which becomes deliveries here, in the order of its version, each once. A delivery
//! is leased to one server at a time, and stays until it is over.

mod put;
mod send;

pub use send::Tidy;

use sea_orm::sea_query::{Expr, Order};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::Reader;
use super::entity::webhook_delivery::{self, Column};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::tx::ReadTx;
use crate::domain::{Timestamp, WebhookEvent};

/// The state of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryState {
    /// It waits for its next attempt.
    Waiting,
    /// It was delivered.
    Delivered,
    /// It was given up.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Failed];

    /// The number of the state in the API and the table; it never changes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Waiting => 1,
            Self::Delivered => 2,
            Self::Failed => 3,
        }
    }

    /// The state with this number.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

/// An event on its way to a webhook.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// UUIDv7.
    pub id: Box<str>,
    /// Its place in the order of the outbox; 0 until it is in it.
    pub number: i64,
    /// The webhook.
    pub webhook_id: Box<str>,
    /// The event.
    pub event: WebhookEvent,
    /// Its state.
    pub state: DeliveryState,
    /// The body, as it is sent.
    pub body: Box<str>,
    /// How often it was tried.
    pub attempts: i32,
    /// Status of the last answer; 0 if there was none.
    pub last_status: i32,
    /// Why the last attempt failed; empty if it did not.
    pub last_error: Box<str>,
    /// When the event was noticed.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
}

impl Delivery {
    /// One that waits for its first attempt, from `now` on.
    pub fn new(id: Box<str>, webhook_id: &str, event: WebhookEvent, body: Box<str>, now: Timestamp) -> Self {
        Self {
            id,
            number: 0,
            webhook_id: webhook_id.into(),
            event,
            state: DeliveryState::Waiting,
            body,
            attempts: 0,
            last_status: 0,
            last_error: "".into(),
            created_at: now,
            next_attempt_at: now,
            finished_at: None,
        }
    }
}

/// The identity of an event that a webhook is told once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Told {
    /// The subject of the event: the id of a key, the name of a node.
    pub subject: Box<str>,
    /// The time of the event in microseconds, which tells events of one subject apart: when a key is so many days from its
    /// end, when a node was last heard.
    pub mark: i64,
}

/// The filter of `Store::list_deliveries`. All that is given must match.
#[derive(Clone, Default, Debug)]
pub struct DeliveryFilter {
    /// To this webhook.
    pub webhook_id: Option<String>,
    /// In this state.
    pub state: Option<DeliveryState>,
}

/// How the outbox stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct OutboxStanding {
    /// How many deliveries wait.
    pub waiting: u64,
    /// When the oldest of them was noticed.
    pub oldest: Option<Timestamp>,
}

impl Row for webhook_delivery::Model {
    type Key = String;

    fn key(&self) -> String {
        self.id.clone()
    }
}

fn row(delivery: &Delivery) -> webhook_delivery::Model {
    let Delivery { id, number, webhook_id, event, state, body, attempts, last_status, last_error, .. } = delivery;
    webhook_delivery::Model {
        id: id.to_string(),
        number: *number,
        webhook_id: webhook_id.to_string(),
        event: event.number(),
        state: state.number(),
        body: body.to_string(),
        attempts: *attempts,
        last_status: *last_status,
        last_error: last_error.to_string(),
        created_at: delivery.created_at.as_micros(),
        next_attempt_at: delivery.next_attempt_at.as_micros(),
        leased_until: 0,
        finished_at: delivery.finished_at.map(Timestamp::as_micros),
    }
}

fn read(row: webhook_delivery::Model) -> Result<Delivery, StoreError> {
    let corrupt = |why: &str| StoreError::corrupt("webhook_delivery", &row.id, why);
    Ok(Delivery {
        event: WebhookEvent::from_number(row.event).ok_or_else(|| corrupt("its event is unknown"))?,
        state: DeliveryState::from_number(row.state).ok_or_else(|| corrupt("its state is unknown"))?,
        id: row.id.into(),
        number: row.number,
        webhook_id: row.webhook_id.into(),
        body: row.body.into(),
        attempts: row.attempts,
        last_status: row.last_status,
        last_error: row.last_error.into(),
        created_at: Timestamp::from_micros(row.created_at),
        next_attempt_at: Timestamp::from_micros(row.next_attempt_at),
        finished_at: row.finished_at.map(Timestamp::from_micros),
    })
}

fn is_waiting() -> Expr {
    Column::State.eq(DeliveryState::Waiting.number())
}

impl Reader {
    /// Deliveries, the newest first: those before the one with the number `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<i64>,
        limit: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        let DeliveryFilter { webhook_id, state } = filter;
        if webhook_id.as_ref().is_some_and(|id| id.contains('\0')) {
            // PostgreSQL has no NUL in texts, and refuses to be asked.
            return Ok(Vec::new());
        }
        let all = Condition::all()
            .add_option(webhook_id.as_ref().map(|id| Column::WebhookId.eq(id.as_str())))
            .add_option(state.map(|state| Column::State.eq(state.number())))
            .add_option(after.map(|number| Column::Number.lt(number)));
        let select = webhook_delivery::Entity::find().filter(all).order_by(Column::Number, Order::Desc).limit(limit);
        let found = self.in_time(async { rows(&self.begin_read().await?, select).await }).await?;
        found.into_iter().map(read).collect()
    }

    /// How many deliveries wait, and since when.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn outbox_standing(&self) -> Result<OutboxStanding, StoreError> {
        let standing = async {
            let ReadTx(tx) = self.begin_read().await?;
            let waiting = || webhook_delivery::Entity::find().filter(is_waiting());
            let oldest = waiting().order_by(Column::Number, Order::Asc).limit(1).one(&tx).await?;
            let oldest = oldest.map(|row| Timestamp::from_micros(row.created_at));
            Ok(OutboxStanding { waiting: waiting().count(&tx).await?, oldest })
        };
        self.in_time(standing).await
    }
}
