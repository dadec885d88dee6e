//! The content of an outbox: the fold of its records. It is pure; new records and those of a file go through the same fold.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tollgate_core::proto::v1::UsageEntry;

use super::record::{Acknowledged, Admitted, Batched, Closed, Entries, Event, How, Record, Registered};

/// Entries in one batch; more of them are in the next.
const BATCH: usize = 5_000;
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
    /// The provider key, and the kind of the request, which decide its price.
    pub(crate) provider_key_id: String,
    pub(crate) request_type: String,
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
}

/// Usage that is in no batch.
type Waiting = BTreeMap<(String, String, String, i64), UsageEntry>;

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

    /// Usage that is in no batch yet.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &UsageEntry> {
        self.waiting.values()
    }

    /// Entries that the control plane has not acknowledged.
    pub(crate) fn depth(&self) -> usize {
        self.waiting.len() + self.due().map(|batch| batch.entries.len()).sum::<usize>()
    }

    /// Takes a record. A record that does not fit the content changes nothing.
    pub(crate) fn apply(&mut self, record: Record) {
        match record.event {
            Some(Event::Registered(registered)) => self.register(registered),
            Some(Event::Admitted(Admitted { id, estimate, provider_key_id, request_type })) => {
                if let (Ok(id), Some(estimate)) = (Id::try_from(id), estimate) {
                    self.open.insert(id, Open { estimate, provider_key_id, request_type });
                }
            }
            Some(Event::Closed(closed)) => self.close(closed),
            Some(Event::Batched(batched)) => self.batch(batched),
            Some(Event::Acknowledged(Acknowledged { incarnation, sequence })) => {
                for batch in &mut self.batches {
                    batch.is_acknowledged |= batch.place == (incarnation, sequence);
                }
            }
            None => {}
        }
    }

    fn register(&mut self, registered: Registered) {
        let Registered { incarnation, store_id, node_id, next_sequence } = registered;
        self.registration = Some(Registration { incarnation, store_id, node_id });
        self.next_sequence = next_sequence.max(1);
        for batch in self.batches.iter_mut().filter(|batch| !batch.is_acknowledged) {
            batch.place = (incarnation, self.next_sequence);
            self.next_sequence += 1;
        }
    }

    fn close(&mut self, Closed { id, how, entry, expired_at }: Closed) {
        let (Ok(id), Ok(how)) = (Id::try_from(id), How::try_from(how)) else { return };
        self.open.remove(&id);
        if let Some(entry) = &entry {
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
                self.ended.insert(id, Ended { how, charged: entry });
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

    /// Puts an entry to those of the same key, provider, model and second.
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
        let entries: Vec<_> = self.waiting.values().cloned().collect();
        let batch = |entries: &[UsageEntry]| Entries { entries: entries.to_vec(), ..Entries::default() };
        let batches = entries.chunks(BATCH).map(|entries| Batched { batches: vec![batch(entries)] });
        batches.map(|batched| Event::Batched(batched).into()).collect()
    }

    fn batch(&mut self, Batched { batches }: Batched) {
        if batches.is_empty() {
            // At the beginning of a file.
            self.waiting.clear();
        }
        for Entries { entries, place, is_acknowledged } in batches {
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
            self.batches.push_back(Batch { place, entries, is_acknowledged });
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
        let batches = self.batches.iter().map(|Batch { place: (incarnation, sequence), entries, is_acknowledged }| {
            let place = Some(Acknowledged { incarnation: *incarnation, sequence: *sequence });
            Entries { entries: entries.clone(), place, is_acknowledged: *is_acknowledged }
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
        records
    }
}

/// A request was admitted.
pub(crate) fn admitted(id: Id, open: Open) -> Record {
    let Open { estimate, provider_key_id, request_type } = open;
    Event::Admitted(Admitted { id: id.to_vec(), estimate: Some(estimate), provider_key_id, request_type }).into()
}

/// An admission ended.
pub(crate) fn closed(id: Id, how: How, entry: Option<UsageEntry>) -> Record {
    Event::Closed(Closed { id: id.to_vec(), how: how.into(), entry, expired_at: 0 }).into()
}

/// The time of an admission was up, at this second.
pub(crate) fn expired(id: Id, charged: Option<UsageEntry>, expired_at: i64) -> Record {
    Event::Closed(Closed { id: id.to_vec(), how: How::Expired.into(), entry: charged, expired_at }).into()
}

/// The key of an entry: entries with the same key are added up.
fn key(entry: &UsageEntry) -> (String, String, String, i64) {
    let second = entry.occurred_at.map_or(0, |at| at.seconds);
    (entry.virtual_key_id.clone(), entry.provider.clone(), entry.model.clone(), second)
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
mod tests {
    use proptest::prelude::*;

    use super::super::record::{frame, read};
    use super::*;

    fn entry(key: u8, second: i64, tokens: i64) -> UsageEntry {
        UsageEntry {
            virtual_key_id: key.to_string(),
            requests: 1,
            input_tokens: tokens,
            cost_nano_usd: tokens * 7,
            occurred_at: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
            ..UsageEntry::default()
        }
    }

    /// Something that a node does, by numbers.
    fn step(state: &State, (what, id, tokens): (u8, u8, i64)) -> Option<Record> {
        let bytes = [id + 1; 16];
        match what {
            0 => (!state.open.contains_key(&bytes) && state.ended(&bytes).is_none()).then(|| {
                let (provider_key_id, request_type) = (id.to_string(), "embedding".to_owned());
                admitted(bytes, Open { estimate: entry(id % 3, 5, 100), provider_key_id, request_type })
            }),
            1 => state
                .open
                .contains_key(&bytes)
                .then(|| closed(bytes, How::Settled, Some(entry(id % 3, tokens, tokens)))),
            2 => state.open.contains_key(&bytes).then(|| closed(bytes, How::Abandoned, None)),
            3 => state.open.get(&bytes).map(|open| expired(bytes, Some(open.estimate.clone()), tokens)),
            4 => state.to_batches().into_iter().next(),
            5 => state.due().next().map(|batch| {
                let (incarnation, sequence) = batch.place;
                Event::Acknowledged(Acknowledged { incarnation, sequence }).into()
            }),
            6 => {
                let incarnation = state.registration.as_ref().map_or(1, |known| known.incarnation + 1);
                let node_id = "node".to_owned();
                Some(
                    Event::Registered(Registered { incarnation, node_id, next_sequence: 1, ..Registered::default() })
                        .into(),
                )
            }
            // A settlement of what had expired.
            _ => state
                .ended(&bytes)
                .filter(|ended| ended.how == How::Expired)
                .map(|_| closed(bytes, How::Settled, (tokens > 2).then(|| entry(id % 3, tokens, tokens)))),
        }
    }

    /// LLM tokens of all that is to be counted, or was.
    fn tokens(state: &State) -> i64 {
        let batched = state.batches.iter().flat_map(|batch| &batch.entries);
        state.waiting.values().chain(batched).map(|entry| entry.input_tokens).sum()
    }

    /// Each batch is a record of its own; where the last was cut, its entries still wait.
    #[test]
    fn much_that_waits_goes_into_several_records() {
        let mut state = State::default();
        state.apply(Event::Registered(Registered { incarnation: 1, next_sequence: 1, ..Registered::default() }).into());
        let seconds = 0..i64::try_from(BATCH).unwrap() + 1;
        seconds.for_each(|second| state.apply(closed(NOBODY, How::Settled, Some(entry(1, second, 1)))));
        let records = state.to_batches();
        assert_eq!(records.len(), 2);
        let mut records = records.into_iter();
        state.apply(records.next().unwrap());
        assert_eq!((state.batches.len(), state.waiting.len()), (1, 1));
        state.apply(records.next().unwrap());
        assert_eq!((state.batches.len(), state.waiting.len(), tokens(&state)), (2, 0, 5_001));
    }

    #[test]
    fn an_admission_that_expired_is_remembered_for_a_day() {
        let mut state = State::default();
        state.apply(expired([1; 16], Some(entry(1, 5, 100)), 1_000));
        state.apply(expired([2; 16], Some(entry(1, 5, 100)), 1_000 + SETTLED_WITHIN));
        let ids = [[1; 16], [2; 16]];
        assert!(ids.iter().all(|id| state.ended(id).is_some()));
        let mut anew = State::default();
        state.to_records().into_iter().for_each(|record| anew.apply(record));
        for state in [&mut state, &mut anew] {
            state.apply(expired([3; 16], None, 1_001 + SETTLED_WITHIN));
            assert_eq!(ids.map(|id| state.ended(&id).is_some()), [false, true]);
        }
    }

    proptest! {
        #[test]
        fn a_file_begun_anew_leads_to_the_same_and_nothing_is_lost(steps in prop::collection::vec((0..8_u8, 0..12_u8, 1..9_i64), 0..120)) {
            let (mut state, mut bytes, mut settled) = (State::default(), Vec::new(), 0);
            for numbers in steps {
                let Some(record) = step(&state, numbers) else { continue };
                if let Some(Event::Closed(Closed { entry: Some(entry), .. })) = &record.event {
                    settled += entry.input_tokens;
                }
                frame(&record, &mut bytes);
                state.apply(record);
                prop_assert_eq!(tokens(&state), settled);
                let places: Vec<_> = state.due().map(|batch| batch.place).collect();
                prop_assert!(places.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 + 1 == two[1].1), "{:?}", places);
            }
            let fold = |records: Vec<Record>| {
                let mut state = State::default();
                records.into_iter().for_each(|record| state.apply(record));
                state
            };
            // What the file has is what happened.
            prop_assert_eq!(&fold(read(&bytes).0), &state);
            // A new file has all but how those ended that need no more be said of.
            let mut anew = fold(state.to_records());
            let over = |state: &State| {
                let expired = state.ended.iter().filter(|(_, ended)| ended.how == How::Expired);
                expired.map(|(id, ended)| (*id, ended.clone())).collect::<HashMap<_, _>>()
            };
            prop_assert_eq!(over(&anew), over(&state));
            (anew.ended, anew.order, anew.expired) = (state.ended.clone(), state.order.clone(), state.expired.clone());
            prop_assert_eq!(&anew, &state);
        }
    }
}
