//! Metrics: what is counted in the transport, and the listener from which all metrics are read (`docs/metrics.md`).
//!
//! Each layer counts its own and registers it; nothing is global, so that two servers in one process count apart.
//! Labels are from closed sets; node ids, which are not, are bounded in number.

mod calls;
mod http;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub(super) use self::calls::{CallMeter, CallMetrics};
pub(super) use self::http::listen;

/// What every metric's name begins with.
const PREFIX: &str = "tollgate";

/// Connections, counted as they come and go. Clones count together.
#[derive(Clone, Default)]
pub(super) struct ConnectionMetrics {
    open: Gauge,
    failed_handshakes: Counter,
}

/// The protocols of requests that did not come as gRPC; `none` is no call.
const PROTOCOLS: [&str; 4] = ["connect", "grpc_web", "rest", "none"];

/// Requests that did not come as gRPC, counted by what they came as. Clones count together.
#[derive(Clone)]
pub(super) struct RequestMetrics(Family<[(&'static str, &'static str); 1], Counter>);

impl RequestMetrics {
    /// Nothing was counted yet.
    pub(super) fn new() -> Self {
        let counts = Family::<_, Counter>::default();
        for protocol in PROTOCOLS {
            drop(counts.get_or_create(&[("protocol", protocol)]));
        }
        Self(counts)
    }

    /// Counts one of [`PROTOCOLS`].
    pub(super) fn count(&self, protocol: &'static str) {
        self.0.get_or_create(&[("protocol", protocol)]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let text = "Requests that did not come as gRPC, by protocol; those that become calls count in tollgate_rpc too";
        registry.register("http_requests", text, self.0.clone());
    }
}

/// A connection that is open.
pub(super) struct OpenConnection(Gauge);

impl ConnectionMetrics {
    pub(super) fn open(&self) -> OpenConnection {
        self.open.inc();
        OpenConnection(self.open.clone())
    }

    pub(super) fn handshake_failed(&self) {
        self.failed_handshakes.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let Self { open, failed_handshakes } = self.clone();
        registry.register("connections", "Connections that are open", open);
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed: clients that speak no TLS, or are not let in",
            failed_handshakes,
        );
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A registry with what is true of the whole process.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register("build", "Which version runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry
}
