//! The task that owns the write path.

mod commands;
mod counting;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::credit::Crediting;
use super::health::{Health, Reading};
use super::metrics::LedgerMetrics;
use super::queue::{Queue, Request, Taken};
use super::usage::{Counting, note};
use super::{Clock, Moves, follow};
use crate::counters::CounterKey;
use crate::domain::{Error, Timestamp};
use crate::seeded::{self, Bug};
use crate::state::{Head, State};
use crate::store::{CatchUpDelta, Registration, RevisionRecord, Store, StoreError, WriteTx};
use crate::usage::is_over;

/// How often a database that is shared is asked what others wrote, and one that was away whether it is back. A hint may
/// come earlier; correctness rests on this alone.
const POLL: Duration = Duration::from_millis(250);
/// How long to go on asking a database that is there whether a commit happened, before its callers are told that it is not
/// known.
const RESOLVE: Duration = Duration::from_secs(5);
/// How often to begin again if the history turns out to be another one while it is being read.
const ATTEMPTS: usize = 3;

pub(super) struct Writer {
    store: Arc<Store>,
    publish: watch::Sender<Arc<State>>,
    moves: Moves,
    clock: Clock,
    health: Health,
    counting: Counting,
    crediting: Crediting,
    metrics: LedgerMetrics,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        publish: watch::Sender<Arc<State>>,
        moves: Moves,
        (counting, crediting): (Counting, Crediting),
        clock: Clock,
        health: Health,
        metrics: LedgerMetrics,
    ) -> Self {
        Self { store, publish, moves, clock, health, counting, crediting, metrics }
    }

    /// Runs until `stop` and an empty queue. What was submitted before is still decided and written.
    pub(super) async fn run(mut self, mut queue: Queue, hint: Arc<Notify>, stop: CancellationToken) {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if self.folds_now() {
                // One part between two groups: neither waits for all of the other.
                self.fold().await;
            }
            let next = [self.folds_at(), self.credit_at()].into_iter().flatten().min();
            let taken = tokio::select! {
                biased;
                taken = queue.take() => taken,
                _ = poll.tick() => {
                    self.poll().await;
                    continue;
                }
                () = hint.notified(), if self.health.is_writable() => {
                    self.poll().await;
                    continue;
                }
                () = stop.cancelled() => {
                    queue.close();
                    queue.take().await
                }
                () = sleep_until(next) => {
                    if self.credit_at().is_some_and(|at| at <= Instant::now()) {
                        self.count(Vec::new(), Vec::new()).await;
                    }
                    continue;
                }
            };
            if taken.is_empty() {
                return;
            }
            self.serve(taken, &mut queue).await;
        }
    }

    async fn serve(&mut self, Taken { requests, batches, credit }: Taken, queue: &mut Queue) {
        let mut commands = Vec::with_capacity(requests.len());
        for request in requests {
            match request {
                Request::Command(submitted) => commands.push(submitted),
                Request::Register { registration, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.register(registration).await);
                }
                Request::Compact { revision, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.compact(revision).await);
                }
                Request::CatchUp { reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.follow().await);
                }
                Request::ForgetUsage { counters, former_before, reply } => {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(self.forget_usage(counters, former_before).await);
                }
            }
        }
        if !commands.is_empty() {
            self.write(commands, queue).await;
        }
        if !batches.is_empty() || !credit.is_empty() || self.credit_follows() {
            while self.counting.folds_first() && self.fold().await {}
            self.count(batches, credit).await;
        }
    }

    /// Looks at what others wrote, and whether writes get through again.
    async fn poll(&mut self) {
        let before = self.publish.borrow().usage().version();
        // An error was noted where it came up; the next poll tries again.
        let _ = self.follow().await;
        if self.publish.borrow().usage().version() != before && self.crediting.waits() {
            // Credit may be free that others hold no more.
            self.count(Vec::new(), Vec::new()).await;
        }
        if self.health.is_to_be_probed() {
            // Only a write tells whether one can be made.
            match self.store.probe().await {
                Ok(()) => self.health.wrote(),
                Err(error) => self.health.not_written(&error),
            }
        }
    }

    /// Brings memory to where the store stands now.
    async fn follow(&mut self) -> Result<(), StoreError> {
        match self.health.reading() {
            Some(Reading::Log) if !self.store.is_shared() => Ok(()),
            Some(Reading::Log) => {
                let began = Instant::now();
                let known = follow::position(&self.publish.borrow());
                let news = self.store.news(&known).await;
                self.read(began, news).await
            }
            Some(Reading::Tables) => self.rebuild().await,
            None => Err(StoreError::NotCurrent),
        }
    }

    /// Takes over what the log says, as it was read from `began` on; without the log's help, what the tables say.
    async fn read(&mut self, began: Instant, news: Result<Option<CatchUpDelta>, StoreError>) -> Result<(), StoreError> {
        let applied = match news {
            Ok(Some(news)) if news.position == follow::position(&self.publish.borrow()) => Ok(()),
            Ok(Some(news)) => self.apply(news),
            Ok(None) => return self.rebuild().await,
            Err(error) => Err(error),
        };
        match applied {
            Ok(()) => {
                self.health.current(Reading::Log);
                Ok(())
            }
            Err(error) => Err(self.health.unread(Reading::Log, began, error)),
        }
    }

    async fn register(&mut self, registration: Registration) -> Result<i64, StoreError> {
        let registered = match self.health.usable() {
            Ok(()) => self.counting.register(&self.store, registration).await,
            Err(error) => Err(error),
        };
        match &registered {
            Ok(_) => self.health.wrote(),
            Err(error) => {
                self.health.not_written(error);
                self.health.refused(1);
            }
        }
        registered
    }

    /// Locks the store and brings memory to where it stands: until the transaction ends, memory *is* the store.
    async fn lock(&mut self) -> Result<WriteTx, StoreError> {
        self.health.usable()?;
        if self.health.reading() == Some(Reading::Tables) {
            self.rebuild().await?;
        }
        for _ in 0..ATTEMPTS {
            let tx = self.store.lock().await.inspect_err(|error| self.health.not_written(error))?;
            let known = follow::position(&self.publish.borrow());
            if tx.position().is_none_or(|position| *position == known) || seeded::is(Bug::SequenceInsteadOfCounter) {
                self.health.current(Reading::Log);
                return Ok(tx);
            }
            let began = Instant::now();
            match tx.news(&known).await {
                Ok(None) => {
                    tx.rollback().await;
                    self.rebuild().await?;
                }
                news => match self.read(began, news).await {
                    Ok(()) => return Ok(tx),
                    Err(error) => {
                        tx.rollback().await;
                        return Err(error);
                    }
                },
            }
        }
        Err(StoreError::Unavailable { what: "its history changes while it is being read", detail: String::new() })
    }

    /// Applies what others wrote, and shows it.
    fn apply(&mut self, news: CatchUpDelta) -> Result<(), StoreError> {
        let mut state = State::clone(&self.publish.borrow());
        let (revision, compacted) = (state.revision(), state.head().compacted_revision);
        if seeded::is(Bug::BookmarkOfAnotherReplica)
            && let Some(ahead) = follow::head_alone(&state, &news)
        {
            self.publish.send_replace(Arc::new(ahead));
            // Somebody looks at it.
            std::thread::sleep(Duration::from_millis(5));
        }
        self.counting.learn(&news);
        let credit = news.credit.clone();
        let batches: Vec<_> =
            news.watermarks.iter().map(|(incarnation, sequence, _)| (*incarnation, *sequence)).collect();
        let counters = state.usage().clone();
        let mut counted = counters.batches();
        let (moved, waiting) = follow::apply(&mut state, news)?;
        self.crediting.learn(state.credit(), &credit);
        match state.revision() > revision || state.head().compacted_revision > compacted {
            true => drop(self.publish.send_replace(Arc::new(state))),
            false => publish_without_wake(&self.publish, Arc::new(state)),
        }
        self.counting.wait(waiting);
        note(&self.moves, &moved, !batches.is_empty());
        counted.extend(batches);
        Ok(())
    }

    /// Whether the group that ends with `last` was committed. It is asked under the lock: a server that still had the
    /// commit before it when the connection was lost has the lock until it is done. Should the database be away, or not
    /// tell in time, the group counts as not committed, and memory is not touched: if it was, the log tells when it is read
    /// again.
    async fn resolve(&mut self, last: &RevisionRecord) -> bool {
        let deadline = Instant::now() + RESOLVE;
        loop {
            let found = async {
                let tx = self.store.lock().await?;
                let found = tx.has(last).await;
                tx.rollback().await;
                found
            };
            match found.await {
                Ok(found) => {
                    tracing::info!(revision = last.revision, committed = found, "the outcome of the commit is known");
                    self.health.resolved(found);
                    return found;
                }
                Err(error) if Instant::now() < deadline && !self.store.is_away() => {
                    tracing::debug!(error = %error.report(), "the log cannot be read; trying again");
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => {
                    self.health.not_written(&error);
                    // On a file of one's own nobody else's log tells what became of it.
                    if !self.store.is_shared() {
                        self.health.must_reload();
                    }
                    return false;
                }
            }
        }
    }

    /// Tells callers that what they asked for was not done, or may not have been.
    fn refuse<T>(
        &mut self,
        replies: impl ExactSizeIterator<Item = oneshot::Sender<Result<T, Error>>>,
        error: &StoreError,
    ) {
        self.health.refused(replies.len());
        let error = error.to_domain();
        for reply in replies {
            // A caller that is gone has nothing to hear.
            let _ = reply.send(Err(error.clone()));
        }
    }

    async fn rebuild(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        let loaded = super::load(&self.store).await;
        let (mut state, counting, passed) =
            loaded.map_err(|error| self.health.unread(Reading::Tables, began, error))?;
        let (before, history) = {
            let known = self.publish.borrow();
            ((known.usage().version(), known.usage().mark()), known.usage().history())
        };
        // Unless what was known is certain to be in this history, whoever followed it begins anew.
        state.usage_mut().belong_to(if passed.contains(&before) { history } else { history + 1 });
        self.counting = counting;
        self.crediting.begin_anew(state.credit());
        self.publish.send_replace(Arc::new(state));
        self.moves.send_modify(|moves| moves.anything = true);
        self.health.current(Reading::Tables);
        Ok(())
    }

    async fn forget_usage(&mut self, counters: Vec<CounterKey>, former_before: Timestamp) -> Result<(), StoreError> {
        let mut state = State::clone(&self.publish.borrow());
        // Looked at again: a limit may have got other windows since the list was made.
        let now = self.clock.now();
        let counters = counters.into_iter().filter(|key| is_over(state.config(), key, now));
        // Usage may still come of those in which credit is open. Those that are in the journal would come back with the next start.
        let in_journal = self.store.usage_reader().await?.journal_begins().await?;
        let is_in_journal = |key: &CounterKey| in_journal.is_some_and(|begins| state.usage().get(key).version > begins);
        let is_kept = |key: &CounterKey| state.credit().outstanding(key) != 0 || is_in_journal(key);
        let counters: Vec<CounterKey> = counters.filter(|key| !is_kept(key)).collect();
        self.store.forget_usage(&counters, former_before).await?;
        self.counting.forget(former_before);
        state.usage_mut().forget(&counters);
        publish_without_wake(&self.publish, Arc::new(state));
        Ok(())
    }

    async fn compact(&mut self, revision: i64) -> Result<(), StoreError> {
        self.follow().await?;
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
fn publish_without_wake(publish: &watch::Sender<Arc<State>>, state: Arc<State>) {
    publish.send_if_modified(|published| {
        *published = state;
        false
    });
}
