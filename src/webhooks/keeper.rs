//! The task that notices what happened and sends what waits. Each server has one; the store lets one at a time notice, and
//! leases each delivery to one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::client::TIMEOUT;
use super::notice::{Heard, is_wanted};
use super::outage::Outage;
use super::{LIFE, Webhooks, earlier, later};
use crate::domain::{Stored, Webhook, WebhookEvent};
use crate::ledger::{Failing, Status, Turn};
use crate::store::{Delivery, StoreError, Tidy};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at keys and nodes.
const SELDOM: Duration = Duration::from_secs(5);
/// Between two looks at all keys, though nothing was changed.
const MINUTE: Duration = Duration::from_secs(60);
/// Deliveries on their way at a time.
const AT_ONCE: u64 = 32;
/// Deliveries on their way to one webhook at a time, so that one that hangs does not keep others waiting.
const AT_ONCE_EACH: u64 = 4;
/// How long a delivery is leased: longer than an attempt takes.
const LEASE: Duration = TIMEOUT.saturating_mul(2);
/// How long deliveries that are over are kept for people.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long it is kept in mind what webhooks were told.
const TOLD: Duration = Duration::from_secs(30 * 24 * 3_600);

pub(super) struct Keeper {
    webhooks: Webhooks,
    heard: Heard,
    outage: Option<Outage>,
    sending: JoinSet<Delivery>,
    /// How many are on their way to each webhook.
    on_way: HashMap<Box<str>, u64>,
    /// Attempts that are over and not written down.
    done: Vec<Delivery>,
    looked: Option<Instant>,
    /// When the keys were looked at, and at which revision.
    keys: Option<(Instant, i64)>,
    tidied: Option<Instant>,
    has_begun: bool,
}

impl Keeper {
    pub(super) fn new(webhooks: Webhooks) -> Self {
        Self {
            webhooks,
            heard: Heard::default(),
            outage: None,
            sending: JoinSet::new(),
            on_way: HashMap::new(),
            done: Vec::new(),
            looked: None,
            keys: None,
            tidied: None,
            has_begun: false,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut interval = tokio::time::interval(LOOK);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = Failing::default();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = interval.tick() => {}
                Some(done) = self.sending.join_next(), if !self.sending.is_empty() => {
                    self.take(done.ok());
                    // Results that come at the same time are written down together.
                    while let Some(done) = self.sending.try_join_next() {
                        self.take(done.ok());
                    }
                }
            }
            // An outage that is over but not written down is looked at again.
            let outage = self.webhooks.watch_outage(&mut self.outage).await;
            let is_ready = matches!(*self.webhooks.ledger.status().borrow(), Status::Ready);
            let stepped = match outage {
                Ok(()) if is_ready => self.step().await,
                other => other,
            };
            match failing.note(stepped) {
                Some(Turn::Fails(error)) => {
                    tracing::warn!(error = %error.report(), "events for webhooks cannot be read or written; trying again");
                }
                Some(Turn::Recovers) => tracing::info!("events for webhooks are read and written again"),
                None => {}
            }
        }
        while let Some(done) = self.sending.try_join_next() {
            self.take(done.ok());
        }
        // A delivery whose result cannot be written down is sent again after its lease.
        drop(self.settle().await);
    }

    fn take(&mut self, done: Option<Delivery>) {
        match done {
            Some(done) => {
                if let Some(on_way) = self.on_way.get_mut(&done.webhook_id) {
                    *on_way -= 1;
                }
                self.done.push(done);
            }
            // A task that panicked: its delivery is sent again after its lease.
            None if self.sending.is_empty() => self.on_way.clear(),
            None => {}
        }
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        if !self.done.is_empty() {
            self.webhooks.store.settle_deliveries(&self.done).await?;
            self.done.clear();
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), StoreError> {
        self.settle().await?;
        let state = self.webhooks.ledger.state();
        let (store, now) = (&self.webhooks.store, self.webhooks.ledger.now());
        if !self.has_begun {
            if !store.is_shared() {
                store.end_leases().await?;
            }
            self.has_begun = true;
        }
        if self.tidied.is_none_or(|at| at.elapsed() >= MINUTE) {
            let existing: Vec<&str> = state.config().all::<Webhook>().map(|it| it.id.as_str()).collect();
            let (given_up, forgotten, untold) = (earlier(now, LIFE), earlier(now, KEPT), earlier(now, TOLD));
            let tidy = Tidy { now, existing: &existing, given_up, forgotten, untold };
            self.webhooks.metrics.gave_up(store.tidy_deliveries(tidy).await?);
            self.tidied = Some(Instant::now());
        }
        if state.config().count::<Webhook>() == 0 {
            return Ok(());
        }
        if is_wanted(&state, WebhookEvent::ThresholdCrossed) {
            self.webhooks.notice_crossings().await?;
        }
        if self.looked.is_none_or(|at| at.elapsed() >= SELDOM) {
            self.looked = Some(Instant::now());
            let revision = state.revision();
            let is_new = self.keys.is_none_or(|(at, seen)| at.elapsed() >= MINUTE || seen != revision);
            if is_new && is_wanted(&state, WebhookEvent::KeyExpiring) {
                self.webhooks.notice_keys(&mut self.heard).await?;
                self.keys = Some((Instant::now(), revision));
            }
            if is_wanted(&state, WebhookEvent::NodeSilent) {
                self.webhooks.notice_nodes(&mut self.heard).await?;
            }
            self.webhooks.metrics.stands(self.webhooks.store.outbox_standing().await?, now);
        }
        self.send().await
    }

    /// Begins to send what is due.
    async fn send(&mut self) -> Result<(), StoreError> {
        let (state, now) = (self.webhooks.ledger.state(), self.webhooks.ledger.now());
        let on_way = &self.on_way;
        let room = |id: &str| AT_ONCE_EACH.saturating_sub(on_way.get(id).copied().unwrap_or_default());
        let active = state.config().all::<Webhook>().filter(|it| it.resource.is_active);
        let active: HashMap<&str, &Arc<Stored<Webhook>>> = active.map(|it| (it.id.as_str(), it)).collect();
        let rooms: Vec<(&str, u64)> = active.keys().map(|id| (*id, room(id))).filter(|(_, room)| *room > 0).collect();
        let limit = AT_ONCE.saturating_sub(self.sending.len() as u64);
        let store = &self.webhooks.store;
        for delivery in store.lease_deliveries(&rooms, now, later(now, LEASE), limit).await? {
            if let Some(webhook) = active.get(delivery.webhook_id.as_ref()) {
                *self.on_way.entry(delivery.webhook_id.clone()).or_default() += 1;
                self.sending.spawn(self.webhooks.clone().attempt(Arc::clone(webhook), delivery));
            }
        }
        Ok(())
    }
}
