//! What requests consumed, and which windows of which limits that counts against.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::counters::{CounterKey, Dimension, add_dimensions};
use crate::decision::{Applied, Caller, address, chain, only_provider_key, permits_key, permits_model};
use crate::domain::{AlertPercents, KeyOwner, LimitKind, Timestamp, VirtualKey, Window};

/// How long the owners of a deleted key are remembered, so that its usage still counts for them.
pub const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How far a node's clock may be ahead of ours. What is further ahead was consumed now.
const AHEAD_MICROS: i64 = 5 * 60 * 1_000_000;

/// What requests consumed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Entry {
    /// Id of the virtual key; empty for traffic without one.
    pub virtual_key_id: Arc<str>,
    /// The provider that answered.
    pub provider: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// Id of the provider key that was used, if it is known.
    pub provider_key_id: Option<Arc<str>>,
    /// Requests made.
    pub requests: i64,
    /// Input tokens.
    pub input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Nano-dollars.
    pub cost: i64,
    /// Of the input tokens, those read from the provider's cache.
    pub cached_input_tokens: i64,
    /// Of the input tokens, those written to the provider's cache.
    pub cache_write_tokens: i64,
    /// Of the output tokens, those used to reason.
    pub reasoning_tokens: i64,
    /// Of the input and output tokens, those of audio.
    pub audio_tokens: i64,
    /// Of the requests, those of which nobody knew the price.
    pub unpriced_requests: i64,
    /// When; now if absent.
    pub occurred_at: Option<Timestamp>,
}

/// What is left of a deleted key: who owned it.
#[derive(Clone, PartialEq, Debug)]
pub struct FormerKey {
    /// Its team or customer.
    pub owner: Option<KeyOwner>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
}

/// The keys that were deleted within the last 30 days, by their ids.
pub type FormerKeys = HashMap<Arc<str>, FormerKey>;

/// Why an entry does not count, in words that go on after "entry 3".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(pub String);

/// What is to be counted against one window of one limit.
#[derive(Clone, Debug)]
pub struct Amount {
    /// The window.
    pub key: CounterKey,
    /// How much.
    pub amount: i64,
    /// The ceiling now.
    pub max: i64,
    /// The ceiling before: the higher one, if an increase ended in this window.
    pub max_before: i64,
    /// The percentages of the ceiling whose crossing is recorded.
    pub alert_percents: AlertPercents,
}

/// What an entry moves.
pub struct Assigned {
    /// How much of which windows; no two are of the same.
    pub amounts: Vec<Amount>,
    /// Whether it came too late for its window.
    pub late: bool,
    /// When the first of the current windows ends, or a ceiling changes: until then the entry moves the same.
    pub until: Timestamp,
    /// When it was consumed.
    pub at: Timestamp,
    /// The last of the times, up to that, from which on usage counts in these windows: what was consumed in between moves the
    /// same windows.
    pub from: Timestamp,
    /// Id of the customer that it is counted for.
    pub customer_id: Option<Arc<str>>,
    /// Id of the team that it is counted for.
    pub team_id: Option<Arc<str>>,
}

/// Why an entry moves nothing.
pub enum Fault {
    /// Its key is not known.
    UnknownKey,
    /// For this.
    Refused(Refusal),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            // It is not repeated: somebody may have sent the value of a key.
            Fault::UnknownKey => {
                Refusal("virtual_key_id is not known; report the id of a key, never its value".to_owned())
            }
            Fault::Refused(refusal) => refusal,
        }
    }
}

/// The counters that an entry moves at the time `now`.
pub fn assign(config: &Config, former: &FormerKeys, entry: &Entry, now: Timestamp) -> Result<Assigned, Fault> {
    assign_late(config, former, entry, now, |_| false)
}

/// The counters that an entry moves at the time `now`, where `is_open` windows still count what was consumed in them, however late it
/// comes: nodes hold credit there.
pub fn assign_late(
    config: &Config,
    former: &FormerKeys,
    entry: &Entry,
    now: Timestamp,
    is_open: impl Fn(&CounterKey) -> bool,
) -> Result<Assigned, Fault> {
    let Entry { requests, input_tokens, output_tokens, cost, .. } = entry;
    for (field, value) in [
        ("requests", requests),
        ("input_tokens", input_tokens),
        ("output_tokens", output_tokens),
        ("cost_nano_usd", cost),
        ("cached_input_tokens", &entry.cached_input_tokens),
        ("cache_write_tokens", &entry.cache_write_tokens),
        ("reasoning_tokens", &entry.reasoning_tokens),
        ("audio_tokens", &entry.audio_tokens),
        ("unpriced_requests", &entry.unpriced_requests),
    ] {
        if *value < 0 {
            return Err(Fault::Refused(Refusal(format!("{field} is {value}; must be at least 0"))));
        }
    }
    let Some(tokens) = input_tokens.checked_add(*output_tokens) else {
        let text = "input_tokens and output_tokens add up to more than 64 bits hold";
        return Err(Fault::Refused(Refusal(text.to_owned())));
    };
    let (caller, configs) = match config.get::<VirtualKey>(&entry.virtual_key_id) {
        _ if entry.virtual_key_id.is_empty() => (Caller::default(), &[][..]),
        Some(key) => (Caller::of(config, key), &key.resource.provider_configs[..]),
        None => match former.get(&*entry.virtual_key_id) {
            Some(former) if now < former.deleted_at.plus_micros(REMEMBERED.as_micros() as i64) => {
                (Caller::of_owner(config, former.owner.as_ref()), &[][..])
            }
            Some(_) | None => return Err(Fault::UnknownKey),
        },
    };
    let named = entry.provider_key_id.as_deref().unwrap_or_default();
    let (provider, model) = address(config, &entry.provider, named, &entry.model);
    let configs = configs.iter().filter(|provider_config| {
        provider_config.provider.as_str() == provider && permits_model(provider_config, model)
    });
    // As decisions have it: the one that is named, or the only one that may have been used.
    let may_use = |id: &str| !caller.has_key() || configs.clone().any(|config| permits_key(config, Some(id)));
    let provider_key_id = entry.provider_key_id.as_deref().or_else(|| only_provider_key(config, provider, may_use));

    let at = match entry.occurred_at {
        Some(at) if at <= now.plus_micros(AHEAD_MICROS) => at,
        Some(_) | None => now,
    };
    let mut dimensions = Vec::with_capacity(16);
    for Applied { owner, limits, calendar } in chain(config, caller, provider, provider_key_id, model, configs) {
        add_dimensions(&owner, limits, calendar, &mut dimensions);
    }
    let mut assigned = Assigned {
        amounts: Vec::with_capacity(dimensions.len()),
        late: false,
        until: Timestamp::MAX,
        at,
        from: Timestamp::from_micros(i64::MIN),
        customer_id: caller.customer_id(),
        team_id: caller.team_id(),
    };
    for dimension in dimensions {
        let current = dimension.window(now);
        let own = if at == now { current } else { dimension.window(at) };
        assigned.until = assigned.until.min(dimension.holds_until(now));
        // One window back counts where it belongs. Of what is older, money is never dropped; rates are of their time.
        let too_late = own.end < current.start && !is_open(&dimension.counter(at));
        assigned.late |= too_late;
        let (amount, window) = match dimension.kind {
            LimitKind::Budget if too_late => (*cost, current),
            LimitKind::Budget => (*cost, own),
            LimitKind::Tokens | LimitKind::Requests if too_late => continue,
            // Of it nothing is counted.
            LimitKind::Concurrency => continue,
            LimitKind::Tokens => (tokens, own),
            LimitKind::Requests => (*requests, own),
        };
        if amount > 0 && !dimension.went_with_reset(at, &window) {
            let from = dimension.counts_from(&window);
            if from <= at {
                assigned.from = assigned.from.max(from);
            }
            let (max, max_before) = (dimension.max(now), dimension.greatest_max(&window, now));
            let Dimension { limit_id, kind, alert_percents, .. } = dimension;
            let key = CounterKey { limit_id, kind, window_start: window.start };
            assigned.amounts.push(Amount { key, amount, max, max_before, alert_percents: alert_percents.clone() });
        }
    }
    Ok(assigned)
}

/// Whether nothing can be counted in this window any more, nor be asked of it: its limit is gone, or it is past.
pub fn is_over(config: &Config, key: &CounterKey, now: Timestamp) -> bool {
    config.limit(&key.limit_id, key.kind).is_none_or(|limit| is_past(&limit, key, now))
}

/// Whether a window of `limit` is older than the two windows before the current one.
pub fn is_past(limit: &Dimension<'_>, key: &CounterKey, now: Timestamp) -> bool {
    let before = |window: Window| limit.window(window.start.plus_micros(-1));
    key.window_start < before(before(limit.window(now))).start
}
