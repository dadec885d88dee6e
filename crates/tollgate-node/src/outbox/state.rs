//! The content of an outbox: the fold of its records. It is pure; new records and those of a file go through the same fold.

use std::collections::{BTreeMap, HashMap, VecDeque};

use prost::Message as _;
use tollgate_core::counters::CounterKey;
use tollgate_core::domain::Timestamp;
use tollgate_core::proto::v1::{CreditUsed, UsageEntry};
use tollgate_core::wire::{read_credit_key, render_credit_key, render_credit_used};

use super::record::{Acknowledged, Admitted, Batched, Closed, Entries, Event, How, Record, Registered};
use super::spending::{Spending, amount, read};
use crate::dimensions::{self, Combination, combination};

/// Entries in one batch; more of them are in the next.
const BATCH: usize = 5_000;
/// Bytes of the entries of one batch. The control plane takes messages of 4 MiB, in which credit that was used comes too.
const BATCH_BYTES: usize = 2 << 20;
/// Admissions that ended and are remembered: the last of them that were settled or abandoned, and the last that expired.
const REMEMBERED: usize = 200_000;
/// How long an admission that expired may still be settled, in seconds: 24 hours.
const SETTLED_WITHIN: i64 = 24 * 3_600;

/// The id of an admission.
pub(crate) type Id = [u8; 16];

/// The id of no admission: of what is only to be counted.
const NOBODY: Id = [0; 16];

/// Where a batch is: its incarnation and its number.
pub(crate) type Place = (i64, i64);

/// How an admission ended, and what was charged.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ended {
    pub(crate) how: How,
    pub(crate) charged: Option<UsageEntry>,
}

/// A batch.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Batch {
    pub(crate) place: Place,
    pub(crate) entries: Vec<UsageEntry>,
    /// The usage by credit, cumulative, with this batch.
    pub(crate) credit_used: Vec<CreditUsed>,
    pub(crate) is_acknowledged: bool,
}

/// The incarnation by which the node delivers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Registration {
    pub(crate) incarnation: i64,
    pub(crate) store_id: String,
    pub(crate) node_id: String,
}

/// An admission that has not ended.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Open {
    /// The charge if nobody settles it.
    pub(crate) estimate: UsageEntry,
    /// The kind of the request, which decides its price.
    pub(crate) request_type: String,
    /// The limits that it holds credit for.
    pub(crate) credit: Vec<CounterKey>,
    /// Whether its caller said how long the answer is at most.
    pub(crate) bounds_output: bool,
}

impl Open {
    /// An admission that was charged so much, of which nothing else is known any more.
    pub(crate) fn charged(estimate: UsageEntry) -> Self {
        Self { estimate, request_type: String::new(), credit: Vec::new(), bounds_output: true }
    }
}

/// The content of an outbox.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct State {
    registration: Option<Registration>,
    next_sequence: i64,
    /// Admissions that have not ended.
    open: HashMap<Id, Open>,
    ended: HashMap<Id, Ended>,
    /// Those that were settled or abandoned, in the order in which they ended.
    order: VecDeque<Id>,
    /// Those that expired, in that order, and when.
    expired: VecDeque<(i64, Id)>,
    waiting: Waiting,
    batches: VecDeque<Batch>,
    spending: Spending,
}

/// Usage that is in no batch.
type Waiting = BTreeMap<Key, UsageEntry>;

/// The key of an entry.
type Key = ([String; 4], Combination, (i64, i32));

impl State {
    /// The incarnation by which the node delivers, if it ever registered.
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// Admissions that have not ended.
    pub(crate) fn open(&self) -> &HashMap<Id, Open> {
        &self.open
    }

    /// How an admission ended, if it did and that is remembered.
    pub(crate) fn ended(&self, id: &Id) -> Option<&Ended> {
        self.ended.get(id)
    }

    /// Batches that are not both acknowledged and in what the control plane tells, in their order.
    pub(crate) fn batches(&self) -> &VecDeque<Batch> {
        &self.batches
    }

    /// The batches that are to be delivered.
    pub(crate) fn due(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter().filter(|batch| !batch.is_acknowledged)
    }

    /// The time of the oldest usage that is to be delivered.
    pub(crate) fn oldest_due(&self) -> Option<Timestamp> {
        let times = self.due().flat_map(|batch| &batch.entries).filter_map(|entry| entry.occurred_at);
        times.filter_map(|at| Timestamp::from_parts(at.seconds, at.nanos)).min()
    }

    /// Usage that is in no batch yet.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &UsageEntry> {
        self.waiting.values()
    }

    /// Entries that the control plane has not acknowledged.
    pub(crate) fn depth(&self) -> usize {
        self.waiting.len() + self.due().map(|batch| batch.entries.len()).sum::<usize>()
    }

    /// The usage by credit, and the last session.
    pub(crate) fn spending(&self) -> &Spending {
        &self.spending
    }

    pub(super) fn retain_spending(&mut self, is_known: impl Fn(&CounterKey) -> bool) {
        self.spending.retain(is_known);
    }

    /// Takes a record. A record that does not fit the content changes nothing.
    pub(crate) fn apply(&mut self, record: Record) {
        match record.event {
            Some(Event::Registered(registered)) => self.register(registered),
            Some(Event::Admitted(admitted)) => {
                let Admitted { id, estimate, provider_key_id, request_type, credit, bounds_output } = admitted;
                if let (Ok(id), Some(mut estimate)) = (Id::try_from(id), estimate) {
                    let credit = credit.iter().filter_map(read_credit_key).collect();
                    estimate.provider_key_id = provider_key_id;
                    self.open.insert(id, Open { estimate, request_type, credit, bounds_output });
                }
            }
            Some(Event::Closed(closed)) => self.close(closed),
            Some(Event::Batched(batched)) => self.batch(batched),
            Some(Event::Acknowledged(Acknowledged { incarnation, sequence })) => {
                for batch in self.batches.iter_mut().filter(|batch| batch.place == (incarnation, sequence)) {
                    batch.is_acknowledged = true;
                    self.spending.acknowledged(&batch.credit_used);
                }
            }
            Some(Event::Session(session)) => self.spending.take(session),
            None => {}
        }
    }

    fn register(&mut self, registered: Registered) {
        let Registered { incarnation, store_id, node_id, next_sequence } = registered;
        self.registration = Some(Registration { incarnation, store_id, node_id });
        self.next_sequence = next_sequence.max(1);
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_acknowledged) {
            batch.place = (incarnation, self.next_sequence);
            batch.credit_used.clear();
            self.next_sequence += 1;
        }
        // Credit is of the incarnation that it was granted to.
        self.spending = Spending::default();
        self.open.values_mut().for_each(|open| open.credit.clear());
    }

    fn close(&mut self, Closed { id, how, entry, expired_at, uncovered }: Closed) {
        let (Ok(id), Ok(how)) = (Id::try_from(id), How::try_from(how)) else { return };
        let open = self.open.remove(&id);
        if let Some(entry) = &entry {
            let covered = open.into_iter().flat_map(|open| open.credit);
            covered.for_each(|key| self.spending.add(key.clone(), amount(entry, key.kind)));
            read(&uncovered).for_each(|(key, used)| self.spending.add_uncovered(key, used));
            self.wait(entry.clone());
        }
        if id == NOBODY {
            return;
        }
        match self.ended.get_mut(&id) {
            // A settlement of what had expired adds to what was charged.
            Some(ended) => {
                ended.how = how;
                match (&mut ended.charged, entry) {
                    (Some(charged), Some(entry)) => add(charged, &entry),
                    (charged @ None, entry) => *charged = entry,
                    (Some(_), None) => {}
                }
            }
            None => {
                let mut charged = entry;
                if let Some(charged) = charged.as_mut().filter(|_| how != How::Expired) {
                    // Nothing more will be charged: only the figures are asked for.
                    dimensions::forget(charged);
                }
                self.ended.insert(id, Ended { how, charged });
                match how {
                    How::Settled | How::Abandoned => self.order.push_back(id),
                    How::Expired => self.expired.push_back((expired_at, id)),
                }
            }
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        let is_over = |at: i64| how == How::Expired && at < expired_at - SETTLED_WITHIN;
        while let Some((at, oldest)) = self.expired.front().copied()
            && (self.expired.len() > REMEMBERED || is_over(at))
        {
            self.expired.pop_front();
            self.ended.remove(&oldest);
        }
    }

    /// Puts an entry to those of the same key, provider, model, provider key, dimensions and time.
    fn wait(&mut self, entry: UsageEntry) {
        match self.waiting.get_mut(&key(&entry)) {
            Some(held) => add(held, &entry),
            None => drop(self.waiting.insert(key(&entry), entry)),
        }
    }

    /// Records that put the usage that is in no batch into batches, one for each: a record has a greatest length. None if there is no
    /// usage, or if the node has no incarnation.
    pub(crate) fn to_batches(&self) -> Vec<Record> {
        if self.registration.is_none() {
            return Vec::new();
        }
        let batch = |entries: Vec<UsageEntry>| Entries { entries, ..Entries::default() };
        let mut batches: Vec<_> = chunks(self.waiting.values()).into_iter().map(batch).collect();
        if let Some(last) = batches.last_mut() {
            // With an earlier one, credit would count as spent whose usage is not counted yet.
            last.credit_used = self.spending.unbatched();
        }
        batches.into_iter().map(|batch| Event::Batched(Batched { batches: vec![batch] }).into()).collect()
    }

    fn batch(&mut self, Batched { batches }: Batched) {
        if batches.is_empty() {
            // At the beginning of a file.
            self.waiting.clear();
        }
        for Entries { entries, place, is_acknowledged, credit_used } in batches {
            let place = match place {
                Some(Acknowledged { incarnation, sequence }) => (incarnation, sequence),
                None => {
                    let incarnation = self.registration.as_ref().map_or(0, |registration| registration.incarnation);
                    self.next_sequence += 1;
                    (incarnation, self.next_sequence - 1)
                }
            };
            for entry in &entries {
                self.waiting.remove(&key(entry));
            }
            self.spending.batched(&credit_used);
            self.batches.push_back(Batch { place, entries, credit_used, is_acknowledged });
        }
    }

    /// Forgets batches that are acknowledged and that the control plane tells as counted: of each incarnation, those up to this number.
    ///
    /// Whether there were any.
    pub(crate) fn forget(&mut self, counted: &HashMap<i64, i64>) -> bool {
        let before = self.batches.len();
        let is_counted = |(incarnation, sequence): Place| counted.get(&incarnation).is_some_and(|to| sequence <= *to);
        self.batches.retain(|batch| !(batch.is_acknowledged && is_counted(batch.place)));
        self.batches.len() < before
    }

    /// Records that lead to this state: the beginning of a new file.
    pub(crate) fn to_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let batches = self.batches.iter().map(|batch| {
            let Batch { place: (incarnation, sequence), entries, credit_used, is_acknowledged } = batch.clone();
            let place = Some(Acknowledged { incarnation, sequence });
            Entries { entries, place, is_acknowledged, credit_used }
        });
        if let Some(Registration { incarnation, store_id, node_id }) = self.registration.clone() {
            // Before the batches, which it would number anew.
            let next_sequence = self.next_sequence;
            records.push(Event::Registered(Registered { incarnation, store_id, node_id, next_sequence }).into());
        }
        // Before what waits, which would be taken for part of them.
        records.extend(batches.map(|entries| Event::Batched(Batched { batches: vec![entries] }).into()));
        for (at, id) in &self.expired {
            if let Some(Ended { charged, .. }) = self.ended.get(id).filter(|ended| ended.how == How::Expired) {
                records.push(expired(*id, charged.clone(), *at));
            }
        }
        // What those that expired were charged with is counted already, or waits.
        records.push(Event::Batched(Batched::default()).into());
        for entry in self.waiting.values() {
            records.push(closed(NOBODY, How::Settled, Some(entry.clone())));
        }
        records.extend(self.open.iter().map(|(id, open)| admitted(*id, open.clone())));
        records.push(Event::Session(self.spending.to_record()).into());
        records
    }
}

/// A request was admitted.
pub(crate) fn admitted(id: Id, open: Open) -> Record {
    let Open { estimate, request_type, credit, bounds_output } = open;
    // Where earlier versions look for it.
    let provider_key_id = estimate.provider_key_id.clone();
    let credit = credit.iter().map(render_credit_key).collect();
    let (id, estimate) = (id.to_vec(), Some(estimate));
    Event::Admitted(Admitted { id, estimate, provider_key_id, request_type, credit, bounds_output }).into()
}

/// An admission ended.
pub(crate) fn closed(id: Id, how: How, entry: Option<UsageEntry>) -> Record {
    closed_uncovered(id, how, entry, &[])
}

/// An admission ended that used so much of hard limits that it held no credit for.
pub(crate) fn closed_uncovered(id: Id, how: How, entry: Option<UsageEntry>, uncovered: &[(CounterKey, i64)]) -> Record {
    let uncovered = render_credit_used(uncovered.iter().map(|(key, used)| (key, *used)));
    Event::Closed(Closed { id: id.to_vec(), how: how.into(), entry, expired_at: 0, uncovered }).into()
}

/// The time of an admission was up, at this second.
pub(crate) fn expired(id: Id, charged: Option<UsageEntry>, expired_at: i64) -> Record {
    let how = How::Expired.into();
    Event::Closed(Closed { id: id.to_vec(), how, entry: charged, expired_at, uncovered: Vec::new() }).into()
}

/// Entries in groups that are small enough for a batch.
fn chunks<'a>(entries: impl Iterator<Item = &'a UsageEntry>) -> Vec<Vec<UsageEntry>> {
    let (mut chunks, mut bytes) = (Vec::<Vec<_>>::new(), 0);
    for entry in entries {
        let length = entry.encoded_len();
        bytes += length;
        match chunks.last_mut().filter(|last| last.len() < BATCH && bytes <= BATCH_BYTES) {
            Some(last) => last.push(entry.clone()),
            None => {
                bytes = length;
                chunks.push(vec![entry.clone()]);
            }
        }
    }
    chunks
}

/// The key of an entry: entries with the same key are added up.
fn key(entry: &UsageEntry) -> Key {
    let at = entry.occurred_at.map_or((0, 0), |at| (at.seconds, at.nanos));
    let UsageEntry { virtual_key_id, provider, model, provider_key_id, .. } = entry;
    ([virtual_key_id, provider, model, provider_key_id].map(String::clone), combination(entry), at)
}

/// Adds what `more` used.
fn add(entry: &mut UsageEntry, more: &UsageEntry) {
    let sum = |one: &mut i64, other: i64| *one = one.saturating_add(other);
    sum(&mut entry.requests, more.requests);
    sum(&mut entry.input_tokens, more.input_tokens);
    sum(&mut entry.output_tokens, more.output_tokens);
    sum(&mut entry.cost_nano_usd, more.cost_nano_usd);
    sum(&mut entry.cached_input_tokens, more.cached_input_tokens);
    sum(&mut entry.cache_write_tokens, more.cache_write_tokens);
    sum(&mut entry.unpriced_requests, more.unpriced_requests);
}

#[cfg(test)]
mod tests;
