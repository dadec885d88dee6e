//! That nothing can be written. The outbox is what cannot be written then, so it is told from memory, as well as that goes: a
//! server that ends meanwhile forgets it. Once writes get through again, the outbox has it, with the same ids.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::event::Event;
use super::{Webhooks, delivery};
use crate::domain::{Stored, Timestamp, Webhook, WebhookEvent};
use crate::ledger::Status;
use crate::store::{Delivery, DeliveryState};

/// How long nothing can be written before it is told: a database that is started again is no news.
const LASTS: Duration = Duration::from_secs(5);
/// Between two attempts from memory.
const PAUSE: Duration = Duration::from_secs(30);

/// A time in which nothing can be written.
pub(super) struct Outage {
    began: Instant,
    at: Timestamp,
    /// Made when it has lasted.
    told: Option<Vec<Delivery>>,
    sending: JoinSet<Delivery>,
    next: Instant,
}

impl Outage {
    fn new(at: Timestamp) -> Self {
        let now = Instant::now();
        Self { began: now, at, told: None, sending: JoinSet::new(), next: now }
    }

    fn note(&mut self, done: Delivery) {
        if let Some(waiting) = self.told.iter_mut().flatten().find(|it| it.id == done.id) {
            *waiting = done;
        }
    }
}

impl Webhooks {
    /// Looks whether an outage began, goes on or is over, and tells of it. What is left to tell afterwards goes to the outbox.
    ///
    /// # Errors
    ///
    /// If the outbox cannot be written; the outage is not over then.
    pub(super) async fn watch_outage(&self, outage: &mut Option<Outage>) -> Result<(), crate::store::StoreError> {
        let is_writable = matches!(*self.ledger.status().borrow(), Status::Ready);
        let Some(running) = outage.as_mut() else {
            if !is_writable {
                *outage = Some(Outage::new(self.ledger.now()));
            }
            return Ok(());
        };
        while let Some(done) = running.sending.try_join_next() {
            if let Ok(done) = done {
                running.note(done);
            }
        }
        if is_writable {
            // An attempt that still runs has the id of what goes to the outbox: the receiver can tell the repeat.
            let told = running.told.clone().unwrap_or_default();
            if !told.is_empty() {
                let (now, new) = (self.ledger.now(), told.into_iter().map(|delivery| (delivery, None)).collect());
                self.metrics.gave_up(self.store.put_deliveries(WebhookEvent::StoreNotWritable, new, now).await?);
            }
            *outage = None;
            return Ok(());
        }
        if running.began.elapsed() < LASTS || running.next > Instant::now() || !running.sending.is_empty() {
            return Ok(());
        }
        running.next = Instant::now() + PAUSE;
        let state = self.ledger.state();
        let webhook = |id: &str| state.config().get::<Webhook>(id).map(Arc::clone);
        let told = running.told.get_or_insert_with(|| {
            let event = Event::not_writable(&self.replica, running.at);
            let webhooks = state.config().all::<Webhook>().filter(|it| event.is_for(&it.resource));
            webhooks.map(|it: &Arc<Stored<Webhook>>| delivery(&event, it, running.at)).collect()
        });
        for waiting in told.iter().filter(|it| it.state == DeliveryState::Waiting) {
            if let Some(webhook) = webhook(&waiting.webhook_id) {
                running.sending.spawn(self.clone().attempt(webhook, waiting.clone()));
            }
        }
        Ok(())
    }
}
