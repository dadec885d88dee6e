//! Prices of models (`docs/prices.md`).

use super::{Id, Provider, Rates, Timestamp, bare_model};

/// The price of a model at a provider, for a stretch of time.
#[derive(Clone, PartialEq, Debug)]
pub struct ModelPrice {
    /// The provider.
    pub provider: Id<Provider>,
    /// The model, as it was written.
    pub model: Box<str>,
    /// The rates.
    pub rates: Rates,
    /// LLM tokens that a request and its answer may have together; 0 if unknown.
    pub context_window: i64,
    /// LLM tokens that an answer may have; 0 if unknown.
    pub max_output_tokens: i64,
    /// Where the price is from, for people and for imports.
    pub source: Box<str>,
    /// From when on it holds; always if `None`.
    pub valid_from: Option<Timestamp>,
    /// Until when it holds, that instant excluded; for ever if `None`.
    pub valid_to: Option<Timestamp>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

impl ModelPrice {
    /// The name by which the model is compared.
    pub fn bare_model(&self) -> &str {
        bare_model(&self.model, self.provider.as_str())
    }

    /// Whether it holds at `at`.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= at) && self.valid_to.is_none_or(|to| at < to)
    }
}
