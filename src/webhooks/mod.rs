//! Alerts: events become deliveries in the outbox of the store, and deliveries are sent until they are through
//! (`docs/webhooks.md`).
//!
//! | file | what |
//! |---|---|
//! | `event` | what is told, and to whom |
//! | `notice` | what happened: thresholds, keys, nodes |
//! | `outage` | that nothing can be written, told from memory |
//! | `keeper` | the task that notices and sends |
//! | `client`, `address`, `sign` | one attempt |
//! | `metrics` | counters |

mod address;
mod client;
mod event;
mod keeper;
mod metrics;
mod notice;
mod outage;
mod sign;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use client::Client;
use event::Event;
use metrics::WebhookMetrics;
pub use sign::new_secret;
use sign::signature;

use crate::domain::{Stored, Timestamp, Webhook};
use crate::ledger::Ledger;
use crate::store::{Delivery, DeliveryState, Store, StoreError};

/// How long a delivery is tried; then it is given up.
const LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Before the second attempt; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Notices events, and sends them. Cloning is cheap.
#[derive(Clone)]
pub struct Webhooks {
    ledger: Ledger,
    /// For the outbox, which is no configuration.
    store: Arc<Store>,
    client: Client,
    replica: Arc<str>,
    metrics: WebhookMetrics,
}

impl Webhooks {
    /// On `ledger`, which is on `store`, for the server that is called `replica`. Private addresses and `http` are refused unless they are allowed.
    pub fn new(ledger: Ledger, store: Arc<Store>, replica: Arc<str>, allow_private: bool) -> Self {
        Self { ledger, store, client: Client::new(allow_private), replica, metrics: WebhookMetrics::default() }
    }

    /// Why nothing could be sent to a URL, as far as the URL alone tells: a name may still mean a private address.
    pub fn refuses(&self, url: &str) -> Option<String> {
        const REMEDY: &str = "or start the server with --allow-private-webhooks";
        if self.client.allows_private() {
            return None;
        }
        if url.starts_with("http://") {
            return Some(format!("is not encrypted; use https, {REMEDY}"));
        }
        let url: http::Uri = url.parse().ok()?;
        let host = url.host().filter(|host| address::is_private_name(host))?;
        Some(format!("leads to {host}, which is private; name a host of the internet, {REMEDY}"))
    }

    /// Adds what deliveries tell of themselves.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// Notices and sends, until `stop`. What is on its way then is sent again by whoever goes on.
    pub async fn run(self, stop: CancellationToken) {
        keeper::Keeper::new(self).run(stop).await;
    }

    /// Puts a test event for `webhook` into the outbox.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub async fn test(&self, webhook: &Stored<Webhook>) -> Result<Delivery, StoreError> {
        let now = self.ledger.now();
        let delivery = delivery(&Event::test(webhook, now), webhook, now);
        let new = vec![(delivery.clone(), None)];
        self.metrics.gave_up(self.store.put_deliveries(delivery.event, new, now).await?);
        Ok(delivery)
    }

    /// Tries to deliver once; what became of the delivery.
    async fn attempt(self, webhook: Arc<Stored<Webhook>>, mut delivery: Delivery) -> Delivery {
        let sent = self.send(&webhook.resource, &delivery).await;
        let now = self.ledger.now();
        delivery.attempts = delivery.attempts.saturating_add(1);
        let (status, fault) = match sent {
            Ok(status @ 200..300) => (status, None),
            Ok(status) => (status, Some(refusal(status))),
            Err(fault) => (0, Some(fault)),
        };
        delivery.last_status = i32::from(status);
        self.metrics.attempted(fault.is_none());
        let Some(fault) = fault else {
            (delivery.state, delivery.last_error, delivery.finished_at) =
                (DeliveryState::Delivered, "".into(), Some(now));
            return delivery;
        };
        let next = later(now, pause(delivery.attempts, rand::rng().random_range(0.8..1.2)));
        let ends = later(delivery.created_at, LIFE);
        if status == 410 || next > ends {
            (delivery.state, delivery.finished_at) = (DeliveryState::Failed, Some(now));
            self.metrics.gave_up(1);
            tracing::warn!(
                webhook.id = %webhook.id,
                webhook.name = %webhook.resource.name,
                delivery.id = %delivery.id,
                attempts = delivery.attempts,
                error = fault,
                "an event was not delivered to a webhook and is given up"
            );
        }
        delivery.next_attempt_at = next;
        delivery.last_error = fault.into();
        delivery
    }

    async fn send(&self, webhook: &Webhook, delivery: &Delivery) -> Result<u16, String> {
        let Some(secret) = &webhook.secret else {
            return Err("the webhook has no secret, since it was imported: give it one with UpdateWebhook".to_owned());
        };
        let (seconds, _) = self.ledger.now().parts();
        let headers = [
            ("webhook-id", delivery.id.to_string()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature(secret, &delivery.id, seconds, &delivery.body)),
        ];
        self.client.post(&webhook.url, &headers, &delivery.body).await
    }
}

/// A new delivery of `event` to `webhook`.
fn delivery(event: &Event, webhook: &Stored<Webhook>, now: Timestamp) -> Delivery {
    let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid().to_string();
    let body = event.body(webhook.resource.format);
    Delivery::new(id.into(), webhook.id.as_str(), event.kind, body, now)
}

fn refusal(status: u16) -> String {
    match status {
        300..400 => format!("it answered {status}; redirects are not followed: give the URL that they lead to"),
        410 => "it answered 410 Gone: it does not want this".to_owned(),
        _ => format!("it answered {status}"),
    }
}

/// How long to wait after so many attempts.
fn pause(attempts: i32, jitter: f64) -> Duration {
    let doublings = attempts.clamp(1, 20).unsigned_abs() - 1;
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE).mul_f64(jitter)
}

fn later(time: Timestamp, duration: Duration) -> Timestamp {
    time.plus_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

fn earlier(time: Timestamp, duration: Duration) -> Timestamp {
    time.plus_micros(-i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour_and_a_day_has_few_attempts() {
        let pauses: Vec<u64> = (1..=13).map(|attempts| pause(attempts, 1.0).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600]);
        assert_eq!(pause(i32::MAX, 1.0), LONGEST_PAUSE);
        let (mut age, mut attempts) = (Duration::ZERO, 0);
        while age <= LIFE {
            attempts += 1;
            age += pause(attempts, 0.8);
        }
        assert!(attempts < 50, "{attempts}");
    }
}
