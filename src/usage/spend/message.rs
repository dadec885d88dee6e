//! Amounts of spend as the API has them.

use super::SpendAmounts;
use crate::proto::v1;

impl From<SpendAmounts> for v1::SpendAmounts {
    fn from(amounts: SpendAmounts) -> Self {
        Self {
            requests: amounts.requests,
            unpriced_requests: amounts.unpriced_requests,
            input_tokens: amounts.input_tokens,
            cached_input_tokens: amounts.cached_input_tokens,
            cache_write_tokens: amounts.cache_write_tokens,
            output_tokens: amounts.output_tokens,
            reasoning_tokens: amounts.reasoning_tokens,
            audio_tokens: amounts.audio_tokens,
            cost_nano_usd: amounts.cost,
        }
    }
}

impl From<v1::SpendAmounts> for SpendAmounts {
    fn from(amounts: v1::SpendAmounts) -> Self {
        Self {
            requests: amounts.requests,
            unpriced_requests: amounts.unpriced_requests,
            input_tokens: amounts.input_tokens,
            cached_input_tokens: amounts.cached_input_tokens,
            cache_write_tokens: amounts.cache_write_tokens,
            output_tokens: amounts.output_tokens,
            reasoning_tokens: amounts.reasoning_tokens,
            audio_tokens: amounts.audio_tokens,
            cost: amounts.cost_nano_usd,
        }
    }
}
