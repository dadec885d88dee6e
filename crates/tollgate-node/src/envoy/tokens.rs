//! Usage as the APIs tell it, each in its own words.

use serde_json::Value;

/// LLM tokens that an answer told of; `None` where it did not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tokens {
    /// All LLM tokens of the prompt.
    pub(super) input: Option<i64>,
    /// Of them, those that were read from the provider's cache.
    pub(super) cache_read: Option<i64>,
    /// Of them, those that were written to it.
    pub(super) cache_creation: Option<i64>,
    /// LLM tokens of the answer.
    pub(super) output: Option<i64>,
}

impl Tokens {
    /// Reads a usage object.
    pub(super) fn read(usage: &Value) -> Self {
        let count = |path: &str| usage.pointer(path).and_then(Value::as_i64).filter(|count| *count >= 0);
        let first = |paths: &[&str]| paths.iter().find_map(|path| count(path));
        // These stand beside the other LLM tokens of the prompt, and not among them.
        let beside = [count("/cache_read_input_tokens"), count("/cache_creation_input_tokens")];
        let whole = |input: i64| beside.iter().flatten().fold(input, |sum, more| sum.saturating_add(*more));
        Self {
            input: count("/prompt_tokens").or_else(|| count("/input_tokens").map(whole)),
            cache_read: first(&[
                "/prompt_tokens_details/cached_tokens",
                "/input_tokens_details/cached_tokens",
                "/cache_read_input_tokens",
            ]),
            cache_creation: count("/cache_creation_input_tokens"),
            output: first(&["/completion_tokens", "/output_tokens"]),
        }
    }

    /// Adds what was told later. Events tell growing sums.
    pub(super) fn note(&mut self, later: Self) {
        self.input = self.input.max(later.input);
        self.cache_read = self.cache_read.max(later.cache_read);
        self.cache_creation = self.cache_creation.max(later.cache_creation);
        self.output = self.output.max(later.output);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_api_tells_usage_in_its_own_words() {
        let tokens = |input, cache_read, cache_creation, output| Tokens { input, cache_read, cache_creation, output };
        for (usage, expected) in [
            (
                json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 6}}),
                tokens(Some(10), Some(6), None, Some(4)),
            ),
            (json!({"prompt_tokens": 10, "total_tokens": 10}), tokens(Some(10), None, None, None)),
            (
                json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 6}, "output_tokens": 4}),
                tokens(Some(10), Some(6), None, Some(4)),
            ),
            (
                json!({"input_tokens": 10, "cache_read_input_tokens": 6, "cache_creation_input_tokens": 3, "output_tokens": 4}),
                tokens(Some(19), Some(6), Some(3), Some(4)),
            ),
            (json!({"output_tokens": 4}), tokens(None, None, None, Some(4))),
            (json!({"prompt_tokens": -1, "completion_tokens": "4", "prompt_tokens_details": null}), Tokens::default()),
            (json!([]), Tokens::default()),
        ] {
            assert_eq!(Tokens::read(&usage), expected, "{usage}");
        }
    }
}
