//! The parts of a server, put together: store, ledger and services. [`run`](super::run) calls it once.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use super::{ServerError, base_routes};
use crate::api::{Api, add_services};
use crate::config::{DatabaseSettings, RetentionSettings, WatchSettings};
use crate::ledger::{Clock, Ledger, LedgerTasks};
use crate::store::{DatabaseUrl, Store};
use crate::watch::Watch;

/// What serves calls, and what is to be ended after the last of them.
pub(super) struct Parts {
    pub(super) routes: Routes,
    pub(super) health: HealthReporter,
    store: Arc<Store>,
    tasks: LedgerTasks,
}

impl Parts {
    /// Finishes the writes that were submitted, and closes the database.
    pub(super) async fn close(self) {
        self.tasks.finish().await;
        self.store.close().await;
    }
}

/// Opens the store and makes the services on it. Streams send a GoAway and end when `drain` is cancelled.
pub(super) async fn compose(
    database: &DatabaseSettings,
    watch: WatchSettings,
    retention: RetentionSettings,
    clock: Clock,
    drain: CancellationToken,
) -> Result<Parts, ServerError> {
    let store = Arc::new(Store::open(&DatabaseUrl::parse(&database.url)?, database.connections).await?);
    let (ledger, tasks) = Ledger::start(Arc::clone(&store), retention, clock.clone()).await?;
    let watch = Watch::new(ledger.states(), ledger.moves(), Arc::new(move || clock.now()), watch, drain);
    tasks.own(watch.run());
    let api = Api::new(ledger, watch);
    let (mut routes, health) = base_routes()?;
    add_services(&mut routes, &health, &api).await;
    Ok(Parts { routes: routes.routes(), health, store, tasks })
}
