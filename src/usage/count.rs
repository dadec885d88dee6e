//! One entry of a batch: which counters it moves.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decision::{Applied, Caller, chain, permits_model};
use crate::domain::{LimitKind, ResetDuration, Timestamp, VirtualKey, Window};
use crate::state::{CounterKey, FormerKey, State, Tally};

/// How far a node's clock may be ahead of ours. What is further ahead was consumed now.
const AHEAD_MICROS: i64 = 5 * 60 * 1_000_000;

/// What requests consumed.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// Id of the virtual key; empty for traffic without one.
    pub virtual_key_id: Box<str>,
    /// The provider that answered.
    pub provider: Box<str>,
    /// The model that answered.
    pub model: Box<str>,
    /// Requests made.
    pub requests: i64,
    /// Input tokens.
    pub input_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Nano-dollars.
    pub cost: i64,
    /// When; now if absent.
    pub occurred_at: Option<Timestamp>,
}

/// The keys that were deleted within the last 30 days, by their ids.
pub type FormerKeys = HashMap<Arc<str>, FormerKey>;

/// Why an entry does not count, in words that go on after "entry 3".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(pub String);

/// Adds an entry to the tally, whole or not at all. Whether it came too late for its window.
///
/// # Errors
///
/// The entry names an unknown key, is negative, or would overflow a counter; nothing of it was added.
pub fn count(
    state: &State,
    former: &FormerKeys,
    entry: &Entry,
    now: Timestamp,
    tally: &mut Tally<'_>,
) -> Result<bool, Refusal> {
    let Entry { requests, input_tokens, output_tokens, cost, .. } = entry;
    for (field, value) in [
        ("requests", requests),
        ("input_tokens", input_tokens),
        ("output_tokens", output_tokens),
        ("cost_nano_usd", cost),
    ] {
        if *value < 0 {
            return Err(Refusal(format!("{field} is {value}; must be at least 0")));
        }
    }
    let Some(tokens) = input_tokens.checked_add(*output_tokens) else {
        return Err(Refusal("input_tokens and output_tokens add up to more than 64 bits hold".to_owned()));
    };
    let (caller, configs) = match state.get::<VirtualKey>(&entry.virtual_key_id) {
        _ if entry.virtual_key_id.is_empty() => (Caller::default(), &[][..]),
        Some(key) => (Caller::of(state, key), &key.resource.provider_configs[..]),
        None => match former.get(&*entry.virtual_key_id) {
            Some(former) => (Caller::of_owner(state, former.owner.as_ref()), &[][..]),
            None => {
                // It is not repeated: somebody may have sent the value of a key.
                return Err(Refusal("virtual_key_id is not known; report the id of a key, never its value".to_owned()));
            }
        },
    };
    let configs = configs
        .iter()
        .filter(|config| config.provider.as_str() == &*entry.provider && permits_model(config, &entry.model));

    let at = match entry.occurred_at {
        Some(at) if at <= now.plus_micros(AHEAD_MICROS) => at,
        Some(_) | None => now,
    };
    let mut moved: Vec<(CounterKey, i64)> = Vec::with_capacity(16);
    let mut late = false;
    let mut add = |limit_id: Arc<str>, kind, amount: i64, anchor: Timestamp, length: &ResetDuration, aligned| {
        let window = |at| Window::at(anchor, length, aligned, at);
        let (own, current) = (window(at), window(now));
        // One window back counts where it belongs. Of what is older, money is never dropped; rates are of their time.
        let too_late = own.end < current.start;
        late |= too_late;
        let start = match (too_late, kind) {
            (false, _) => own.start,
            (true, LimitKind::Budget) => current.start,
            (true, LimitKind::Tokens | LimitKind::Requests) => return,
        };
        if amount > 0 {
            moved.push((CounterKey { limit_id, kind, window_start: start }, amount));
        }
    };
    for Applied { owner: _, limits, calendar_aligned } in chain(state, caller, &entry.provider, &entry.model, configs) {
        if let Some(rate) = limits.rate_limit.as_deref() {
            if let Some(token) = &rate.token {
                add(rate.id.shared(), LimitKind::Tokens, tokens, token.anchor, &token.reset_duration, calendar_aligned);
            }
            if let Some(request) = &rate.request {
                add(
                    rate.id.shared(),
                    LimitKind::Requests,
                    *requests,
                    request.anchor,
                    &request.reset_duration,
                    calendar_aligned,
                );
            }
        }
        for budget in &limits.budgets {
            add(budget.id.shared(), LimitKind::Budget, *cost, budget.anchor, &budget.reset_duration, calendar_aligned);
        }
    }
    tally.add(moved).map_err(|key| {
        let CounterKey { limit_id, kind, .. } = key;
        Refusal(format!("would overflow what {kind:?} of limit {limit_id} can count; report a smaller amount"))
    })?;
    Ok(late)
}
