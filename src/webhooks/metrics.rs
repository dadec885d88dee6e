//! Metrics of deliveries (`docs/metrics.md`).

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::Timestamp;
use crate::store::OutboxStanding;

/// Counted as it happens. Clones count together.
#[derive(Clone, Default)]
pub(super) struct WebhookMetrics {
    attempts: Family<[(&'static str, &'static str); 1], Counter>,
    given_up: Counter,
    waiting: Gauge,
    oldest: Gauge<f64, AtomicU64>,
}

impl WebhookMetrics {
    /// An attempt that was made.
    pub(super) fn attempted(&self, delivered: bool) {
        let outcome = if delivered { "delivered" } else { "failed" };
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Deliveries that were given up.
    pub(super) fn gave_up(&self, deliveries: u64) {
        self.given_up.inc_by(deliveries);
    }

    /// How the outbox stands.
    pub(super) fn stands(&self, standing: OutboxStanding, now: Timestamp) {
        self.waiting.set(i64::try_from(standing.waiting).unwrap_or(i64::MAX));
        let age = standing.oldest.map_or(0, |oldest| now.as_micros().saturating_sub(oldest.as_micros()).max(0));
        self.oldest.set(age as f64 / 1e6);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { attempts, given_up, waiting, oldest } = self.clone();
        // Both are there from the start, so that a first failure is seen to rise.
        for outcome in ["delivered", "failed"] {
            attempts.get_or_create(&[("outcome", outcome)]).inc_by(0);
        }
        registry.register("webhook_attempts", "Attempts to deliver events to webhooks, by outcome", attempts);
        registry.register("webhook_given_up", "Deliveries to webhooks that were given up", given_up);
        registry.register("webhook_waiting", "Deliveries that wait to reach their webhooks", waiting);
        let help = "Age of the oldest delivery that waits to reach its webhook";
        registry.register_with_unit("webhook_oldest", help, Unit::Seconds, oldest);
    }
}
