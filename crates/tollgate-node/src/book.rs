//! The usage of limits as a node sees it: the control plane's values, the node's own usage that these do not contain yet, and
//! the reservations of requests in flight. It is pure.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::Config;
use tollgate_core::counters::{CounterKey, ToldUsage};
use tollgate_core::credit;
use tollgate_core::decision::Usage;
use tollgate_core::domain::{Budget, LimitId, LimitKind, RateLimit, Timestamp, Window};
use tollgate_core::proto::v1::UsageEntry;
use tollgate_core::usage::{Entry, FormerKeys, assign};

use crate::engine::stamp;
use crate::outbox::state::{Batch, Id, Place, State};

/// How much of which windows.
type Amounts = HashMap<CounterKey, i64>;

/// The reservation of a request in flight.
pub(crate) struct Reservation {
    amounts: Vec<(CounterKey, i64)>,
    /// The credit that the request holds.
    pub(crate) credit: credit::Reservation,
    /// When its time is up.
    pub(crate) until: Instant,
}

#[derive(Default)]
pub(crate) struct Book {
    told: ToldUsage,
    /// Used by this node, and not in what was told.
    own: Amounts,
    /// The part of it that is in no batch.
    waiting: Vec<(CounterKey, i64)>,
    /// The part of it that is in batches.
    batches: HashMap<Place, Vec<(CounterKey, i64)>>,
    reserved: Amounts,
    open: HashMap<Id, Reservation>,
    deadlines: BTreeSet<(Instant, Id)>,
}

impl Book {
    /// The usage of limits in the control plane's values.
    pub(crate) fn told(&self) -> &ToldUsage {
        &self.told
    }

    /// Takes what the control plane tells, and the batches that are in it: of each incarnation, those up to this number.
    pub(crate) fn tell(&mut self, told: ToldUsage, counted: &HashMap<i64, i64>) {
        self.told = told;
        let is_counted = |(incarnation, sequence): &Place| counted.get(incarnation).is_some_and(|to| sequence <= to);
        let own = &mut self.own;
        self.batches.retain(|place, amounts| {
            let is_counted = is_counted(place);
            if is_counted {
                take(own, amounts);
            }
            !is_counted
        });
    }

    /// Holds what a request may use, until it ends or time is up.
    pub(crate) fn reserve(
        &mut self,
        id: Id,
        amounts: Vec<(CounterKey, i64)>,
        credit: credit::Reservation,
        until: Instant,
    ) {
        self.hold(id, Reservation { amounts, credit, until });
    }

    /// Holds a reservation.
    pub(crate) fn hold(&mut self, id: Id, reservation: Reservation) {
        put(&mut self.reserved, &reservation.amounts);
        self.deadlines.insert((reservation.until, id));
        self.open.insert(id, reservation);
    }

    /// Holds it until then, or as long as before if that is longer. Whether it was held at all.
    pub(crate) fn extend(&mut self, id: &Id, until: Instant) -> bool {
        let Some(reservation) = self.open.get_mut(id) else { return false };
        let until = until.max(reservation.until);
        self.deadlines.remove(&(reservation.until, *id));
        self.deadlines.insert((until, *id));
        reservation.until = until;
        true
    }

    /// Holds it no more. The reservation, if there was one.
    pub(crate) fn release(&mut self, id: &Id) -> Option<Reservation> {
        let reservation = self.open.remove(id)?;
        take(&mut self.reserved, &reservation.amounts);
        self.deadlines.remove(&(reservation.until, *id));
        Some(reservation)
    }

    /// Takes the credit from all requests in flight: the incarnation is another one.
    pub(crate) fn void_credit(&mut self) {
        self.open.values_mut().for_each(|reservation| reservation.credit = credit::Reservation::default());
    }

    /// The reservation of a request, while it is held.
    pub(crate) fn held(&self, id: &Id) -> Option<&Reservation> {
        self.open.get(id)
    }

    /// Those whose time is up.
    pub(crate) fn expired(&self, now: Instant) -> Vec<Id> {
        self.deadlines.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| *id).collect()
    }

    /// Requests in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// Notes what was used.
    pub(crate) fn used(&mut self, amounts: Vec<(CounterKey, i64)>) {
        put(&mut self.own, &amounts);
        self.waiting.extend(amounts);
    }

    /// Moves the usage that was in no batch into these batches, computed anew from the entries that the control plane gets.
    pub(crate) fn batched<'a>(&mut self, batches: impl Iterator<Item = &'a Batch>, config: &Config, now: Timestamp) {
        let waiting = std::mem::take(&mut self.waiting);
        take(&mut self.own, &waiting);
        batches.for_each(|batch| self.put_batch(batch, config, now));
    }

    fn put_batch(&mut self, batch: &Batch, config: &Config, now: Timestamp) {
        let amounts: Vec<_> = batch.entries.iter().flat_map(|entry| amounts(config, entry, now)).collect();
        put(&mut self.own, &amounts);
        self.batches.insert(batch.place, amounts);
    }

    /// Computes anew what the node used: after a start, and when batches have other numbers.
    pub(crate) fn assess(&mut self, outbox: &State, config: &Config, now: Timestamp) {
        (self.own, self.batches) = Default::default();
        outbox.batches().iter().for_each(|batch| self.put_batch(batch, config, now));
        self.waiting = outbox.waiting().flat_map(|entry| amounts(config, entry, now)).collect();
        put(&mut self.own, &self.waiting);
    }

    fn beside(&self, limit_id: &LimitId, kind: LimitKind, window: &Window) -> i64 {
        let told = self.told.used(limit_id, kind, window);
        let key = CounterKey { limit_id: limit_id.clone(), kind, window_start: window.start };
        let sum = |amounts: &Amounts| amounts.get(&key).copied().unwrap_or_default();
        told.saturating_add(sum(&self.own)).saturating_add(sum(&self.reserved))
    }
}

impl Usage for Book {
    fn budget(&self, budget: &Budget, window: &Window) -> i64 {
        self.beside(&budget.id, LimitKind::Budget, window)
    }

    fn tokens(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.beside(&limit.id, LimitKind::Tokens, window)
    }

    fn requests(&self, limit: &RateLimit, window: &Window) -> i64 {
        self.beside(&limit.id, LimitKind::Requests, window)
    }

    fn open(&self, limit: &RateLimit) -> i64 {
        self.reserved.get(&CounterKey::slots(limit.id.clone())).copied().unwrap_or_default()
    }
}

fn put(amounts: &mut Amounts, more: &[(CounterKey, i64)]) {
    for (key, amount) in more {
        let held = amounts.entry(key.clone()).or_default();
        *held = held.saturating_add(*amount);
    }
}

fn take(amounts: &mut Amounts, less: &[(CounterKey, i64)]) {
    for (key, amount) in less {
        if let Some(held) = amounts.get_mut(key) {
            *held -= amount;
            if *held == 0 {
                amounts.remove(key);
            }
        }
    }
}

/// The windows that an entry counts against, and how much, as the control plane will count it; none if it will refuse the entry.
pub(crate) fn amounts(config: &Config, entry: &UsageEntry, now: Timestamp) -> Vec<(CounterKey, i64)> {
    let occurred_at = occurred_at(entry);
    let entry = Entry {
        virtual_key_id: entry.virtual_key_id.as_str().into(),
        provider: entry.provider.as_str().into(),
        model: entry.model.as_str().into(),
        provider_key_id: (!entry.provider_key_id.is_empty()).then(|| entry.provider_key_id.as_str().into()),
        requests: entry.requests,
        input_tokens: entry.input_tokens,
        output_tokens: entry.output_tokens,
        cost: entry.cost_nano_usd,
        occurred_at,
        ..Entry::default()
    };
    match assign(config, &FormerKeys::default(), &entry, now) {
        Ok(assigned) => assigned.amounts.into_iter().map(|amount| (amount.key, amount.amount)).collect(),
        Err(_) => Vec::new(),
    }
}

fn occurred_at(entry: &UsageEntry) -> Option<Timestamp> {
    entry.occurred_at.and_then(|at| Timestamp::from_parts(at.seconds, at.nanos))
}

/// Puts an entry at the beginning of its second, but not before a window that it counts in began: entries with the same time are
/// in the same windows, and may be added up.
pub(crate) fn align(entry: &mut UsageEntry, amounts: &[(CounterKey, i64)]) {
    let Some(at) = occurred_at(entry).filter(|_| !amounts.is_empty()) else { return };
    let second = at.plus_micros(-at.as_micros().rem_euclid(1_000_000));
    let windows = amounts.iter().map(|(key, _)| key.window_start).filter(|start| *start <= at);
    entry.occurred_at = Some(stamp(windows.fold(second, Timestamp::max)));
}

/// The time that an admission has, from now.
pub(crate) fn deadline(ttl: Duration) -> Instant {
    let now = Instant::now();
    // No admission lasts for ever.
    now.checked_add(ttl).unwrap_or_else(|| now + Duration::from_secs(24 * 3_600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_the_same_time_are_in_the_same_windows() {
        let aligned = |micros: i64, windows: &[i64]| {
            let mut entry =
                UsageEntry { occurred_at: Some(stamp(Timestamp::from_micros(micros))), ..UsageEntry::default() };
            let amount = |start: &i64| {
                let window_start = Timestamp::from_micros(*start);
                (CounterKey { limit_id: "limit".into(), kind: LimitKind::Budget, window_start }, 1)
            };
            align(&mut entry, &windows.iter().map(amount).collect::<Vec<_>>());
            occurred_at(&entry).unwrap().as_micros()
        };
        assert_eq!(aligned(7_900_000, &[0]), 7_000_000);
        // A window began within the second: before it and after it are two times.
        assert_eq!(aligned(7_300_000, &[0, 2_500_000]), 7_000_000);
        assert_eq!(aligned(7_900_000, &[0, 7_500_000]), 7_500_000);
        // Usage that comes late may count in a later window.
        assert_eq!(aligned(7_900_000, &[0, 60_000_000]), 7_000_000);
        // Nobody knows the windows of a key that is gone.
        assert_eq!(aligned(7_900_001, &[]), 7_900_001);
        assert_eq!(aligned(-100_000, &[-500_000]), -500_000);
    }
}
