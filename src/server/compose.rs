//! The parts of a server, put together: store, ledger and services. [`run`](super::run) calls it once.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::{ServerError, base_routes};
use crate::api::{Api, add_services};
use crate::config::{DatabaseSettings, RetentionSettings, WatchSettings};
use crate::ledger::{Clock, Ledger, LedgerTasks};
use crate::store::{DatabaseUrl, Store};
use crate::watch::{CatchUp, Watch};

/// The name in the health service that says whether writes get through. Reads and streams go on without the database, so
/// that the server as a whole serves.
const WRITES: &str = "tollgate.v1.writes";

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
    let follower = ledger.clone();
    let catch_up: CatchUp = Arc::new(move || {
        let ledger = follower.clone();
        Box::pin(async move { ledger.catch_up().await })
    });
    let now = Arc::new(move || clock.now());
    let watch = Watch::new(ledger.states(), ledger.moves(), now, catch_up, watch, drain.clone());
    tasks.own(watch.run());
    let (mut routes, health) = base_routes()?;
    tasks.own(tell_writes(ledger.writable(), health.clone(), drain));
    let api = Api::new(ledger, watch);
    add_services(&mut routes, &health, &api).await;
    Ok(Parts { routes: routes.routes(), health, store, tasks })
}

/// Says by the health of [`WRITES`] whether writes get through, until the server stops.
async fn tell_writes(mut writable: watch::Receiver<bool>, health: HealthReporter, drain: CancellationToken) {
    loop {
        let status = match *writable.borrow_and_update() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        health.set_service_status(WRITES, status).await;
        tokio::select! {
            changed = writable.changed() => if changed.is_err() { return },
            () = drain.cancelled() => return,
        }
    }
}
