//! Events that the store and the configuration show: looked for again and again, told once.

use std::collections::HashSet;
use std::time::Duration;

use super::event::Event;
use super::{Webhooks, delivery, earlier, later};
use crate::domain::{Timestamp, VirtualKey, Webhook, WebhookEvent};
use crate::state::State;
use crate::store::{Delivery, FleetNode, StoreError, Told};

/// How long before a key expires its webhooks hear of it, in days.
const DAYS: [i64; 2] = [7, 1];
const DAY: i64 = 24 * 3_600 * 1_000_000;
/// How long a node may be unheard.
const SILENT: Duration = Duration::from_secs(15);
/// A node that was not heard for longer is not told of any more: it was, or nobody was there to tell.
const LONG_SILENT: Duration = Duration::from_secs(24 * 3_600);

/// Events that webhooks were told, as far as this server knows: so that the store is not asked again and again.
#[derive(Default)]
pub(super) struct Heard(HashSet<(WebhookEvent, Box<str>, Box<str>, i64)>);

impl Heard {
    /// Events that a server keeps in memory at most; of more, it asks the store.
    const MOST: usize = 100_000;

    fn has(&self, delivery: &Delivery, told: &Told) -> bool {
        self.0.contains(&(delivery.event, delivery.webhook_id.clone(), told.subject.clone(), told.mark))
    }

    fn note(&mut self, heard: Vec<(WebhookEvent, Box<str>, Box<str>, i64)>) {
        if self.0.len() + heard.len() > Self::MOST {
            self.0.clear();
        }
        self.0.extend(heard);
    }
}

/// Whether an active webhook is for `event`.
pub(super) fn is_wanted(state: &State, event: WebhookEvent) -> bool {
    state.config().all::<Webhook>().any(|it| it.resource.is_active && it.resource.events.contains(&event))
}

impl Webhooks {
    /// Makes deliveries of crossings of thresholds.
    pub(super) async fn notice_crossings(&self) -> Result<(), StoreError> {
        loop {
            let (state, now) = (self.ledger.state(), self.ledger.now());
            let config = state.config();
            let (crossed, given_up) = self
                .store
                .deliver_crossings(now, |crossings| {
                    let mut new = Vec::new();
                    for crossing in &crossings {
                        let event = Event::crossed(config, crossing);
                        // A webhook hears of what happens after it was made.
                        let webhooks = config.all::<Webhook>().filter(|it| it.created_at <= crossing.crossed_at);
                        let webhooks = webhooks.filter(|it| event.is_for(&it.resource));
                        new.extend(webhooks.map(|webhook| delivery(&event, webhook, now)));
                    }
                    new
                })
                .await?;
            self.metrics.gave_up(given_up);
            if crossed == 0 {
                return Ok(());
            }
        }
    }

    /// Makes deliveries of keys that are about to expire.
    pub(super) async fn notice_keys(&self, heard: &mut Heard) -> Result<(), StoreError> {
        let (state, now) = (self.ledger.state(), self.ledger.now());
        let config = state.config();
        let mut found = Vec::new();
        for key in config.all::<VirtualKey>().filter(|it| it.resource.is_active) {
            let Some(expires_at) = key.resource.expires_at else { continue };
            if let Some(days) = due_days(expires_at, key.created_at, now) {
                let told =
                    Told { subject: key.id.as_str().into(), mark: expires_at.plus_micros(-days * DAY).as_micros() };
                found.push((Event::expiring(config, key, expires_at, days, now), told));
            }
        }
        self.tell(&state, WebhookEvent::KeyExpiring, found, heard, now).await
    }

    /// Makes deliveries of nodes that are not heard any more.
    pub(super) async fn notice_nodes(&self, heard: &mut Heard) -> Result<(), StoreError> {
        let nodes = self.ledger.fleet().nodes(&self.store, None).await?;
        let (state, now) = (self.ledger.state(), self.ledger.now());
        let found = silent(&nodes, now).into_iter().map(|(node, replica, last_seen)| {
            let node_id = node.registration.node_id.as_str();
            let told = Told { subject: node_id.into(), mark: last_seen.as_micros() };
            (Event::silent(node_id, node.incarnation, replica, last_seen, later(last_seen, SILENT)), told)
        });
        let found = found.collect();
        self.tell(&state, WebhookEvent::NodeSilent, found, heard, now).await
    }

    async fn tell(
        &self,
        state: &State,
        kind: WebhookEvent,
        found: Vec<(Event, Told)>,
        heard: &mut Heard,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut new = Vec::new();
        for (event, told) in &found {
            for webhook in state.config().all::<Webhook>().filter(|it| event.is_for(&it.resource)) {
                let delivery = delivery(event, webhook, now);
                // A silence that began before there was the webhook is old news; a key that expires soon is not.
                let is_old = kind == WebhookEvent::NodeSilent && event.at < webhook.created_at;
                if !is_old && !heard.has(&delivery, told) {
                    new.push((delivery, Some(told.clone())));
                }
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let noted = new.iter().filter_map(|(delivery, told)| {
            let Told { subject, mark } = told.clone()?;
            Some((kind, delivery.webhook_id.clone(), subject, mark))
        });
        let noted = noted.collect();
        self.metrics.gave_up(self.store.put_deliveries(kind, new, now).await?);
        heard.note(noted);
        Ok(())
    }
}

/// Of how many days before its expiry a key is told at `now`: the fewest that have begun since it was made; `None` if it is too
/// early, or too late.
fn due_days(expires_at: Timestamp, created_at: Timestamp, now: Timestamp) -> Option<i64> {
    let begun = |days: &i64| {
        let mark = expires_at.plus_micros(-days * DAY);
        created_at < mark && mark <= now
    };
    if expires_at <= now { None } else { DAYS.into_iter().filter(begun).min() }
}

/// The nodes that have a session and were not heard lately, each by the incarnation that was heard last, with the server that it
/// was connected to.
fn silent(nodes: &[FleetNode], now: Timestamp) -> Vec<(&FleetNode, &str, Timestamp)> {
    let last_seen = |node: &FleetNode| node.status.as_ref().map(|status| status.last_seen);
    let mut found: Vec<&FleetNode> = Vec::new();
    for node in nodes.iter().filter(|node| node.status.is_some()) {
        match found.iter_mut().find(|other| other.registration.node_id == node.registration.node_id) {
            Some(other) if last_seen(other) <= last_seen(node) => *other = node,
            Some(_) => {}
            None => found.push(node),
        }
    }
    let is_silent = |at: Timestamp| (earlier(now, LONG_SILENT)..earlier(now, SILENT)).contains(&at);
    let silent = found.into_iter().filter_map(|node| {
        let status = node.status.as_ref().filter(|status| status.has_session && is_silent(status.last_seen))?;
        Some((node, status.replica.as_ref(), status.last_seen))
    });
    silent.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{NodeStatus, Registration};

    fn at(days: f64) -> Timestamp {
        Timestamp::from_micros((days * DAY as f64) as i64)
    }

    #[test]
    fn a_key_is_told_of_seven_days_and_one_day_before_it_expires() {
        let expires = at(100.0);
        for (created, now, expected) in [
            (0.0, 92.9, None),
            (0.0, 93.0, Some(7)),
            (0.0, 98.9, Some(7)),
            (0.0, 99.0, Some(1)),
            (0.0, 99.9, Some(1)),
            (0.0, 100.0, None),
            (95.0, 95.1, None),
            (95.0, 99.5, Some(1)),
            (99.5, 99.6, None),
        ] {
            assert_eq!(due_days(expires, at(created), at(now)), expected, "made on day {created}, on day {now}");
        }
    }

    fn node(node_id: &str, incarnation: i64, seen: Option<(i64, bool)>) -> FleetNode {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let registration = Registration {
            node_id: node_id.to_owned(),
            version: String::new(),
            metadata: String::new(),
            registered_by: String::new(),
            at: at(0),
        };
        let status = seen.map(|(seconds, has_session)| NodeStatus {
            incarnation,
            replica: "here".into(),
            version: "".into(),
            features: Vec::new(),
            kinds: Vec::new(),
            has_session,
            connected_at: at(0),
            last_seen: at(seconds),
            applied_revision: 0,
            max_staleness: None,
            outbox_batches: 0,
            outbox_age: None,
            open_admissions: 0,
            last_error: "".into(),
            credit_refused: 0,
        });
        FleetNode { incarnation, registration, status }
    }

    #[test]
    fn a_node_is_silent_if_its_last_incarnation_is() {
        let now = 200_000;
        let nodes = [
            node("never", 1, None),
            node("restarted", 2, Some((now - 100, true))),
            node("restarted", 3, Some((now - 1, true))),
            node("silent", 4, Some((now - 200, true))),
            node("silent", 5, Some((now - 16, true))),
            node("ended", 6, Some((now - 100, false))),
            node("heard", 7, Some((now - 15, true))),
            node("gone for days", 8, Some((now - 100_000, true))),
        ];
        let found = silent(&nodes, Timestamp::from_micros(now * 1_000_000));
        assert_eq!(found.iter().map(|(node, ..)| node.incarnation).collect::<Vec<_>>(), [5]);
    }
}
