//! Metrics of a node, read at each scrape from the node itself (`docs/metrics.md`).

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::status::StatusOf;
use crate::envoy::Ended;
use crate::node::Node;
use crate::proto::node::v1;

const PREFIX: &str = "tollgate_node";

/// Writes all metrics as text.
pub(super) type Scrape = Arc<dyn Fn() -> Result<String, fmt::Error> + Send + Sync>;

pub(super) fn scrape(node: &Arc<Node>, ended: Arc<Ended>) -> Scrape {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register("build", "Which version runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(OfNode(StatusOf(Arc::clone(node)), ended)));
    Arc::new(move || {
        let mut text = String::new();
        encode(&mut text, &registry).map(|()| text)
    })
}

struct OfNode(StatusOf, Arc<Ended>);

impl fmt::Debug for OfNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfNode")
    }
}

impl Collector for OfNode {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let status = self.0.get();
        let is_ready = status.state() == v1::NodeState::Ready;
        let v1::RequestCounts {
            admitted,
            refused,
            settled,
            abandoned,
            expired,
            unpriced,
            uncovered,
            joined_dimensions,
        } = status.requests.unwrap_or_default();
        let credit = status.credit.unwrap_or_default();
        let stale = status.stale_for.map_or(0, |time| time.seconds);
        for (name, help, value) in [
            ("ready", "1 if the copy of the configuration follows the control plane", i64::from(is_ready)),
            ("admits", "1 if requests are admitted at all", i64::from(status.admits)),
            ("stale_seconds", "For how long the copy has not followed the control plane", stale),
            ("revision", "Store revision of the copy", status.revision),
            ("in_flight", "Requests that were admitted and have not ended", status.in_flight),
            ("unreported_entries", "Usage that the control plane has not acknowledged", status.unreported_entries),
            ("credit_session", "1 if there is a session by which credit is asked for", i64::from(credit.session > 0)),
            ("credit_held_nano_usd", "Nano-dollars that are held of hard budgets", credit.held_nano_usd),
            ("credit_held_tokens", "LLM tokens that are held of hard rate limits", credit.held_tokens),
            ("credit_held_requests", "Requests that are held of hard rate limits", credit.held_requests),
            (
                "credit_held_slots",
                "Slots that are held of hard limits on requests that are open at once",
                credit.held_slots,
            ),
            ("credit_waiting", "Requests that wait for credit", credit.waiting),
        ] {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(gauge)?;
        }
        for (name, help, label, values) in [
            ("requests", "Requests, by the decision", "outcome", vec![("admitted", admitted), ("refused", refused)]),
            (
                "ended",
                "Admissions that ended, by how: settled, abandoned, or charged at the estimate since time was up",
                "how",
                vec![("settled", settled), ("abandoned", abandoned), ("expired", expired)],
            ),
            (
                "metered",
                "Admissions for Envoy that ended, by where their usage came from: reported by the provider, estimated, or none",
                "usage",
                self.1.counts().into(),
            ),
        ] {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (value, count) in values {
                let labels = [(label, value)];
                let counter = family.encode_family(&labels)?;
                ConstCounter::new(u64::try_from(count).unwrap_or_default()).encode(counter)?;
            }
        }
        for (name, help, count) in [
            ("unpriced", "Settled requests that cost nothing, since nobody knows the price of their model", unpriced),
            (
                "uncovered",
                "Settled requests on a provider, model or provider key that they were not admitted for",
                uncovered,
            ),
            (
                "joined_dimensions",
                "Ended requests that are reported with the dimensions of spend `other`, since there are too many combinations",
                joined_dimensions,
            ),
            ("credit_wants", "Times that credit was asked for", credit.wants),
            ("credit_recalls", "Times that a server asked for credit back", credit.recalls),
            ("credit_refused", "Requests that were refused for want of credit", credit.refused),
        ] {
            let counter = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(u64::try_from(count).unwrap_or_default()).encode(counter)?;
        }
        Ok(())
    }
}
