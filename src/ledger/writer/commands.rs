//! Commands, from the queue to their answers: groups are decided, written and shown one after the other. While one is
//! being written, the next is decided on what it will leave, so that neither the disk nor the processor waits for the
//! other. Nothing of that is shown or answered before its own commit, and if it turns out not to begin where the store
//! stands, it is decided anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Writer;
use crate::domain::{Error, Timestamp};
use crate::ledger::group::{CommitBatchBuilder, request_key};
use crate::ledger::metrics::Purpose;
use crate::ledger::queue::{Queue, Submitted};
use crate::ledger::{Answer, follow, usage::note};
use crate::seeded::{self, Bug};
use crate::state::State;
use crate::store::{Group, Position, Remembered, StoreError, WriteTx};

/// Commands to be written next.
#[derive(Default)]
struct Due {
    commands: Vec<Submitted>,
    /// What becomes of them, if that was decided already.
    ahead: Option<Ahead>,
}

/// What was decided while the group before was being written.
struct Ahead {
    decided: Decided,
    /// Where the store stands if that group is written.
    position: Position,
    /// The requests that it remembers.
    remembered: Vec<Remembered>,
}

/// What becomes of a group.
struct Decided {
    gathering: CommitBatchBuilder,
    answers: Vec<Result<Answer, Error>>,
}

impl Decided {
    /// A group of nothing, on `state`.
    fn on(state: State, remembered: Vec<Remembered>, now: Timestamp) -> Self {
        Self { gathering: CommitBatchBuilder::new(state, remembered, now), answers: Vec::new() }
    }

    /// Decides commands, in order, until the group is full. Those that it took have an answer.
    fn add<'a>(&mut self, commands: impl IntoIterator<Item = &'a Submitted>) {
        for (call, command, _) in commands {
            if self.gathering.is_full() {
                return;
            }
            self.answers.push(self.gathering.decide(call, command));
        }
    }
}

impl Writer {
    /// Writes commands, and those that come before the last of them is written, unless something else is due.
    pub(super) async fn write(&mut self, commands: Vec<Submitted>, queue: &mut Queue) {
        let mut due = Due { commands, ahead: None };
        while !due.commands.is_empty() {
            due = self.write_group(due, queue).await;
        }
    }

    /// Writes a group, shows it and answers it. Returns the next, of which nothing is written yet.
    async fn write_group(&mut self, due: Due, queue: &mut Queue) -> Due {
        let Due { mut commands, mut ahead } = due;
        if ahead.is_none() && self.store.is_shared() {
            // Before the store is locked: others wait for what is done under the lock.
            ahead = Some(self.decide_now(&commands));
        }
        let (tx, decided) = match self.begin(&mut commands, ahead).await {
            Ok(begun) => begun,
            Err(error) => {
                self.refuse(commands.into_iter().map(|(_, _, reply)| reply), &error);
                return Due::default();
            }
        };
        let Decided { gathering, answers } = decided;
        // What a full group did not take is the beginning of the next.
        let rest = commands.split_off(answers.len());
        let Some((group, state)) = gathering.close() else {
            tx.rollback().await;
            answer(commands, answers);
            return Due { commands: rest, ahead: None };
        };
        if seeded::is(Bug::PublishBeforeCommit) {
            self.publish.send_replace(Arc::new(state.clone()));
        }
        let group = Arc::new(group);
        let committing = tokio::spawn(commit(tx, Arc::clone(&group)));
        // It is on its way before anything else is decided.
        tokio::task::yield_now().await;
        let (Committed { result, took }, mut next) = self.decide_ahead(committing, rest, &state, &group, queue).await;
        if result.is_ok() {
            self.metrics.committed(Purpose::Changes, group.txns.len(), took);
        }
        match self.settle(result, &group).await {
            Ok(()) => {
                self.show(state, &group);
                answer(commands, answers);
            }
            Err(StoreError::Unknown { .. }) if seeded::is(Bug::BlindRetry) => {
                commands.iter_mut().for_each(|(call, _, _)| call.request_id.clear());
                commands.append(&mut next.commands);
                return Due { commands, ahead: None };
            }
            Err(error) => self.refuse(commands.into_iter().map(|(_, _, reply)| reply), &error),
        }
        next
    }

    /// Locks the store, and decides the commands if what was decided `ahead` does not begin where it stands. They are lent
    /// for writing only because a command, which is no `Sync`, could not be lent across a wait otherwise.
    async fn begin(
        &mut self,
        commands: &mut [Submitted],
        ahead: Option<Ahead>,
    ) -> Result<(WriteTx, Decided), StoreError> {
        let tx = self.lock().await?;
        let now = self.clock.now();
        let keys: Vec<_> = commands
            .iter()
            .filter(|(call, _, _)| !call.request_id.is_empty())
            .map(|(call, _, _)| request_key(call))
            .collect();
        let keys: Vec<_> =
            keys.iter().map(|(caller, method, id)| (caller.as_str(), method.as_str(), id.as_str())).collect();
        let remembered = match tx.find_requests(&keys, now).await {
            Ok(remembered) => remembered,
            Err(error) => {
                tx.rollback().await;
                self.health.not_written(&error);
                return Err(error);
            }
        };
        let state = Arc::clone(&self.publish.borrow());
        if let Some(Ahead { decided, position, remembered: known }) = ahead {
            if position == follow::position(&state) && remembered.iter().all(|request| known.contains(request)) {
                return Ok((tx, decided));
            }
            // To decide something large anew takes longer than the server waits for the next statement.
            if decided.gathering.is_full()
                && let Err(error) = tx.allow_for_large().await
            {
                tx.rollback().await;
                return Err(error);
            }
        }
        let mut decided = Decided::on(State::clone(&state), remembered, now);
        decided.add(&*commands);
        Ok((tx, decided))
    }

    /// Decides commands on the state as it is known.
    fn decide_now(&self, commands: &[Submitted]) -> Ahead {
        let state = Arc::clone(&self.publish.borrow());
        let mut decided = Decided::on(State::clone(&state), Vec::new(), self.clock.now());
        decided.add(commands);
        Ahead { decided, position: follow::position(&state), remembered: Vec::new() }
    }

    /// Waits for a commit, and decides meanwhile what comes after the `commands` that are due, on the `state` that it leads
    /// to.
    async fn decide_ahead(
        &mut self,
        mut committing: JoinHandle<Committed>,
        mut commands: Vec<Submitted>,
        state: &State,
        group: &Group,
        queue: &mut Queue,
    ) -> (Committed, Due) {
        // What a full group left waits until it is written: nothing else comes before it.
        let follows = !commands.is_empty();
        let mut ahead: Option<Ahead> = None;
        let committed = loop {
            tokio::select! {
                biased;
                committed = &mut committing => break committed,
                more = queue.take_commands(commands.len()), if !follows && !self.folds_now() && !is_full(ahead.as_ref()) => {
                    let ahead = ahead.get_or_insert_with(|| {
                        let (remembered, now) = (group.requests.clone(), self.clock.now());
                        // The group may have more commands than it is microseconds old.
                        let now = group.txns.last().map_or(now, |last| now.max(last.committed_at));
                        let decided = Decided::on(state.clone(), remembered.clone(), now);
                        Ahead { decided, position: follow::position(state), remembered }
                    });
                    ahead.decided.add(&more);
                    commands.extend(more);
                }
            }
        };
        let committed = committed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        (committed, Due { commands, ahead })
    }

    /// What became of a commit.
    async fn settle(&mut self, committed: Result<(), StoreError>, group: &Group) -> Result<(), StoreError> {
        match &committed {
            Ok(()) => self.health.wrote(),
            Err(error) => self.health.not_written(error),
        }
        match committed {
            Ok(()) => Ok(()),
            Err(error @ StoreError::Unknown { .. }) => {
                tracing::warn!(error = %error.report(), "a commit has an unknown outcome; reading the log back");
                match group.txns.last() {
                    Some(last) if !seeded::is(Bug::BlindRetry) && self.resolve(last).await => Ok(()),
                    // What was only to be remembered, and was not, is decided again when the caller tries again.
                    _ => Err(error),
                }
            }
            Err(error @ (StoreError::Refused { .. } | StoreError::Fenced)) => {
                tracing::error!(error = %error.report(), "the database refused what memory allowed; memory is rebuilt");
                self.health.must_reload();
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Shows what was committed.
    fn show(&mut self, mut state: State, group: &Group) {
        self.counting.remember(group.former_keys.iter().cloned());
        self.counting.note(group.usage.moved.counters.len(), std::iter::empty());
        self.counting.wait(state.usage_mut().commit());
        self.publish.send_replace(Arc::new(state));
        note(&self.moves, &group.usage.moved, false);
        self.store.announce();
    }
}

/// Whether what was decided ahead makes a group already.
fn is_full(ahead: Option<&Ahead>) -> bool {
    ahead.is_some_and(|ahead| ahead.decided.gathering.is_full())
}

/// A commit that has ended, and how long it took.
struct Committed {
    result: Result<(), StoreError>,
    took: Duration,
}

async fn commit(tx: WriteTx, group: Arc<Group>) -> Committed {
    let started = Instant::now();
    let result = tx.commit(&group).await;
    Committed { result, took: started.elapsed() }
}

fn answer(commands: Vec<Submitted>, answers: Vec<Result<Answer, Error>>) {
    for ((_, _, reply), answer) in commands.into_iter().zip(answers) {
        // A caller that is gone has nothing to hear.
        let _ = reply.send(answer);
    }
}
