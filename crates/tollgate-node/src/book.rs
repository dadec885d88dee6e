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
use tollgate_core::usage::{Assigned, Entry, FormerKeys, assign};

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
    let amounts = assigned(config, entry, now).map(|assigned| assigned.amounts).unwrap_or_default();
    amounts.into_iter().map(|amount| (amount.key, amount.amount)).collect()
}

/// The same, once the entry is put at the beginning of its second, but not before any time from which on usage counts in one of these
/// windows: entries with the same time are in the same windows, and may be added up.
pub(crate) fn align(config: &Config, entry: &mut UsageEntry, now: Timestamp) -> Vec<(CounterKey, i64)> {
    let Some(Assigned { amounts, at, from, .. }) = assigned(config, entry, now) else { return Vec::new() };
    if entry.occurred_at.is_some() && !amounts.is_empty() {
        let second = at.plus_micros(-at.as_micros().rem_euclid(1_000_000));
        entry.occurred_at = Some(stamp(second.max(from)));
    }
    amounts.into_iter().map(|amount| (amount.key, amount.amount)).collect()
}

fn assigned(config: &Config, entry: &UsageEntry, now: Timestamp) -> Option<Assigned> {
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
    assign(config, &FormerKeys::default(), &entry, now).ok()
}

fn occurred_at(entry: &UsageEntry) -> Option<Timestamp> {
    entry.occurred_at.and_then(|at| Timestamp::from_parts(at.seconds, at.nanos))
}

/// The time that an admission has, from now.
pub(crate) fn deadline(ttl: Duration) -> Instant {
    let now = Instant::now();
    // No admission lasts for ever.
    now.checked_add(ttl).unwrap_or_else(|| now + Duration::from_secs(24 * 3_600))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tollgate_core::domain::{Resource as _, Stored, VirtualKey};
    use tollgate_core::proto::v1;
    use tollgate_testkit::world::{NOW, World, key};

    use super::*;

    const SECOND: i64 = 1_000_000;

    /// When an entry of this time is put, in microseconds from the beginning of a second.
    fn aligned(world: &World, key: &str, micros: i64) -> i64 {
        let at = Timestamp::from_micros(NOW + micros);
        let mut entry = UsageEntry {
            virtual_key_id: key.to_owned(),
            requests: 1,
            cost_nano_usd: 1,
            occurred_at: Some(stamp(at)),
            ..UsageEntry::default()
        };
        align(&world.config, &mut entry, at.plus_micros(SECOND));
        occurred_at(&entry).unwrap().as_micros() - NOW
    }

    #[test]
    fn entries_with_the_same_time_are_in_the_same_windows() {
        assert_eq!(NOW % SECOND, 0);
        let mut world = World::new();
        let budget = v1::Budget { max_limit: 1.0, reset_duration: "1m".to_owned(), ..Default::default() };
        let own = world.add::<VirtualKey>(v1::VirtualKey { budgets: vec![budget], ..key(Vec::new()) });
        let edit = |world: &mut World, edit: &dyn Fn(&mut Budget)| {
            let mut stored = Stored::clone(world.config.get::<VirtualKey>(own.id.as_str()).unwrap());
            edit(&mut stored.resource.limits.budgets[0]);
            world.config.put(&VirtualKey::wrap(Arc::new(stored)));
        };
        let own = own.id.as_str();
        let at = |micros: i64| Timestamp::from_micros(NOW + micros);
        // A window begins within the second, 2.5 seconds on.
        edit(&mut world, &|budget| budget.anchor = at(2_500_000));
        assert_eq!(
            [1_900_000, 2_300_000, 2_900_000, 3_100_000].map(|micros| aligned(&world, own, micros)),
            [1_000_000, 2_000_000, 2_500_000, 3_000_000]
        );
        // It is set to zero within the second: what was before that does not count, and keeps its time.
        edit(&mut world, &|budget| budget.usage_reset_at = Some(Box::new(at(2_700_000))));
        assert_eq!(
            [2_600_000, 2_700_000, 2_900_000, 3_100_000].map(|micros| aligned(&world, own, micros)),
            [2_600_000, 2_700_000, 2_700_000, 3_000_000]
        );
        // Nobody knows the windows of a key that is gone.
        assert_eq!(aligned(&world, "gone", 2_900_001), 2_900_001);
    }
}
