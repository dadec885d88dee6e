//! The cost of requests, by the prices in the copy.

use std::collections::HashSet;

use tollgate_core::config::Config;
use tollgate_core::decision::{Explanation, KeyGiven, PriceRequest, rates};
use tollgate_core::domain::Timestamp;
use tollgate_core::price::{self, cost};
use tollgate_core::proto::v1::UsageEntry;

use crate::admission::Used;
use crate::decide::{Estimate, Request};
use crate::outbox::state::Open;

/// Models without a price that are named in the log; more of them are only counted.
const NAMED: usize = 1_000;

/// The settlements that nobody could price.
#[derive(Default)]
pub(crate) struct Pricing {
    named: HashSet<(String, String)>,
    unpriced: u64,
}

impl Pricing {
    /// The usage of a request, with its cost: what its caller says, else what the price of its model makes of it, else 0.
    pub(crate) fn entry(&mut self, config: &Config, used: &Used, open: &Open, at: Timestamp) -> UsageEntry {
        let mut entry = used.entry(&open.estimate);
        if used.cost_nano_usd.is_some() {
            return entry;
        }
        let request = PriceRequest {
            virtual_key_id: &entry.virtual_key_id,
            provider: &entry.provider,
            provider_key_id: &entry.provider_key_id,
            model: &entry.model,
            request_type: &open.request_type,
        };
        match rates(config, &request, at) {
            Some(rates) => entry.cost_nano_usd = cost(&rates, &used.amounts()).nanos(),
            None => {
                entry.unpriced_requests = entry.requests;
                self.note(&entry.provider, &entry.model);
            }
        }
        entry
    }

    fn note(&mut self, provider: &str, model: &str) {
        self.unpriced += 1;
        if self.named.len() < NAMED && self.named.insert((provider.to_owned(), model.to_owned())) {
            tracing::warn!(provider, model, "nobody knows the price of a model: its requests cost nothing");
        }
    }

    /// Settlements that cost nothing since nobody knows their price.
    pub(crate) fn unpriced(&self) -> u64 {
        self.unpriced
    }
}

/// The cost that is expected of a request.
pub(crate) struct Estimated {
    /// Nano-dollars.
    pub(crate) cost: i64,
    /// Whether the price is explicitly 0.
    pub(crate) is_free: bool,
}

/// The cost that is expected of a request, by the price of the model where it goes; `None` if nobody knows that price.
pub(crate) fn estimated_cost(
    config: &Config,
    key: KeyGiven<'_>,
    request: &Request<'_>,
    estimate: Estimate,
    explanation: &Explanation,
    at: Timestamp,
) -> Option<Estimated> {
    let request = PriceRequest {
        virtual_key_id: match key {
            KeyGiven::Key(key) => key.id.as_str(),
            _ => "",
        },
        provider: &explanation.provider,
        provider_key_id: explanation.key_id.as_deref().unwrap_or_default(),
        model: &explanation.model,
        request_type: request.request_type,
    };
    let count = |number: Option<i64>| number.and_then(|it| u64::try_from(it).ok()).unwrap_or_default();
    let used = price::Usage {
        input_tokens: count(estimate.input_tokens),
        output_tokens: count(estimate.output_tokens),
        ..price::Usage::default()
    };
    let rates = rates(config, &request, at)?;
    Some(Estimated { cost: cost(&rates, &used).nanos(), is_free: rates.are_free() })
}
