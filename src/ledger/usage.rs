//! Counting batches of usage, in the ledger's task: whose limits apply must not change meanwhile.
//!
//! A group of batches is decided on working copies, written in one transaction, and only then acknowledged and shown. A
//! crash before the commit leaves nothing of it, one after it a batch that is answered as a duplicate when sent again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::{Ack, Acknowledgement, Batch, Reply, Reported};
use super::credit::{CreditRequest, Crediting};
use super::fold::Fold;
use super::metrics::{LedgerMetrics, Purpose};
use super::spend::SpendFold;
use crate::counters::CounterKey;
use crate::credit::Change;
use crate::domain::Timestamp;
use crate::seeded::{self, Bug};
use crate::state::{Moved, State, Tally, UsageMoves};
use crate::store::{
    CatchUpDelta, CreditGroup, Registration, Store, StoreError, Unfolded, UsageGroup, Watermark, WriteTx,
};
use crate::usage::{FormerKey, FormerKeys, Prepared, Refusal, SpendTally, count};

/// [`UsageMoves`], noted by the ledger and taken by `watch`.
pub type Moves = watch::Sender<UsageMoves>;

/// Notes what moved, and whether batches were counted, for those who follow usage.
pub(super) fn note(moves: &Moves, moved: &Moved, batches: bool) {
    moves.send_if_modified(|moves| {
        if moves.begun == 0 || (moved.counters.is_empty() && !batches) {
            return false;
        }
        moves.batches |= batches;
        moves.keys.extend(moved.counters.iter().map(|(key, _)| key.clone()));
        moves.urgent |= moved.urgent;
        true
    });
}

/// What a group of batches moves.
struct Tallies<'a> {
    counters: Tally<'a>,
    spend: SpendTally,
}

/// What the ledger's task knows of usage beside what was counted, which is in the state.
#[derive(Default)]
pub(super) struct Counting {
    watermarks: HashMap<i64, Watermark>,
    former_keys: FormerKeys,
    /// How far batches of incarnations were counted that registered at another server: number and hash of the last.
    heard: HashMap<i64, (i64, [u8; 32])>,
    fold: Fold,
    spend: SpendFold,
}

impl Counting {
    pub(super) fn new(watermarks: Vec<Watermark>, former_keys: Vec<(Box<str>, FormerKey)>, unfolded: Unfolded) -> Self {
        let mut counting = Self { fold: Fold::new(unfolded), ..Self::default() };
        counting.watermarks.extend(watermarks.into_iter().map(|watermark| (watermark.incarnation, watermark)));
        counting.remember(former_keys);
        counting
    }

    /// Remembers deleted keys, whose usage may still be on its way.
    pub(super) fn remember(&mut self, former_keys: impl IntoIterator<Item = (Box<str>, FormerKey)>) {
        self.former_keys.extend(former_keys.into_iter().map(|(id, former)| (id.into(), former)));
    }

    /// Forgets keys that were deleted before `before`.
    pub(super) fn forget(&mut self, before: Timestamp) {
        self.former_keys.retain(|_, former| former.deleted_at >= before);
    }

    /// Learns what others did. Whatever they counted is folded here too, unless they were first: who of them is gone is
    /// nobody's knowledge.
    pub(super) fn learn(&mut self, news: &CatchUpDelta) {
        self.remember(news.former_keys.iter().cloned());
        for (incarnation, sequence, fingerprint) in &news.watermarks {
            match self.watermarks.get_mut(incarnation) {
                Some(watermark) => (watermark.sequence, watermark.fingerprint) = (*sequence, *fingerprint),
                None => drop(self.heard.insert(*incarnation, (*sequence, *fingerprint))),
            }
        }
        self.note(news.counters.len(), news.watermarks.iter().map(|(incarnation, ..)| *incarnation));
        self.note_credit(&news.credit);
        if !news.watermarks.is_empty() {
            self.spend.journaled(0);
        }
    }

    /// Notes what the journal has got: so many changes of counters, and batches of incarnations.
    pub(super) fn note(&mut self, counters: usize, incarnations: impl ExactSizeIterator<Item = i64>) {
        self.fold.journaled(counters + incarnations.len(), incarnations);
    }

    /// Notes what the journal has got about credit.
    pub(super) fn note_credit(&mut self, credit: &CreditGroup) {
        self.fold.journaled_credit(credit.changes.iter().map(Change::row));
    }

    /// Notes counters that have to be folded from now on.
    pub(super) fn wait(&mut self, counters: Vec<CounterKey>) {
        self.fold.wait(counters);
    }

    /// When the next part of what was counted is to be folded into the tables; `None` if there is nothing.
    pub(super) fn folds_at(&self) -> Option<Instant> {
        [self.fold.due(), self.spend.due()].into_iter().flatten().min()
    }

    /// Whether a part is to be folded before anything more is counted, since the journal is long.
    pub(super) fn folds_first(&self) -> bool {
        self.fold.is_behind() || self.spend.is_behind()
    }

    /// Whether the next part to be folded is one of credit.
    pub(super) fn folds_credit(&self) -> bool {
        self.fold.is_at_credit()
    }

    /// Folds a part of credit, within a transaction that has the lock of all writers.
    ///
    /// # Errors
    /// Why it was not folded: it stays in the journal.
    pub(super) async fn fold_credit(&mut self, tx: WriteTx, state: &State) -> Result<(), StoreError> {
        self.fold.step_credit(tx, state.credit()).await
    }

    /// Folds a part of what was counted.
    ///
    /// # Errors
    /// Why it was not folded: it stays in the journal.
    pub(super) async fn fold(&mut self, store: &Store, state: &State) -> Result<(), StoreError> {
        let Self { watermarks, heard, fold, spend, .. } = self;
        let spend_is_next = spend.due().is_some_and(|due| fold.due().is_none_or(|other| due < other));
        if spend.is_behind() || (spend_is_next && !fold.is_behind()) {
            return spend.step(store, state.usage().version()).await;
        }
        let find = |incarnation: i64| {
            let heard = || {
                let (sequence, fingerprint) = *heard.get(&incarnation)?;
                let (node_id, registered_by) = Default::default();
                Some(Watermark { incarnation, node_id, registered_by, sequence, fingerprint, store_id: None })
            };
            watermarks.get(&incarnation).cloned().or_else(heard)
        };
        fold.step(store, state.usage(), find).await
    }

    pub(super) async fn register(&mut self, store: &Store, registration: Registration) -> Result<i64, StoreError> {
        let node_id: Box<str> = registration.node_id.as_str().into();
        let registered_by: Box<str> = registration.registered_by.as_str().into();
        let incarnation = store.register_node(registration).await?;
        let fingerprint = [0; 32];
        let watermark = Watermark { incarnation, node_id, registered_by, sequence: 0, fingerprint, store_id: None };
        self.watermarks.insert(incarnation, watermark);
        Ok(incarnation)
    }

    /// Counts a group of batches in `state` and acknowledges them, with the reports about `credit` that came meanwhile, or
    /// fails them all. `show` makes the state that of all readers, after the commit and before the acknowledgements. Where it
    /// is not known what was written, the batches are not acknowledged, and sent again they show whether they were counted.
    /// Whether other servers should look at it soon.
    pub(super) async fn count(
        &mut self,
        tx: WriteTx,
        (mut state, now): (State, Timestamp),
        (batches, credit): (Vec<Reported>, Vec<CreditRequest>),
        crediting: &mut Crediting,
        metrics: &LedgerMetrics,
        show: impl FnOnce(Arc<State>, &Moved),
    ) -> Result<bool, StoreError> {
        // Nodes may have registered at another server. What was counted there came with the journal.
        let unknown = batches.iter().map(|reported| reported.batch.incarnation);
        let unknown = unknown.chain(credit.iter().filter_map(CreditRequest::says_hello));
        let unknown: BTreeSet<i64> = unknown.filter(|it| !self.watermarks.contains_key(it)).collect();
        if !unknown.is_empty() {
            match tx.watermarks(&unknown).await {
                Ok(found) => {
                    for mut watermark in found {
                        // The table is a fold behind the journal.
                        if let Some(heard) = self.heard.remove(&watermark.incarnation) {
                            (watermark.sequence, watermark.fingerprint) = heard;
                        }
                        self.watermarks.insert(watermark.incarnation, watermark);
                    }
                }
                Err(failed) => {
                    tx.rollback().await;
                    refuse(batches.into_iter().map(|reported| reported.reply), &failed);
                    credit.into_iter().for_each(|request| request.refuse(&failed));
                    return Err(failed);
                }
            }
        }
        let mut moved: HashMap<i64, Watermark> = HashMap::new();
        let mut acks = Vec::with_capacity(batches.len());
        let mut used = Vec::new();
        let (counted, spend, book, decided) = {
            let mut tallies = Tallies { counters: Tally::new(state.usage(), now), spend: SpendTally::default() };
            for Reported { batch, prepared, reply } in batches {
                let watermark = moved.get(&batch.incarnation).or_else(|| self.watermarks.get(&batch.incarnation));
                let ack = match watermark {
                    Some(watermark) if is_of(watermark, &batch.node_id, &batch.caller) => {
                        let ack = self.decide(&state, now, &batch, prepared, watermark, &mut tallies);
                        let (mut expected_sequence, store_id) = (watermark.sequence + 1, watermark.store_id.clone());
                        if matches!(ack, Ack::Applied { .. }) {
                            let Batch { incarnation, sequence, fingerprint, credit_used, .. } = batch;
                            used.push((incarnation, credit_used));
                            let watermark = Watermark { sequence, fingerprint, ..watermark.clone() };
                            moved.insert(incarnation, watermark);
                            expected_sequence += 1;
                        } else if matches!(ack, Ack::Gap) && seeded::is(Bug::AdvanceOnGap) {
                            let watermark = Watermark { sequence: batch.sequence, ..watermark.clone() };
                            moved.insert(batch.incarnation, watermark);
                        }
                        Acknowledgement { ack, expected_sequence, store_id }
                    }
                    _ => {
                        let reason = format!(
                            "incarnation {} of node {:?} was never registered in this store by this caller; call \
                             RegisterNode",
                            batch.incarnation, batch.node_id
                        );
                        Acknowledgement { ack: Ack::Rejected(reason), expected_sequence: 0, store_id: None }
                    }
                };
                acks.push((ack, reply));
            }
            let Tallies { mut counters, spend } = tallies;
            let is_callers = |incarnation: i64, node_id: &str, caller: &str| {
                self.watermarks.get(&incarnation).is_some_and(|watermark| is_of(watermark, node_id, caller))
            };
            let (book, decided) = crediting.decide(&state, &mut counters, now, used, credit, is_callers);
            let owner_of = |key: &CounterKey| state.config().limit(&key.limit_id, key.kind).map(|limit| limit.owner);
            (counters.close(owner_of), spend, book, decided)
        };
        if seeded::is(Bug::AckBeforeCommit) {
            acknowledge(std::mem::take(&mut acks));
        }
        if moved.is_empty() && decided.group.is_empty() && counted.counters.is_empty() {
            tx.rollback().await;
        } else {
            let from_version = state.usage().version();
            // A batch without a counter moves it too, so that whoever follows it finds the batch's number.
            let version =
                from_version + i64::try_from(counted.counters.len()).unwrap_or(i64::MAX - from_version).max(1);
            let (from_mark, mark) = (state.usage().mark(), rand::random());
            let watermarks = moved.into_values().collect();
            let credit = decided.group.clone();
            let group =
                UsageGroup { from_version, from_mark, version, mark, moved: counted, watermarks, spend, credit };
            let started = Instant::now();
            if let Err(failed) = tx.count(&group).await {
                refuse(acks.into_iter().map(|(_, reply)| reply), &failed);
                decided.failed(&failed);
                return Err(failed);
            }
            let applied = acks.iter().filter(|(answer, _)| matches!(answer.ack, Ack::Applied { .. })).count();
            metrics.committed(Purpose::Usage, applied, started.elapsed());
            let UsageGroup { moved, watermarks, spend, credit, .. } = group;
            *state.credit_mut() = book;
            let counters = state.usage().clone();
            let mut counted = counters.batches();
            let waiting = state.usage_mut().put(moved.counters.iter().cloned());
            state.usage_mut().reach(version, mark);
            self.note(moved.counters.len(), watermarks.iter().map(|watermark| watermark.incarnation));
            self.wait(waiting);
            self.note_credit(&credit);
            self.spend.journaled(spend.len());
            metrics.spend.counted(state.config(), now, &spend);
            show(Arc::new(state), &moved);
            counted.extend(watermarks.iter().map(|watermark| (watermark.incarnation, watermark.sequence)));
            drop(counted);
            self.watermarks.extend(watermarks.into_iter().map(|watermark| (watermark.incarnation, watermark)));
        }
        acknowledge(acks);
        let announces = decided.announces;
        crediting.written(decided);
        Ok(announces)
    }

    fn decide(
        &self,
        state: &State,
        now: Timestamp,
        batch: &Batch,
        prepared: Option<Prepared>,
        watermark: &Watermark,
        tallies: &mut Tallies<'_>,
    ) -> Ack {
        let Tallies { counters: tally, spend } = tallies;
        let Batch { sequence, fingerprint, entries, .. } = batch;
        if *sequence < 1 {
            return Ack::Rejected(format!("sequence is {sequence}; batches are numbered from 1"));
        }
        if *sequence == watermark.sequence && *fingerprint != watermark.fingerprint {
            return Ack::Rejected(format!(
                "batch {sequence} was counted with other content; a numbered batch never changes: give this one the \
                 next number, if it was not counted"
            ));
        }
        if *sequence <= watermark.sequence {
            return Ack::Duplicate;
        }
        if *sequence > watermark.sequence + 1 {
            return Ack::Gap;
        }
        if let Some((rejected, late)) = prepared.and_then(|prepared| prepared.count(state, now, tally, spend)) {
            return Ack::Applied { rejected, late };
        }
        let (mut rejected, mut late) = (Vec::new(), 0);
        for (index, entry) in entries.iter().enumerate() {
            let counted = entry.as_ref().map_err(Refusal::clone);
            match counted
                .and_then(|entry| count((state.config(), state.credit()), &self.former_keys, entry, now, tally, spend))
            {
                Ok(came_late) => late += usize::from(came_late),
                Err(refusal) => rejected.push((index, refusal)),
            }
        }
        Ack::Applied { rejected, late }
    }
}

fn acknowledge(acks: Vec<(Acknowledgement, Reply)>) {
    for (ack, reply) in acks {
        // A node that is gone sends its batch again, and hears that it is a duplicate.
        let _ = reply.send(Ok(ack));
    }
}

fn refuse(replies: impl Iterator<Item = Reply>, failed: &StoreError) {
    let error = failed.to_domain();
    for reply in replies {
        // A node that is gone sends its batch again.
        let _ = reply.send(Err(error.clone()));
    }
}

/// Whether an incarnation is of the node, and was registered by the caller.
fn is_of(watermark: &Watermark, node_id: &str, caller: &str) -> bool {
    let Watermark { node_id: own, registered_by, .. } = watermark;
    own.as_ref() == node_id && (registered_by.is_empty() || registered_by.as_ref() == caller)
}
