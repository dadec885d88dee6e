//! The parts of a server, put together: store, ledger and services. [`run`](super::run) calls it once.

use std::sync::Arc;

use prometheus_client::registry::Registry as Metrics;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::{ServerError, base_routes};
use crate::access::{Registry, Tokens};
use crate::api::{Api, Auth, add_services};
use crate::domain::Error;
use crate::ledger::{Clock, Ledger, LedgerTasks, Over, Status};
use crate::price_table;
use crate::seeded::{self, Bug};
use crate::settings::{
    AccessSettings, BootstrapToken, CreditSettings, DatabaseSettings, RetentionSettings, SpendSettings, WatchSettings,
    WebhookSettings,
};
use crate::store::{DatabaseUrl, Store, StoreError};
use crate::watch::{CatchUp, Currency, Watch};
use crate::webhooks::Webhooks;

/// The name in the health service that says whether writes get through. Reads and streams go on without the database, so
/// that the server as a whole serves.
const WRITES: &str = "tollgate.v1.writes";

/// What serves calls, and what is to be ended after the last of them.
pub(super) struct Parts {
    pub(super) routes: Routes,
    pub(super) health: HealthReporter,
    pub(super) auth: Auth,
    pub(super) currency: Currency,
    keeper: Keeper,
    ledger: Ledger,
    watch: Watch,
    webhooks: Webhooks,
    tasks: LedgerTasks,
}

impl Parts {
    /// Adds what the parts tell of themselves.
    pub(super) fn register_metrics(&self, metrics: &mut Metrics) {
        self.ledger.register_metrics(metrics);
        self.watch.register_metrics(metrics);
        self.webhooks.register_metrics(metrics);
    }

    /// Tells where the store stands, whenever it is asked.
    pub(super) fn head(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let ledger = self.ledger.clone();
        Arc::new(move || ledger.state().revision())
    }

    /// Resolves with the reason if the process has to end.
    pub(super) fn over(&self) -> impl Future<Output = Over> + use<> {
        let mut status = self.ledger.status();
        async move {
            loop {
                if let Status::Over(over) = &*status.borrow_and_update() {
                    return over.clone();
                }
                if status.changed().await.is_err() {
                    // The ledger ended as it was asked to.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Finishes the writes that were submitted, and closes the database.
    pub(super) async fn close(self) {
        let Self { routes: _, health: _, auth: _, currency: _, keeper, ledger: _, watch: _, webhooks: _, tasks } = self;
        keeper.stop.cancel();
        // It ends in any case; had it panicked, the log says so.
        let _ = keeper.task.await;
        tasks.finish().await;
    }
}

/// The task that keeps tokens up to date.
struct Keeper {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Settings of the ledger: how long what is kept, how credit is given, and the name of this server; and where webhooks may lead.
pub(super) struct Kept {
    pub(super) retention: RetentionSettings,
    pub(super) spend: SpendSettings,
    pub(super) credit: CreditSettings,
    pub(super) replica: Arc<str>,
    pub(super) webhooks: WebhookSettings,
}

/// Opens the store and makes the services on it. `certificates`: whether only clients with one get a connection. Streams
/// send a GoAway and end when `drain` is cancelled.
pub(super) async fn compose(
    database: &DatabaseSettings,
    watch: WatchSettings,
    kept: Kept,
    access: AccessSettings,
    certificates: bool,
    clock: Clock,
    drain: CancellationToken,
) -> Result<Parts, ServerError> {
    let store = match database.in_memory {
        true => Store::in_memory().await?,
        false => Store::open(&DatabaseUrl::parse(&database.url)?, database.connections).await?,
    };
    let store = Arc::new(store);
    let Kept { retention, spend, credit, replica, webhooks } = kept;
    let prices =
        if database.default_prices { price_table::default_prices().map_err(ServerError::Prices)? } else { Vec::new() };
    let (ledger, tasks) =
        Ledger::start(Arc::clone(&store), retention, spend, credit, Arc::clone(&replica), clock.clone(), prices)
            .await?;
    let registry = Arc::new(Registry::new(&access, certificates));
    let AccessSettings { insecure: _, bootstrap_token } = access;
    let tokens = Arc::new(Tokens::new(ledger.clone(), Arc::clone(&store), Arc::clone(&registry)));
    if let Some(BootstrapToken(value)) = bootstrap_token {
        let failed = |error: Error| StoreError::Unavailable {
            what: "the first access token cannot be written",
            detail: error.to_string(),
        };
        tokens.bootstrap(&value).await.map_err(failed)?;
    }
    let stop = CancellationToken::new();
    let task = tokio::spawn({
        let (tokens, stop) = (Arc::clone(&tokens), stop.clone());
        async move { tokens.keep(stop).await }
    });
    let follower = ledger.clone();
    let catch_up: CatchUp = Arc::new(move || {
        let ledger = follower.clone();
        Box::pin(async move { ledger.catch_up().await })
    });
    let auth = Auth::new(registry, clock.clone());
    let now = Arc::new(move || clock.now());
    let contact = ledger.contact();
    let currency = Currency::new(move || contact.age());
    let watch = Watch::new(ledger.states(), ledger.moves(), now, catch_up, currency.clone(), watch, drain.clone());
    tasks.own(watch.run());
    let webhooks = Webhooks::new(ledger.clone(), Arc::clone(&store), replica, webhooks.allow_private);
    tasks.own(webhooks.clone().run(drain.clone()));
    let api = Api::new(ledger.clone(), watch.clone(), tokens, webhooks.clone());
    let (mut routes, health) = base_routes()?;
    tasks.own(tell(ledger.status(), health.clone(), currency.clone(), drain));
    add_services(&mut routes, &health, &api).await;
    let keeper = Keeper { stop, task };
    Ok(Parts { routes: routes.routes(), health, auth, currency, keeper, ledger, watch, webhooks, tasks })
}

/// Says by health whether the server serves, and by that of [`WRITES`] whether writes get through; and lets nothing be served
/// while the replica is not current. Until the server stops.
async fn tell(
    mut status: watch::Receiver<Status>,
    health: HealthReporter,
    currency: Currency,
    drain: CancellationToken,
) {
    loop {
        let (serves, writes) = match *status.borrow_and_update() {
            Status::Ready => (true, true),
            Status::ReadOnly => (true, false),
            Status::NotCurrent | Status::Over(_) => (false, false),
        };
        currency.set(serves);
        let (serves, writes) = if seeded::is(Bug::HealthStaysServing) { (true, true) } else { (serves, writes) };
        for (service, serves) in [("", serves), (WRITES, writes)] {
            let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
            health.set_service_status(service, status).await;
        }
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return },
            () = drain.cancelled() => return,
        }
    }
}
