//! What is to become of what was counted: by entries, and by changes of the limits.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::rules::having;
use super::{Change, Decision, Facet, Rules, State};
use crate::config::Config;
use crate::counters::{Adjustment, Counter, CounterKey, CounterKeys, Counters, Dimension, dimensions, owned_limits};
use crate::domain::{
    AlertPercents, AnyResource, Calendar, Customer, LimitKind, LimitOwner, Resource as _, Stored, Team, Timestamp,
    VirtualKey,
};
use crate::usage::Amount;

/// Percentages of a limit whose crossing those who follow usage are told of at once, whatever is recorded of it.
const URGENT: [i32; 3] = [80, 90, 100];

/// A limit that reached one of its thresholds.
#[derive(Clone, PartialEq, Debug)]
pub struct Crossing {
    /// The window that it was crossed in.
    pub key: CounterKey,
    /// Whose limit it is.
    pub owner: LimitOwner,
    /// The threshold.
    pub percent: i32,
    /// What was counted after it.
    pub used: i64,
    /// The ceiling.
    pub max: i64,
    /// The version of the counter that crossed it.
    pub version: i64,
    /// When.
    pub crossed_at: Timestamp,
}

/// What happens to counters.
#[derive(Default, Debug)]
pub struct Moved {
    /// The counters as they are to be, each with a version of its own, in the order of their keys.
    pub counters: Vec<(CounterKey, Counter)>,
    /// The thresholds that they cross.
    pub crossings: Vec<Crossing>,
    /// Whether it is to be told at once: requests may have to be stopped, or are let through again.
    pub urgent: bool,
}

/// Which counters moved since whoever follows usage looked last.
#[derive(Default, Debug)]
pub struct UsageMoves {
    /// How many streams have begun to follow usage; before the first, nothing is noted.
    pub begun: u64,
    /// The counters.
    pub keys: CounterKeys,
    /// Whether batches were counted, perhaps without moving a counter.
    pub batches: bool,
    /// Whether it is to be told at once: one of them came near its ceiling, or was reset, which lets requests through again.
    pub urgent: bool,
    /// Whether memory was read anew, so that anything may have moved.
    pub anything: bool,
}

/// What is to become of the counters, before it is written.
pub struct Tally<'a> {
    counters: &'a Counters,
    now: Timestamp,
    moved: HashMap<CounterKey, Move, RandomState>,
}

/// What is to become of one counter.
struct Move {
    used: i64,
    max: i64,
    alert_percents: AlertPercents,
    /// Used and ceiling before, for what is crossed between then and now.
    before: (i64, i64),
}

impl<'a> Tally<'a> {
    /// Starts on `counters`, at the time `now`.
    pub fn new(counters: &'a Counters, now: Timestamp) -> Self {
        Self { counters, now, moved: HashMap::default() }
    }

    /// Adds all or nothing. No two of the amounts are of one window.
    ///
    /// # Errors
    ///
    /// The counter that would overflow.
    pub fn add(&mut self, amounts: &[Amount]) -> Result<(), CounterKey> {
        for (place, Amount { key, amount, max, max_before, alert_percents }) in amounts.iter().enumerate() {
            let added = match self.moved.entry(key.clone()) {
                Entry::Occupied(mut moved) => {
                    let moved = moved.get_mut();
                    moved.used.checked_add(*amount).map(|used| moved.used = used)
                }
                Entry::Vacant(vacant) => {
                    let before = self.counters.get(key).used;
                    before.checked_add(*amount).map(|used| {
                        let (before, alert_percents) = ((before, *max_before), alert_percents.clone());
                        vacant.insert(Move { used, max: *max, alert_percents, before });
                    })
                }
            };
            if added.is_none() {
                for Amount { key, amount, .. } in amounts.get(..place).unwrap_or_default() {
                    self.take_back(key, *amount);
                }
                return Err(key.clone());
            }
        }
        Ok(())
    }

    /// What a window has counted, with what is added.
    pub fn used(&self, key: &CounterKey) -> i64 {
        self.moved.get(key).map_or_else(|| self.counters.get(key).used, |moved| moved.used)
    }

    /// The windows that move, and by how much.
    pub fn moved(&self) -> impl Iterator<Item = (&CounterKey, i64)> {
        self.moved.iter().map(|(key, moved)| (key, moved.used.saturating_sub(moved.before.0)))
    }

    /// Raises what a window has counted: of batches that were counted in a history that is lost.
    /// The window is of `limit`, if that still is there.
    pub fn raise(&mut self, key: &CounterKey, used: i64, limit: Option<&Dimension<'_>>) {
        let amount = used.saturating_sub(self.used(key));
        if amount > 0 {
            let max = limit.map_or(i64::MAX, |limit| limit.max(self.now));
            let alert_percents = limit.map(|limit| limit.alert_percents.clone()).unwrap_or_default();
            // It does not overflow: the sum is `used`.
            let _ = self.add(&[Amount { key: key.clone(), amount, max, max_before: max, alert_percents }]);
        }
    }

    /// Undoes an addition.
    fn take_back(&mut self, key: &CounterKey, amount: i64) {
        if let Entry::Occupied(mut moved) = self.moved.entry(key.clone()) {
            moved.get_mut().used -= amount;
            if moved.get().used == moved.get().before.0 {
                moved.remove();
            }
        }
    }

    /// Sets what a window of `dimension` has counted. `before` are used and ceiling before.
    fn set(&mut self, key: CounterKey, used: i64, before: (i64, i64), dimension: &Dimension<'_>) {
        let (max, alert_percents) = (dimension.max(self.now), dimension.alert_percents.clone());
        self.moved.insert(key, Move { used, max, alert_percents, before });
    }

    /// Sets all to zero that can be counted in. The current window is written in any case: those who follow usage may have
    /// been told of it before the dimension was left out.
    fn begin_anew(&mut self, dimension: &Dimension<'_>) {
        let current = dimension.window(self.now);
        for at in [current.start.plus_micros(-1), current.start, current.end] {
            let key = dimension.counter(at);
            if at == current.start || self.counters.get(&key).used != 0 {
                self.set(key, 0, (0, dimension.max(self.now)), dimension);
            }
        }
    }

    /// Sets to zero what was counted in a limit that was deleted and is there again.
    fn come_back(&mut self, dimension: &Dimension<'_>) {
        let current = dimension.window(self.now);
        for at in [current.start.plus_micros(-1), current.start, current.end] {
            let key = dimension.counter(at);
            let used = self.counters.get(&key).used;
            if used != 0 {
                self.set(key, 0, (used, dimension.max(self.now)), dimension);
            }
        }
    }

    /// What is to be written. `owner_of` tells whose limits the windows are of.
    pub fn close(self, owner_of: impl Fn(&CounterKey) -> Option<LimitOwner>) -> Moved {
        let mut moves: Vec<_> = self.moved.into_iter().collect();
        // In the order of the keys, so that replicas never wait for each other in a circle.
        moves.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let mut moved = Moved { counters: Vec::with_capacity(moves.len()), ..Moved::default() };
        for ((key, Move { used, max, alert_percents, before }), version) in
            moves.into_iter().zip(self.counters.version() + 1..)
        {
            let crossed = |percent: &&i32| crosses(before, (used, max), **percent);
            for percent in alert_percents.percents().iter().filter(crossed) {
                let Some(owner) = owner_of(&key) else { continue };
                let (key, percent, crossed_at) = (key.clone(), *percent, self.now);
                moved.crossings.push(Crossing { key, owner, percent, used, max, version, crossed_at });
            }
            moved.urgent |= used == 0 || URGENT.iter().any(|percent| crossed(&percent));
            moved.counters.push((key, Counter { used, version }));
        }
        moved
    }
}

/// Whether `percent` of a limit is reached `after` and was not `before`, each the amount used and the ceiling.
fn crosses(before: (i64, i64), after: (i64, i64), percent: i32) -> bool {
    let reached = |(used, max): (i64, i64)| used > 0 && i128::from(used) * 100 >= i128::from(max) * i128::from(percent);
    reached(after) && !reached(before)
}

/// The usage of a resource that an update sets to zero, in the current windows of its limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reset {
    /// The usage of its budgets.
    pub budgets: bool,
    /// The usage of its rate limits.
    pub rate_limits: bool,
}

impl Reset {
    fn concerns(self, dimension: &Dimension<'_>) -> bool {
        match dimension.kind {
            LimitKind::Budget => self.budgets,
            LimitKind::Tokens | LimitKind::Requests | LimitKind::Concurrency => self.rate_limits,
        }
    }

    /// Notes in the limits of the resource that their usage is set to zero, so that what occurred before that is not counted
    /// in them any more.
    pub(super) fn mark<R: Rules>(self, resource: &mut R, now: Timestamp) {
        if self == Self::default() {
            return;
        }
        let at = || Some(Box::new(now));
        for limits in resource.limits_mut() {
            if self.budgets {
                limits.budgets.iter_mut().for_each(|budget| budget.usage_reset_at = at());
            }
            if self.rate_limits {
                let counting = limits.rate_limits.iter_mut().filter(|limit| limit.dimensions().next().is_some());
                counting.for_each(|limit| limit.usage_reset_at = at());
            }
        }
    }
}

/// What a decision does to usage (`docs/design/semantics.md §2`): a reset sets limits to zero, a correction one limit to
/// what is right; alignment that is switched on begins at zero; a window whose bounds move otherwise takes along what it
/// counted, so that it is in one window still, also that of an heir of another calendar. A dimension of a rate limit that
/// was left out for a while begins at zero. A ceiling or an end that moves changes nothing that was counted, but its share
/// or how long it counts; that too is told to those who follow usage. `after` has what was decided, and the usage before.
pub fn settle_usage(
    before: &Config,
    after: &State,
    heirs: &[AnyResource],
    decision: &Decision,
    now: Timestamp,
) -> Moved {
    let counters = after.usage();
    let mut tally = Tally::new(counters, now);
    let changes = decision.changes.iter().filter_map(|change| change.before.as_ref().zip(change.after.as_ref()));
    for (old_owner, new_owner) in changes.chain(heirs.iter().map(|heir| (heir, heir))) {
        let reset = if new_owner.key() == decision.subject { decision.reset } else { Reset::default() };
        let calendars = (before.calendar(old_owner), after.config().calendar(new_owner));
        let is_the_same = calendars.0 == calendars.1 && owned_limits(old_owner) == owned_limits(new_owner);
        if reset == Reset::default() && is_the_same {
            continue;
        }
        let old = dimensions(old_owner, calendars.0);
        for new in dimensions(new_owner, calendars.1) {
            let Some(old) = old.iter().find(|old| old.limit_id == new.limit_id && old.kind == new.kind) else {
                match old.iter().any(|old| old.limit_id == new.limit_id) {
                    true => tally.begin_anew(&new),
                    false => tally.come_back(&new),
                }
                continue;
            };
            let (from, to) = (old.counter(now), new.counter(now));
            let was = counters.get(&from).used;
            if was != 0 && from != to {
                tally.set(from, 0, (0, old.max(now)), &new);
            }
            let ends_otherwise = old.holds_until(now) != new.holds_until(now);
            let used = match (reset.concerns(&new), new.aligned() && old.calendar.is_none()) {
                (true, _) | (_, true) => 0,
                (false, false) => was,
            };
            if used != counters.get(&to).used || (used != 0 && (new.max(now) != old.max(now) || ends_otherwise)) {
                tally.set(to, used, (was, old.max(now)), &new);
            }
        }
    }
    let created = decision.changes.iter().filter(|change| change.before.is_none());
    for owner in created.filter_map(|change| change.after.as_ref()) {
        dimensions(owner, after.config().calendar(owner)).iter().for_each(|new| tally.come_back(new));
    }
    let limit = |key: &CounterKey| after.config().limit(&key.limit_id, key.kind);
    if let Some(Adjustment { key, before, used, .. }) = &decision.adjustment
        && used != before
        && let Some(limit) = limit(key)
    {
        let max_before = limit.greatest_max(&limit.window(now), now);
        tally.set(key.clone(), *used, (*before, max_before), &limit);
    }
    tally.close(|key| limit(key).map(|limit| limit.owner))
}

/// The resources whose limits may follow another calendar by what was decided, without being changed themselves: those that
/// belong to a customer or team that gets another one. `state` is that before it.
pub fn heirs(state: &State, decision: &Decision) -> Vec<AnyResource> {
    let mut found = Vec::new();
    let inherits = |calendar: &Option<Box<Calendar>>| calendar.is_none();
    let keys_of = |facet: Facet, found: &mut Vec<AnyResource>| {
        let keys = having::<VirtualKey>(state, &facet).filter(|key| inherits(&key.resource.calendar));
        found.extend(keys.map(|key| VirtualKey::wrap(Arc::clone(key))));
    };
    for Change { before, after } in &decision.changes {
        match (before, after) {
            (Some(AnyResource::Customer(before)), after) => {
                let after = after.as_ref().and_then(|after| Customer::unwrap(after)?.resource.calendar.clone());
                if after == before.resource.calendar {
                    continue;
                }
                let facet = Facet::Customer(before.id.shared());
                for team in having::<Team>(state, &facet).filter(|team| inherits(&team.resource.calendar)) {
                    found.push(Team::wrap(Arc::clone(team)));
                    keys_of(Facet::Team(team.id.shared()), &mut found);
                }
                keys_of(facet, &mut found);
            }
            (Some(AnyResource::Team(before)), after) => {
                let of = |team: &Stored<Team>| (team.resource.calendar.clone(), team.resource.customer_id.clone());
                let after = after.as_ref().and_then(|after| Team::unwrap(after)).map(|after| of(after));
                if after.unwrap_or_default() != of(before) {
                    keys_of(Facet::Team(before.id.shared()), &mut found);
                }
            }
            _ => {}
        }
    }
    // Each once, and what is changed itself with its changes.
    let mut seen: HashSet<_> = decision.changes.iter().map(Change::key).collect();
    found.retain(|heir| seen.insert(heir.key()));
    found
}
