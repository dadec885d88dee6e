//! The usage that each limit and window must have counted, by `docs/design/usage.md` and
//! `docs/design/semantics.md §§2, 3, 5, 8`: its own windows, its own chain of limits, nothing of the product's code.

use std::collections::{BTreeMap, BTreeSet};

use tollgate::proto::v1::{LimitKind, ModelConfigScope, UsageEntry};

use window::{Calendar, Length, Micros};

mod calendars;
mod deletions;
pub(crate) mod spend;
pub(crate) mod window;

/// How far ahead an entry may be.
const AHEAD: Micros = 5 * 60 * 1_000_000;
/// How long a deleted key still counts for its owners.
const REMEMBERED: Micros = 30 * 24 * 3_600 * 1_000_000;

/// Who has limits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    Customer(String),
    Team(String),
    Key(String),
    /// Of a key, by its number.
    Config(String, i64),
    ModelConfig(String),
    Provider(String),
    /// [`limited_key`] of a provider.
    ProviderKey(String),
}

/// A budget, or one dimension of a rate limit.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) id: String,
    pub(crate) kind: LimitKind,
    /// The ceiling without an increase.
    pub(crate) max: i64,
    /// The ceiling with an increase, and until when.
    pub(crate) raised: Option<(i64, Micros)>,
    pub(crate) length: Length,
    pub(crate) anchor: Micros,
    pub(crate) aligned: bool,
    /// The calendar of its owner, followed if that is aligned.
    pub(crate) calendar: Calendar,
    /// Percentages whose crossing is recorded.
    pub(crate) alerts: Vec<i32>,
    /// By the start of the window.
    pub(crate) counted: BTreeMap<Micros, i64>,
    /// When an update set it to zero last.
    pub(crate) reset_at: Option<Micros>,
}

impl Limit {
    pub(crate) fn window(&self, at: Micros) -> (Micros, Micros) {
        self.length.window(self.anchor, self.aligned.then_some(&self.calendar), at)
    }

    pub(crate) fn max_at(&self, at: Micros) -> i64 {
        self.raised.filter(|(_, until)| at < *until).map_or(self.max, |(raised, _)| raised)
    }

    /// The ceiling that what was counted before in this window is measured by: the raised one, if that ended in it.
    fn max_before(&self, start: Micros, now: Micros) -> i64 {
        self.raised.filter(|(_, until)| start < *until).map_or(self.max_at(now), |(raised, _)| raised)
    }

    fn used(&self, start: Micros) -> i64 {
        self.counted.get(&start).copied().unwrap_or_default()
    }
}

/// Whom a key belongs to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Parent {
    Nobody,
    Team(String),
    Customer(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) id: i64,
    pub(crate) provider: String,
    pub(crate) allowed: Vec<String>,
    pub(crate) blocked: Vec<String>,
    /// Whether it permits all provider keys, or none.
    pub(crate) all_keys: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) parent: Parent,
    pub(crate) configs: Vec<Config>,
}

/// The usage of an owner that an update sets to zero.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reset {
    pub(crate) budgets: bool,
    pub(crate) rate_limits: bool,
}

impl Reset {
    fn concerns(self, kind: LimitKind) -> bool {
        if kind == LimitKind::Budget { self.budgets } else { self.rate_limits }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ModelConfig {
    pub(crate) scope: ModelConfigScope,
    pub(crate) scope_id: String,
    pub(crate) model: String,
    pub(crate) provider: String,
}

/// The current window of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Current {
    pub(crate) used: i64,
    pub(crate) max: i64,
    pub(crate) window: (Micros, Micros),
}

/// Of all limits, by id and kind.
pub(crate) type Currents = BTreeMap<(String, LimitKind), Current>;

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) now: Micros,
    pub(crate) limits: BTreeMap<Owner, Vec<Limit>>,
    pub(crate) customers: BTreeSet<String>,
    /// With their customers.
    pub(crate) teams: BTreeMap<String, Option<String>>,
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) model_configs: BTreeMap<String, ModelConfig>,
    /// Those that owners have of their own.
    pub(crate) calendars: BTreeMap<Owner, Calendar>,
    /// Deleted keys: whom they belonged to, and when they were deleted.
    pub(crate) former: BTreeMap<String, (Parent, Micros)>,
    /// Limit, kind, window and percentage that was reached, with the ceiling.
    pub(crate) events: BTreeMap<(String, LimitKind, Micros, i32), i64>,
    pub(crate) spend: spend::Spend,
}

/// Id of the provider key that has limits, if any of the provider's has. Anthropic has another one beside it.
pub(crate) fn limited_key(provider: &str) -> String {
    format!("{provider}-key")
}

/// A model without the provider's prefixes.
fn bare<'a>(model: &'a str, provider: &str) -> &'a str {
    if provider.is_empty() { model } else { model.trim_start_matches(&format!("{provider}/")) }
}

/// Provider and model that an entry is of: without a provider, a known one before the first `/`. The models are `openai`'s.
fn address<'a>(provider: &'a str, model: &'a str) -> (&'a str, &'a str) {
    match model.strip_prefix("openai/") {
        Some(rest) if provider.is_empty() => ("openai", rest),
        _ => (provider, model),
    }
}

fn names(pattern: &str, model: &str, provider: &str) -> bool {
    let (pattern, model) = (bare(pattern, provider), bare(model, provider));
    pattern == model || pattern.ends_with('*') && model.starts_with(pattern.trim_end_matches('*'))
}

fn permits(config: &Config, model: &str) -> bool {
    let named = |patterns: &[String]| patterns.iter().any(|pattern| names(pattern, model, &config.provider));
    named(&config.allowed) && !named(&config.blocked)
}

impl Model {
    /// What is used in the current windows.
    pub(crate) fn currents(&self) -> Currents {
        let current = |limit: &Limit| {
            let window = limit.window(self.now);
            let current = Current { used: limit.used(window.0), max: limit.max_at(self.now), window };
            ((limit.id.clone(), limit.kind), current)
        };
        self.limits.values().flatten().map(current).collect()
    }

    /// Counts a batch. Places of the entries that do not count, and how many came late.
    pub(crate) fn count(&mut self, entries: &[UsageEntry]) -> (Vec<i32>, i32) {
        let (mut refused, mut late) = (Vec::new(), 0);
        for (index, entry) in entries.iter().enumerate() {
            match self.count_entry(entry) {
                Some(came_late) => late += i32::from(came_late),
                None => refused.push(i32::try_from(index).unwrap()),
            }
        }
        (refused, late)
    }

    /// Whether it came late; `None` if it does not count at all.
    fn count_entry(&mut self, entry: &UsageEntry) -> Option<bool> {
        let UsageEntry { requests, input_tokens, output_tokens, cost_nano_usd, occurred_at, .. } = entry;
        let UsageEntry {
            cached_input_tokens,
            cache_write_tokens,
            reasoning_tokens,
            audio_tokens,
            unpriced_requests,
            ..
        } = entry;
        let details =
            [cached_input_tokens, cache_write_tokens, reasoning_tokens, audio_tokens, unpriced_requests].into_iter();
        if details.chain([requests, input_tokens, output_tokens, cost_nano_usd]).any(|amount| *amount < 0) {
            return None;
        }
        let tokens = input_tokens.checked_add(*output_tokens)?;
        let now = self.now;
        let told = occurred_at.map_or(now, |at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000);
        let at = if told > now + AHEAD { now } else { told };

        let mut moves = Vec::new();
        let mut late = false;
        let owners = self.owners(entry)?;
        for owner in &owners {
            for (place, limit) in self.limits.get(owner).into_iter().flatten().enumerate() {
                let (amount, is_money) = match limit.kind {
                    LimitKind::Budget => (*cost_nano_usd, true),
                    LimitKind::Tokens => (tokens, false),
                    LimitKind::Requests => (*requests, false),
                    LimitKind::Concurrency | LimitKind::Unspecified => unreachable!(),
                };
                let current = limit.window(now);
                let before = limit.window(current.0 - 1);
                // Before a window that never ends there is none.
                let too_late = before != current && at < before.0;
                late |= too_late;
                let start = if too_late { current.0 } else { limit.window(at).0 };
                let end = limit.window(start).1;
                let went = limit.reset_at.is_some_and(|reset_at| at < reset_at && (start..end).contains(&reset_at));
                if amount > 0 && (is_money || !too_late) && !went {
                    moves.push((owner.clone(), place, start, limit.used(start).checked_add(amount)?));
                }
            }
        }
        for (owner, place, start, used) in moves {
            let limit = &mut self.limits.get_mut(&owner).unwrap()[place];
            let was = limit.counted.insert(start, used).unwrap_or_default();
            let (before, max) = (limit.max_before(start, now), limit.max_at(now));
            let limit = limit.clone();
            self.cross(&limit, start, (was, before), (used, max));
        }
        self.spend.add(entry, at, &owners);
        Some(late)
    }

    /// Whose limits an entry touches; `None` if its key is not known.
    fn owners(&self, entry: &UsageEntry) -> Option<Vec<Owner>> {
        let UsageEntry { virtual_key_id: key_id, provider, model, .. } = entry;
        let (provider, model) = address(provider, model);
        let mut owners = vec![Owner::Provider(provider.to_owned())];
        let (mut parent, mut may_use_keys) = (Parent::Nobody, true);
        let mut scopes = vec![(ModelConfigScope::Global, String::new())];
        if let Some(key) = self.keys.get(key_id) {
            parent = key.parent.clone();
            owners.push(Owner::Key(key_id.clone()));
            scopes.push((ModelConfigScope::VirtualKey, key_id.clone()));
            let configs = key.configs.iter().filter(|config| config.provider == provider && permits(config, model));
            may_use_keys = configs.clone().any(|config| config.all_keys);
            owners.extend(configs.map(|config| Owner::Config(key_id.clone(), config.id)));
        } else if !key_id.is_empty() {
            let (former, deleted_at) = self.former.get(key_id)?;
            if self.now >= deleted_at + REMEMBERED {
                return None;
            }
            parent = former.clone();
        }
        let uses_limited = match &*entry.provider_key_id {
            "" => may_use_keys && provider != "anthropic",
            named => named == limited_key(provider),
        };
        if uses_limited {
            owners.push(Owner::ProviderKey(provider.to_owned()));
        }
        let (team, customer) = match parent {
            Parent::Nobody => (None, None),
            Parent::Customer(customer) => (None, Some(customer)),
            Parent::Team(team) => (Some(team.clone()), self.teams.get(&team).cloned().flatten()),
        };
        if let Some(team) = team.filter(|team| self.teams.contains_key(team)) {
            owners.push(Owner::Team(team.clone()));
            scopes.push((ModelConfigScope::Team, team));
        }
        if let Some(customer) = customer.filter(|customer| self.customers.contains(customer)) {
            owners.push(Owner::Customer(customer.clone()));
            scopes.push((ModelConfigScope::Customer, customer));
        }
        for (id, config) in &self.model_configs {
            let scoped = scopes.contains(&(config.scope, config.scope_id.clone()));
            let of_provider = config.provider.is_empty() || config.provider == provider;
            let of_model = names(&config.model, model, provider);
            if scoped && of_provider && of_model {
                owners.push(Owner::ModelConfig(id.clone()));
            }
        }
        Some(owners)
    }

    /// Notes the thresholds that are reached by (used, ceiling) `after` and were not `before`.
    fn cross(&mut self, limit: &Limit, start: Micros, before: (i64, i64), after: (i64, i64)) {
        for percent in limit.alerts.iter().copied() {
            let reached =
                |(used, max): (i64, i64)| used > 0 && i128::from(used) * 100 / i128::from(percent) >= max.into();
            if reached(after) && !reached(before) {
                self.events.entry((limit.id.clone(), limit.kind, start, percent)).or_insert(after.1);
            }
        }
    }

    /// The owner has these limits from `now` on, if any; with `reset`, its budgets start over.
    pub(crate) fn set_limits(&mut self, owner: Owner, desired: Vec<Limit>, reset: Reset, now: Micros) {
        let old = self.limits.remove(&owner).unwrap_or_default();
        let mut limits = Vec::with_capacity(desired.len());
        let calendar = self.calendar(&owner);
        for mut limit in desired {
            limit.calendar = calendar;
            // Both dimensions of a rate limit are set to zero together.
            let before = old.iter().find(|old| old.id == limit.id).and_then(|old| old.reset_at);
            limit.reset_at = if reset.concerns(limit.kind) { Some(now) } else { before };
            if let Some(old) = old.iter().find(|old| (&old.id, old.kind) == (&limit.id, limit.kind)) {
                limit.anchor = old.anchor;
                let (from, to) = (old.window(now), limit.window(now));
                limit.counted = old.counted.clone();
                let was = limit.counted.remove(&from.0).unwrap_or_default();
                let zero = reset.concerns(limit.kind) || (limit.aligned && limit.length.can_align() && !old.aligned);
                let used = if zero { 0 } else { was };
                limit.counted.insert(to.0, used);
                self.cross(&limit, to.0, (was, old.max_at(now)), (used, limit.max_at(now)));
            }
            limits.push(limit);
        }
        if !limits.is_empty() {
            self.limits.insert(owner, limits);
        }
    }

    /// Corrects what a limit has counted in its current window. What it was, what it is, and the start of the window.
    pub(crate) fn adjust(&mut self, owner: &Owner, place: usize, delta: i64) -> (i64, i64, Micros) {
        let limit = &mut self.limits.get_mut(owner).unwrap()[place];
        let start = limit.window(self.now).0;
        let before = limit.used(start);
        let used = (before + delta).max(0);
        limit.counted.insert(start, used);
        let limit = limit.clone();
        let max_before = limit.max_before(start, self.now);
        self.cross(&limit, start, (before, max_before), (used, limit.max_at(self.now)));
        (before, used, start)
    }
}
