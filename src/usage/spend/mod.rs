//! Spend: the sums of all that was counted, by hour and by whom it was counted for (`docs/design/usage.md §8`).

mod message;
mod zone;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
pub use zone::SpendZone;

use super::{Assigned, Entry};
use crate::domain::Timestamp;

/// An hour, in microseconds.
pub const HOUR_MICROS: i64 = 3_600_000_000;

/// Whom and what spend is kept apart by. An id or name is empty where there is none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SpendSeries {
    /// Id of the customer.
    pub customer_id: Arc<str>,
    /// Id of the team.
    pub team_id: Arc<str>,
    /// Id of the virtual key.
    pub virtual_key_id: Arc<str>,
    /// The provider that answered.
    pub provider: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
}

impl SpendSeries {
    /// The texts, in their order.
    pub fn texts(&self) -> [&Arc<str>; 5] {
        let Self { customer_id, team_id, virtual_key_id, provider, model } = self;
        [customer_id, team_id, virtual_key_id, provider, model]
    }

    /// The series of these texts.
    pub fn of([customer_id, team_id, virtual_key_id, provider, model]: [Arc<str>; 5]) -> Self {
        Self { customer_id, team_id, virtual_key_id, provider, model }
    }

    /// A hash of the texts, by which tables name the series.
    pub fn digest(&self) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        for text in self.texts() {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// A place where spend is added up: a series in an hour, or in a day once hours are joined.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpendCell {
    /// The start of the hour or the day.
    pub start: Timestamp,
    /// The series.
    pub series: SpendSeries,
}

/// How spend is kept over time.
#[derive(Clone, PartialEq, Debug)]
pub struct SpendCalendar {
    /// The time zone of the days that hours are joined to.
    pub zone: SpendZone,
    /// Where spend is kept by hours from, the start of a day; before it, by days.
    pub joined_until: Timestamp,
}

impl Default for SpendCalendar {
    /// As on a store where no server has started.
    fn default() -> Self {
        Self { zone: SpendZone::utc(), joined_until: Timestamp::MIN }
    }
}

impl SpendCalendar {
    /// Where what belongs to the hour `start` is added up.
    pub fn place(&self, start: Timestamp) -> Timestamp {
        if start < self.joined_until { self.zone.day(start).0 } else { start }
    }
}

/// What is added up. All are at least 0; a sum that 64 bits do not hold stays at the greatest number that they do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SpendAmounts {
    /// Requests made.
    pub requests: i64,
    /// Of them, those of which nobody knew the price.
    pub unpriced_requests: i64,
    /// Input tokens.
    pub input_tokens: i64,
    /// Of them, those read from the provider's cache.
    pub cached_input_tokens: i64,
    /// Of the input tokens, those written to the provider's cache.
    pub cache_write_tokens: i64,
    /// Output tokens.
    pub output_tokens: i64,
    /// Of them, those used to reason.
    pub reasoning_tokens: i64,
    /// Of the input and output tokens, those of audio.
    pub audio_tokens: i64,
    /// Nano-dollars.
    pub cost: i64,
}

impl SpendAmounts {
    /// How many amounts there are.
    pub const COUNT: usize = 9;

    /// The amounts, in their order.
    pub fn to_array(self) -> [i64; Self::COUNT] {
        [
            self.requests,
            self.unpriced_requests,
            self.input_tokens,
            self.cached_input_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.audio_tokens,
            self.cost,
        ]
    }

    /// The amounts in the order of [`Self::to_array`].
    pub fn from_array(amounts: [i64; Self::COUNT]) -> Self {
        let [
            requests,
            unpriced_requests,
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            audio_tokens,
            cost,
        ] = amounts;
        Self {
            requests,
            unpriced_requests,
            input_tokens,
            cached_input_tokens,
            cache_write_tokens,
            output_tokens,
            reasoning_tokens,
            audio_tokens,
            cost,
        }
    }

    /// The sum of these amounts and `more`.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        let mut sums = self.to_array();
        for (sum, more) in sums.iter_mut().zip(more.to_array()) {
            *sum = sum.saturating_add(more);
        }
        Self::from_array(sums)
    }

    /// Whether nothing was spent.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Spend to be added up, by its places.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpendTally(HashMap<SpendCell, SpendAmounts, RandomState>);

impl SpendTally {
    /// Adds an entry, which was assigned.
    pub fn count(&mut self, entry: &Entry, assigned: &Assigned) {
        let amounts = SpendAmounts {
            requests: entry.requests,
            unpriced_requests: entry.unpriced_requests,
            input_tokens: entry.input_tokens,
            cached_input_tokens: entry.cached_input_tokens,
            cache_write_tokens: entry.cache_write_tokens,
            output_tokens: entry.output_tokens,
            reasoning_tokens: entry.reasoning_tokens,
            audio_tokens: entry.audio_tokens,
            cost: entry.cost,
        };
        let series = SpendSeries {
            customer_id: assigned.customer_id.clone().unwrap_or_default(),
            team_id: assigned.team_id.clone().unwrap_or_default(),
            virtual_key_id: Arc::clone(&entry.virtual_key_id),
            provider: Arc::clone(&entry.provider),
            model: Arc::clone(&entry.model),
        };
        self.add(SpendCell { start: hour(assigned.at), series }, amounts);
    }

    /// Adds amounts to those of a place. Amounts of zero make no place.
    pub fn add(&mut self, cell: SpendCell, amounts: SpendAmounts) {
        if !amounts.is_zero() {
            let sum = self.0.entry(cell).or_default();
            *sum = sum.plus(amounts);
        }
    }

    /// Adds all that another tally has.
    pub fn add_all(&mut self, other: Self) {
        for (cell, amounts) in other.0 {
            self.add(cell, amounts);
        }
    }

    /// How many places have something.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = (&SpendCell, SpendAmounts)> {
        self.0.iter().map(|(cell, amounts)| (cell, *amounts))
    }
}

impl IntoIterator for SpendTally {
    type Item = (SpendCell, SpendAmounts);
    type IntoIter = std::collections::hash_map::IntoIter<SpendCell, SpendAmounts>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// The start of the hour that `at` lies in.
pub fn hour(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().div_euclid(HOUR_MICROS) * HOUR_MICROS)
}
