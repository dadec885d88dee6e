//! The task that owns the write path.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::group::{Decided, Gathering, request_key};
use super::metrics::{LedgerMetrics, Purpose};
use super::usage::{Acknowledgement, Batch, Counting, Reported, note};
use super::{Answer, Call, Clock, Command, Moves};
use crate::domain::{Error, Timestamp};
use crate::state::{CounterKey, Head, Moved, State};
use crate::store::{Group, Registration, Store, StoreError};
use crate::usage::is_over;

/// Commands in one group at most.
const GROUP: usize = 256;
/// How long to wait between tries to find out whether a commit happened.
const RESOLVE_INTERVAL: Duration = Duration::from_millis(250);

/// What the task is asked.
pub(super) enum Request {
    /// To decide and write a command.
    Command { call: Call, command: Command, reply: oneshot::Sender<Result<Answer, Error>> },
    /// To register a node.
    Register { registration: Registration, reply: oneshot::Sender<Result<i64, StoreError>> },
    /// To count a batch of usage.
    Usage { batch: Batch, reply: oneshot::Sender<Result<Acknowledgement, Error>> },
    /// To move the point from which watchers can resume.
    Compact { revision: i64, reply: oneshot::Sender<Result<(), StoreError>> },
    /// To forget windows and deleted keys that nothing counts against any more.
    ForgetUsage { counters: Vec<CounterKey>, former_before: Timestamp, reply: oneshot::Sender<Result<(), StoreError>> },
}

/// A command, and where its answer goes.
type Submitted = (Call, Command, oneshot::Sender<Result<Answer, Error>>);

pub(super) struct Writer {
    store: Arc<Store>,
    publish: watch::Sender<Arc<State>>,
    moves: Moves,
    clock: Clock,
    /// Whether memory may differ from the tables: the database refused what memory allowed.
    doubtful: bool,
    counting: Counting,
    metrics: LedgerMetrics,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        publish: watch::Sender<Arc<State>>,
        moves: Moves,
        counting: Counting,
        clock: Clock,
        metrics: LedgerMetrics,
    ) -> Self {
        Self { store, publish, moves, clock, doubtful: false, counting, metrics }
    }

    /// Runs until `stop` and an empty queue. What was submitted before is still decided and written.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Request>, stop: CancellationToken) {
        let mut requests = Vec::with_capacity(GROUP);
        loop {
            let folds_at = self.counting.folds_at();
            if folds_at.is_some_and(|at| at <= Instant::now()) {
                // One part between two groups: neither waits for all of the other.
                let state = Arc::clone(&self.publish.borrow());
                self.counting.fold(&self.store, &state).await;
            }
            let folds_at = self.counting.folds_at();
            let received = tokio::select! {
                biased;
                received = queue.recv_many(&mut requests, GROUP) => received,
                () = stop.cancelled() => {
                    queue.close();
                    queue.recv_many(&mut requests, GROUP).await
                }
                () = sleep_until(folds_at) => continue,
            };
            if received == 0 {
                return;
            }
            self.take(std::mem::take(&mut requests)).await;
        }
    }

    async fn take(&mut self, requests: Vec<Request>) {
        let mut commands = Vec::with_capacity(requests.len());
        let mut batches = Vec::new();
        for request in requests {
            match request {
                Request::Command { call, command, reply } => commands.push((call, command, reply)),
                Request::Register { registration, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.counting.register(&self.store, registration).await);
                }
                Request::Usage { batch, reply } => batches.push((batch, reply)),
                Request::Compact { revision, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.compact(revision).await);
                }
                Request::ForgetUsage { counters, former_before, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.forget_usage(counters, former_before).await);
                }
            }
        }
        if !commands.is_empty() {
            self.write(commands).await;
        }
        if !batches.is_empty() {
            self.count(batches).await;
        }
    }

    async fn count(&mut self, batches: Vec<Reported>) {
        if self.doubtful
            && let Err(error) = self.rebuild().await
        {
            fail(batches.into_iter().map(|(_, reply)| reply), &error);
            return;
        }
        let Self { store, publish, moves, clock, counting, doubtful, metrics } = self;
        let state = State::clone(&publish.borrow());
        let show = |state, moved: &Moved| {
            quietly(publish, state);
            note(moves, moved);
        };
        *doubtful = !counting.count(store, state, clock.now(), batches, metrics, show).await;
    }

    async fn write(&mut self, commands: Vec<Submitted>) {
        if self.doubtful
            && let Err(error) = self.rebuild().await
        {
            fail(commands.into_iter().map(|(_, _, reply)| reply), &error);
            return;
        }
        let now = self.clock.now();
        let keys: Vec<_> = commands
            .iter()
            .filter(|(call, _, _)| !call.request_id.is_empty())
            .map(|(call, _, _)| request_key(call))
            .collect();
        let keys: Vec<_> =
            keys.iter().map(|(caller, method, id)| (caller.as_str(), method.as_str(), id.as_str())).collect();
        let remembered = if keys.is_empty() { Ok(Vec::new()) } else { self.store.find_requests(&keys, now).await };
        let remembered = match remembered {
            Ok(remembered) => remembered,
            Err(error) => {
                fail(commands.into_iter().map(|(_, _, reply)| reply), &error);
                return;
            }
        };

        let state = State::clone(&self.publish.borrow());
        let mut gathering = Gathering::new(state, remembered, now);
        let decided: Vec<Decided> = commands
            .into_iter()
            .map(|(call, command, reply)| {
                let answer = gathering.decide(&call, &command);
                Decided { reply, answer }
            })
            .collect();

        if let Some((group, state)) = gathering.close() {
            if let Err(error) = self.commit(&group).await {
                fail(decided.into_iter().map(|decided| decided.reply), &error);
                return;
            }
            self.counting.remember(group.former_keys);
            self.publish.send_replace(Arc::new(state));
            note(&self.moves, &group.usage.moved);
            self.counting.note(&group.usage.moved);
        }
        for Decided { reply, answer } in decided {
            // A caller that is gone has nothing to hear.
            let _ = reply.send(answer);
        }
    }

    async fn commit(&mut self, group: &Group) -> Result<(), StoreError> {
        let started = Instant::now();
        match self.store.commit(group).await {
            Ok(()) => {
                self.metrics.committed(Purpose::Changes, group.txns.len(), started.elapsed());
                Ok(())
            }
            Err(error @ StoreError::Unknown { .. }) => {
                tracing::warn!(error = %error.report(), "a commit has an unknown outcome; reading the head back");
                if self.resolve(&group.head).await? { Ok(()) } else { Err(error) }
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::Fenced)) => {
                tracing::error!(error = %error.report(), "the database refused what memory allowed; memory is rebuilt");
                self.doubtful = true;
                Err(error)
            }
            Err(error) => {
                tracing::warn!(error = %error.report(), "a commit failed");
                Err(error)
            }
        }
    }

    /// Whether the group that leads to `head` was committed: asks the store until it answers.
    async fn resolve(&self, head: &Head) -> Result<bool, StoreError> {
        loop {
            match self.store.read_head().await {
                Ok(stored) => return Ok(stored.revision == head.revision && stored.chain == head.chain),
                Err(error) => {
                    tracing::warn!(error = %error.report(), "the head cannot be read; trying again");
                    tokio::time::sleep(RESOLVE_INTERVAL).await;
                }
            }
        }
    }

    async fn rebuild(&mut self) -> Result<(), StoreError> {
        let (state, counting) = super::load(&self.store).await?;
        self.counting = counting;
        self.publish.send_replace(Arc::new(state));
        self.moves.send_modify(|moves| moves.anything = true);
        self.doubtful = false;
        Ok(())
    }

    async fn forget_usage(&mut self, counters: Vec<CounterKey>, former_before: Timestamp) -> Result<(), StoreError> {
        let mut state = State::clone(&self.publish.borrow());
        // Looked at again: a limit may have got other windows since the list was made.
        let now = self.clock.now();
        let counters: Vec<CounterKey> = counters.into_iter().filter(|key| is_over(&state, key, now)).collect();
        self.store.forget_usage(&counters, former_before).await?;
        self.counting.forget(former_before);
        state.usage_mut().forget(&counters);
        quietly(&self.publish, Arc::new(state));
        Ok(())
    }

    async fn compact(&mut self, revision: i64) -> Result<(), StoreError> {
        let mut state = State::clone(&self.publish.borrow());
        if revision <= state.head().compacted_revision || revision > state.revision() {
            return Ok(());
        }
        let compacted_chain = self.store.chain_at(revision).await?;
        let Some(compacted_chain) = compacted_chain else { return Ok(()) };
        let head = Head { compacted_revision: revision, compacted_chain, ..state.head().clone() };
        self.store.compact(&head).await?;
        state.compact(head);
        self.publish.send_replace(Arc::new(state));
        Ok(())
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Publishes a state without waking anybody: readers find it when they look. Usage is no change of configuration.
fn quietly(publish: &watch::Sender<Arc<State>>, state: Arc<State>) {
    publish.send_if_modified(|published| {
        *published = state;
        false
    });
}

fn fail<T>(replies: impl Iterator<Item = oneshot::Sender<Result<T, Error>>>, error: &StoreError) {
    let error = error.to_domain();
    for reply in replies {
        // A caller that is gone has nothing to hear.
        let _ = reply.send(Err(error.clone()));
    }
}
