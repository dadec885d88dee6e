//! The write path: the only way to change anything (`docs/design/watch.md §6`).
//!
//! One task owns it. It takes the commands that queued up while the group before was being committed, decides them in
//! order on a working copy of the state, writes what they change in one transaction, publishes the working copy, and
//! answers. Whoever reads sees only what is committed; whoever got an answer finds it in every later read.
//!
//! `api` submits commands; `watch` and `api` read the published states.

mod batch;
mod clock;
mod command;
mod credit;
mod fault;
mod fleet;
mod fold;
mod follow;
mod furnish;
mod group;
mod health;
mod import;
#[cfg(test)]
mod large;
mod metrics;
mod offline;
mod presence;
mod queue;
mod retention;
mod spend;
mod usage;
mod verify;
mod writer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, oneshot, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use batch::Reported;
pub use batch::{Ack, Acknowledgement, Batch};
pub use clock::{Clock, Reading};
pub use command::{Answer, Call, Command};
use credit::{CreditMetrics, Crediting};
pub use credit::{Directives, Freed, Outbox, outbox};
pub(crate) use fault::{Failing, Turn};
pub use fleet::Fleet;
use group::CommitBatchBuilder;
use health::Health;
pub use health::{Contact, Over, Status, proven};
pub use import::{Import, ImportError};
use metrics::LedgerMetrics;
pub use offline::submit_offline;
pub use presence::Presence;
use queue::{Request, Sender, queue};
use usage::Counting;
pub use usage::Moves;
pub use verify::{Rendered, Tables, Verification, verify, verify_with_tables};
use writer::Writer;

use crate::counters::CounterKey;
use crate::domain::{Error, ModelPrice, Timestamp};
use crate::settings::{CreditSettings, RetentionSettings, SpendSettings};
use crate::state::{State, UsageMoves};
use crate::store::{LoadedUsage, Reader, Registration, Store, StoreError};
use crate::usage::Prepared;

/// How often the clock is compared with the database's.
const REFER: Duration = Duration::from_secs(60);

/// Submits commands and gives the state. Cloning is cheap.
#[derive(Clone)]
pub struct Ledger {
    queue: Sender,
    states: watch::Receiver<Arc<State>>,
    moves: Moves,
    clock: Clock,
    store: Arc<Store>,
    metrics: LedgerMetrics,
    status: watch::Receiver<Status>,
    contact: Contact,
    fleet: Fleet,
    presence: Presence,
    credit_metrics: CreditMetrics,
}

/// Ends the ledger.
pub struct LedgerTasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    store: Arc<Store>,
    /// Ends the thread that writes, if there is one. Not before the store is closed: connections are given back by tasks of
    /// that thread.
    _closed: DropGuard,
}

impl LedgerTasks {
    /// Runs `task`, which ends by itself when the server stops, and waits for it with the others.
    pub fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Finishes what was submitted, closes the store, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.store.close().await;
    }
}

impl Ledger {
    /// Reads the store and starts the ledger on it, on the server that is called `replica`. A new store begins with the built-in providers and `prices` of their models.
    ///
    /// # Errors
    /// If the store cannot be read, or the built-in providers cannot be written at the first start; if spend cannot be kept as
    /// it is to be.
    pub async fn start(
        store: Arc<Store>,
        retention: RetentionSettings,
        spend: SpendSettings,
        credit: CreditSettings,
        replica: Arc<str>,
        clock: Clock,
        prices: Vec<ModelPrice>,
    ) -> Result<(Self, LedgerTasks), StoreError> {
        let (state, counting, _) = proven(|| load(&store)).await?;
        let clashes = state.clashing_names();
        if clashes.count > 0 {
            let first = clashes.first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(count = clashes.count, resources = %first, "resources share names with others; rename them");
        }
        if store.is_shared() {
            // Before anything is decided: what was told once is departed from only after a minute.
            clock.refer(store.time().await?);
        }
        spend::begin(&store, &spend, clock.now()).await?;
        let (publish, states) = watch::channel(Arc::new(state));
        let (sender, queue) = queue();
        let metrics = LedgerMetrics::default();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let moves = Moves::new(UsageMoves::default());
        let (tells, status) = watch::channel(Status::Ready);
        let contact = if store.is_shared() { Contact::shared() } else { Contact::exclusive() };
        let health = Health::new(contact.clone(), tells.clone());
        let credit_metrics = CreditMetrics::default();
        let counting = (counting, Crediting::new(credit, credit_metrics.clone()));
        let writer =
            Writer::new(Arc::clone(&store), publish, moves.clone(), counting, clock.clone(), health, metrics.clone());
        let hint = Arc::new(Notify::new());
        let closed = CancellationToken::new();
        // In a box, since it is moved several times before it runs, and large.
        let writing = Box::pin(writer.run(queue, Arc::clone(&hint), stop.clone()));
        let writing = AssertUnwindSafe(writing).catch_unwind();
        let writing = tracker.track_future(async move {
            // Without it nothing is written or followed any more, and nobody else would say so.
            if writing.await.is_err() {
                tells.send_replace(Status::Over(Over::Panicked));
            }
        });
        if store.is_shared() {
            // Answers of a server come by the threads that serve: another thread to wake for each would cost more.
            tokio::spawn(writing);
            tracker.spawn(stop.clone().run_until_cancelled_owned(Arc::clone(&store).listen(move || hint.notify_one())));
            tracker.spawn(stop.clone().run_until_cancelled_owned(Arc::clone(&store).keep_connected()));
            tracker.spawn(stop.clone().run_until_cancelled_owned(Arc::clone(&store).keep_reach()));
            tracker.spawn(stop.clone().run_until_cancelled_owned(refer(Arc::clone(&store), clock.clone())));
        } else {
            spawn_on_own_thread(writing, closed.clone()).await?;
        }
        let _closed = closed.drop_guard();
        let fleet = Fleet::new(Arc::clone(&replica));
        tracker.spawn(fleet.clone().run(Arc::clone(&store), stop.clone()));
        let presence = Presence::new(replica, states.clone(), status.clone(), clock.clone());
        if store.is_shared() {
            tracker.spawn(presence.clone().run(Arc::clone(&store), stop.clone()));
        }
        let ledger = Self {
            queue: sender,
            states,
            moves,
            clock,
            store: Arc::clone(&store),
            status,
            contact,
            metrics,
            fleet,
            presence,
            credit_metrics,
        };
        ledger.furnish(prices).await?;
        ledger.adopt_tokens().await?;
        tracker.spawn(retention::run(ledger.clone(), retention, spend, stop.clone()));
        Ok((ledger, LedgerTasks { tracker, stop, store, _closed }))
    }

    /// The latest committed state.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    /// The latest committed state, now and whenever there is a later one.
    pub fn states(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// Where the ledger notes which counters moved, for those who follow usage.
    pub fn moves(&self) -> Moves {
        self.moves.clone()
    }

    /// The time by which things are decided.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store, for reads that are to come from the tables.
    pub fn reader(&self) -> &Reader {
        &self.store
    }

    /// Decides `command` and, once it is durable, answers.
    ///
    /// # Errors
    /// What the decision refused; `Overloaded` if too much is queued; `Unavailable` if it cannot be written now.
    pub async fn submit(&self, call: Call, command: Command) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.request(Request::Command((call, command, reply)))?;
        answer.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// The answer that `command` would get now. Nobody who writes waits for it, however much it decides.
    ///
    /// # Errors
    /// The refusal of the decision; `Unavailable` if the database does not answer.
    pub async fn rehearse(&self, call: Call, command: Command) -> Result<Answer, Error> {
        self.catch_up().await?;
        let (state, now) = (State::clone(&self.state()), self.now());
        let decide = move || CommitBatchBuilder::new(state, Vec::new(), now).decide(&call, &command);
        tokio::task::spawn_blocking(decide).await.map_err(|error| Error::Internal(error.to_string()))?
    }

    /// What nodes tell of themselves.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The servers of the database.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// How far the server can be used, now and whenever that changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// When the database last told where it stands.
    pub fn contact(&self) -> Contact {
        self.contact.clone()
    }

    /// Brings memory to where the store stood at the time of the call or later. Where nobody else writes, it is there.
    ///
    /// # Errors
    /// `Unavailable` if the database does not answer.
    pub async fn catch_up(&self) -> Result<(), Error> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let (reply, done) = oneshot::channel();
        self.queue.request(Request::CatchUp { reply })?;
        match done.await {
            Ok(caught_up) => caught_up.map_err(|error| error.to_domain()),
            Err(_) => Err(shutting_down()),
        }
    }

    /// Registers a node; returns its incarnation.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written now.
    pub async fn register_node(&self, registration: Registration) -> Result<i64, Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.request(Request::Register { registration, reply })?;
        match answer.await {
            Ok(registered) => registered.map_err(|error| error.to_domain()),
            Err(_) => Err(shutting_down()),
        }
    }

    /// Counts a batch of usage; the future is ready once that is durable. Batches are counted in the order of the calls.
    ///
    /// # Errors
    /// `Overloaded` if too much is queued; `Unavailable` if it cannot be written now. Nothing is counted then, or it will
    /// be answered as a duplicate.
    pub fn report_usage(&self, batch: Batch) -> impl Future<Output = Result<Acknowledgement, Error>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let (metrics, entries) = (self.metrics.clone(), batch.entries.len());
        let prepared = Prepared::of(&self.state(), &batch.entries, self.now());
        let queued = self.queue.report(Reported { batch, prepared, reply });
        async move {
            queued?;
            let answer = answer.await.unwrap_or_else(|_| Err(shutting_down()))?;
            metrics.answered(&answer.ack, entries);
            Ok(answer)
        }
    }

    /// Moves the point from which watchers can resume to `revision`.
    async fn compact(&self, revision: i64) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        if !self.queue.request_patiently(Request::Compact { revision, reply }).await {
            return Ok(());
        }
        done.await.unwrap_or(Ok(()))
    }

    /// Forgets windows that are of no use any more, and keys that were deleted before `former_before`.
    async fn forget_usage(&self, counters: Vec<CounterKey>, former_before: Timestamp) -> Result<(), StoreError> {
        let (reply, done) = oneshot::channel();
        if !self.queue.request_patiently(Request::ForgetUsage { counters, former_before, reply }).await {
            return Ok(());
        }
        done.await.unwrap_or(Ok(()))
    }
}

/// Takes the time of the database for the reference, now and then.
async fn refer(store: Arc<Store>, clock: Clock) {
    let mut interval = tokio::time::interval(REFER);
    loop {
        interval.tick().await;
        match store.time().await {
            Ok(time) => clock.refer(time),
            Err(error) => tracing::debug!(error = %error.report(), "the time of the database cannot be read"),
        }
    }
}

/// Runs what writes on a thread of its own, with a runtime of its own: among the tasks of a thousand streams, which a change
/// wakes, it would go on after each of its waits only when all of them have had their turn. The thread ends when it has
/// written and the store is `closed`.
async fn spawn_on_own_thread(
    writing: impl Future<Output = ()> + Send + 'static,
    closed: CancellationToken,
) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::Unavailable {
        what: "no thread can be started for the ledger",
        detail: error.to_string(),
    };
    let run = async move {
        writing.await;
        closed.cancelled().await;
    };
    let (tell, told) = oneshot::channel();
    // The runtime is made by the thread: if there is no thread, it would be dropped here, where it may not be.
    let thread = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _ = tell.send(Ok(()));
            runtime.block_on(run);
        }
        Err(error) => drop(tell.send(Err(error))),
    };
    std::thread::Builder::new().name("ledger".to_owned()).spawn(thread).map_err(failed)?;
    told.await.unwrap_or(Ok(())).map_err(failed)
}

/// Everything, as the store has it, and the versions that usage went through, with their marks.
async fn load(store: &Reader) -> Result<(State, Counting, Vec<(i64, i64)>), StoreError> {
    let started = std::time::Instant::now();
    let loaded = store.load().await?;
    let resources = loaded.resources.len();
    let mut state = State::restore(loaded.head, loaded.resources, loaded.chain_prefixes, loaded.removed);
    let LoadedUsage { counters, watermarks, former_keys, credit, unfolded, passed } = store.load_usage().await?;
    *state.usage_mut() = counters;
    credit.into_iter().for_each(|change| state.credit_mut().apply(change));
    tracing::info!(
        target: crate::telemetry::START,
        {
            store.id = %state.head().store_id,
            revision = state.revision(),
            chain = %state.head().chain,
            resources,
            duration_ms = started.elapsed().as_millis() as u64,
        },
        "store loaded"
    );
    Ok((state, Counting::new(watermarks, former_keys, unfolded), passed))
}

fn shutting_down() -> Error {
    Error::Unavailable { what: "the server is shutting down".to_owned(), retry_after: Duration::from_secs(1) }
}
