//! What was spent in each hour, by all that it is kept apart by.

use std::collections::BTreeMap;

use tollgate::proto::v1::{SpendAmounts, UsageEntry};

use super::Owner;
use super::window::Micros;

const HOUR: Micros = 3_600_000_000;

/// Customer, team, virtual key, provider and model.
pub(crate) type Series = [String; 5];

/// Requests, unpriced ones, input, cached input, cache writes, output, reasoning, audio, nano-dollars.
pub(crate) type Amounts = [i64; 9];

/// By the start of the hour.
#[derive(Default)]
pub(crate) struct Spend(pub(crate) BTreeMap<(Micros, Series), Amounts>);

impl Spend {
    /// Adds an entry that counts for `owners`.
    pub(super) fn add(&mut self, entry: &UsageEntry, at: Micros, owners: &[Owner]) {
        let (mut customer, mut team) = (String::new(), String::new());
        for owner in owners {
            match owner {
                Owner::Customer(id) => customer.clone_from(id),
                Owner::Team(id) => team.clone_from(id),
                Owner::Key(_) | Owner::Config(..) => {}
                Owner::ModelConfig(_) | Owner::Provider(_) | Owner::ProviderKey(_) => {}
            }
        }
        let UsageEntry { virtual_key_id, provider, model, .. } = entry.clone();
        let sum = self.0.entry((at.div_euclid(HOUR) * HOUR, [customer, team, virtual_key_id, provider, model]));
        let amounts = [
            entry.requests,
            entry.unpriced_requests,
            entry.input_tokens,
            entry.cached_input_tokens,
            entry.cache_write_tokens,
            entry.output_tokens,
            entry.reasoning_tokens,
            entry.audio_tokens,
            entry.cost_nano_usd,
        ];
        for (sum, amount) in sum.or_default().iter_mut().zip(amounts) {
            *sum = sum.saturating_add(amount);
        }
    }
}

/// Amounts in the order of [`Amounts`].
pub(crate) fn amounts(told: &SpendAmounts) -> Amounts {
    [
        told.requests,
        told.unpriced_requests,
        told.input_tokens,
        told.cached_input_tokens,
        told.cache_write_tokens,
        told.output_tokens,
        told.reasoning_tokens,
        told.audio_tokens,
        told.cost_nano_usd,
    ]
}
