//! Usage of the last answers of each model, from which that of the next is estimated if the caller gives no estimate.

use std::collections::{HashMap, VecDeque};

use tollgate_core::decision::Explanation;

use crate::decide::Estimate;

/// Answers of a model that are looked at.
const KEPT: usize = 1_000;
/// Models that are remembered: those beyond get what is expected of an unknown model.
const MODELS: usize = 1_000;
/// After so many answers the percentile is computed anew.
const EVERY: usize = 50;
/// LLM tokens of an answer of a model that nothing is known of.
const UNKNOWN: i64 = 256;
/// Nano-dollars to expect of a request of a model that nothing is known of: 0.01 USD.
pub(crate) const UNPRICED: i64 = 10_000_000;

#[derive(Default)]
pub(crate) struct Answers(HashMap<(Box<str>, Box<str>), Model>);

#[derive(Default)]
struct Model {
    outputs: VecDeque<i64>,
    since: usize,
    /// The 95th percentile of the LLM tokens of the answers.
    usual: Option<i64>,
    /// The most that a request cost.
    dearest: i64,
}

impl Answers {
    /// Notes an answer.
    pub(crate) fn note(&mut self, provider: &str, model: &str, output_tokens: i64, cost: i64) {
        let key = (provider.into(), model.into());
        if self.0.len() >= MODELS && !self.0.contains_key(&key) {
            return;
        }
        let model = self.0.entry(key).or_default();
        model.dearest = model.dearest.max(cost);
        if output_tokens <= 0 {
            return;
        }
        if model.outputs.len() == KEPT {
            model.outputs.pop_front();
        }
        model.outputs.push_back(output_tokens);
        model.since += 1;
        if model.usual.is_none() || model.since >= EVERY {
            model.since = 0;
            let mut sorted: Vec<_> = model.outputs.iter().copied().collect();
            sorted.sort_unstable();
            model.usual = sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1)).copied();
        }
    }

    /// An estimate with LLM tokens of both ways, where its caller gives none.
    pub(crate) fn complete(&self, estimate: Estimate, explanation: &Explanation) -> Estimate {
        let Explanation { provider, model, .. } = explanation;
        Estimate {
            input_tokens: Some(estimate.input_tokens.unwrap_or_default()),
            output_tokens: Some(estimate.output_tokens.unwrap_or_else(|| self.output_tokens(provider, model))),
            ..estimate
        }
    }

    /// LLM tokens to expect of an answer.
    pub(crate) fn output_tokens(&self, provider: &str, model: &str) -> i64 {
        let known = self.0.get(&(provider.into(), model.into()) as &(Box<str>, Box<str>));
        known.and_then(|model| model.usual).unwrap_or(UNKNOWN)
    }

    /// Nano-dollars of the dearest request of a model.
    pub(crate) fn dearest(&self, provider: &str, model: &str) -> Option<i64> {
        let known = self.0.get(&(provider.into(), model.into()) as &(Box<str>, Box<str>));
        known.map(|model| model.dearest).filter(|cost| *cost > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_95th_percentile_of_the_last_answers_is_expected() {
        let mut answers = Answers::default();
        assert_eq!((answers.output_tokens("p", "m"), answers.dearest("p", "m")), (256, None));
        for tokens in 1..=1_001 {
            answers.note("p", "m", tokens, tokens * 10);
        }
        assert_eq!((answers.output_tokens("p", "m"), answers.dearest("p", "m")), (951, Some(10_010)));
        for _ in 0..1_000 {
            answers.note("p", "m", 5, 0);
        }
        assert_eq!(answers.output_tokens("p", "m"), 5);
        assert_eq!(answers.output_tokens("p", "other"), 256);
    }
}
