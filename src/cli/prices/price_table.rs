//! Tables of prices as LiteLLM publishes them: a JSON object of models by their names. Bifrost's datasheet has the same
//! form, with `provider` instead of `litellm_provider`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{RATE_NAMES, Rates, bare_model};
use crate::proto::v1;
use crate::wire::render_rates;

/// The entry that explains the others.
const SAMPLE: &str = "sample_spec";
/// The rate that a table has by the size of the context, and the size that is taken.
const BY_SIZE: (&str, &str) = ("search_context_cost_per_query", "search_context_size_medium");
/// Parts of the names of fields that are about money.
const MONEY: [&str; 3] = ["cost", "pricing", "multiplier"];
/// Providers that have another name here. What follows a `-` in the table's name is a family of models.
const PROVIDERS: [(&str, &str); 9] = [
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("hosted_vllm", "vllm"),
    ("runwayml", "runway"),
    ("text-completion-codestral", "mistral"),
    ("text-completion-openai", "openai"),
    ("vertex_ai", "vertex"),
];

/// Remarks on a table: what was not taken from it, each with the models that it is said of.
#[derive(Default, Debug)]
pub(super) struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    pub(super) fn add(&mut self, what: impl Into<String>, model: &str) {
        self.0.entry(what.into()).or_default().push(model.to_owned());
    }

    /// Each remark on a line, the one about most models first.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut notes: Vec<_> = self.0.iter().collect();
        notes.sort_by_key(|(_, models)| std::cmp::Reverse(models.len()));
        let line = |(what, models): (&String, &Vec<String>)| match models.as_slice() {
            [model] => format!("{what}: {model}"),
            [first, ..] => format!("{what}: {} entries, such as {first}", models.len()),
            [] => what.clone(),
        };
        notes.into_iter().map(line).collect()
    }
}

/// A table that was read.
#[derive(Debug)]
pub(super) struct PriceTable {
    /// The prices with the names that they have in the table, in the order of these.
    pub(super) prices: Vec<(String, v1::ModelPrice)>,
    /// Remarks on what was not taken.
    pub(super) notes: Notes,
}

impl PriceTable {
    /// Reads a table. All its prices get `source`.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub(super) fn read(json: &[u8], source: &str) -> serde_json::Result<Self> {
        let entries: BTreeMap<String, Value> = serde_json::from_slice(json)?;
        let (mut prices, mut notes) = (Vec::new(), Notes::default());
        for (name, entry) in entries.iter().filter(|(name, _)| *name != SAMPLE) {
            let of = match entry.get("alias_of").and_then(Value::as_str) {
                Some(target) => entries.get(target),
                None => Some(entry),
            };
            let price = of.and_then(Value::as_object).ok_or("is an alias of no entry, or no object".to_owned());
            match price.and_then(|entry| read_entry(name, entry, source, &mut notes)) {
                Ok(price) => prices.push((name.clone(), price)),
                Err(why) => notes.add(why, name),
            }
        }
        Ok(Self { prices, notes })
    }
}

/// The price of an entry, or the reason why it has none.
fn read_entry(
    name: &str,
    entry: &Map<String, Value>,
    source: &str,
    notes: &mut Notes,
) -> Result<v1::ModelPrice, String> {
    let stated = ["litellm_provider", "provider"].into_iter().find_map(|field| entry.get(field)?.as_str());
    let stated = stated.ok_or("names no provider")?;
    if name.contains('*') {
        return Err("is for a pattern of models, which a pricing override can be for".to_owned());
    }
    let rates = read_rates(name, entry, notes);
    if rates.0.is_empty() {
        return Err("has none of the rates that Tollgate has".to_owned());
    }
    let (family, provider) = provider(stated);
    Ok(v1::ModelPrice {
        provider: provider.to_owned(),
        model: bare_model(bare_model(name, family), provider).to_owned(),
        rates: Some(render_rates(&rates)),
        context_window: count(entry, "max_input_tokens"),
        max_output_tokens: count(entry, "max_output_tokens"),
        source: source.to_owned(),
        ..v1::ModelPrice::default()
    })
}

fn read_rates(name: &str, entry: &Map<String, Value>, notes: &mut Notes) -> Rates {
    let mut rates = Vec::new();
    for (rate, place) in RATE_NAMES.into_iter().zip(0_u8..) {
        let value = match entry.get(rate) {
            None | Some(Value::Null) => continue,
            Some(value @ Value::Object(sizes)) if rate == BY_SIZE.0 => sizes.get(BY_SIZE.1).unwrap_or(value),
            Some(value) => value,
        };
        match value.as_f64() {
            Some(dollars) => rates.push((place, dollars)),
            None => notes.add(format!("{rate} is no number"), name),
        }
    }
    let unknown = entry.keys().filter(|field| !RATE_NAMES.contains(&field.as_str()));
    for field in unknown.filter(|field| MONEY.iter().any(|part| field.contains(part))) {
        notes.add(format!("{field} is no rate that Tollgate has"), name);
    }
    Rates(rates)
}

/// The prefix that a table gives to the models of a provider, and the name of the provider here.
fn provider(stated: &str) -> (&str, &str) {
    let is = |name: &str| stated.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    PROVIDERS.into_iter().find(|(name, _)| is(name)).unwrap_or((stated, stated))
}

/// A number of LLM tokens; 0 if it is not stated.
fn count(entry: &Map<String, Value>, field: &str) -> i64 {
    entry.get(field).and_then(Value::as_i64).unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(table: &Value) -> PriceTable {
        PriceTable::read(table.to_string().as_bytes(), "a table").unwrap()
    }

    #[test]
    fn an_entry_is_the_price_of_a_model_at_a_provider() {
        let table = read(&json!({
            "sample_spec": {"litellm_provider": "one of many", "input_cost_per_token": 0},
            "gpt-4o": {
                "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128_000, "max_output_tokens": 16_384,
                "input_cost_per_token": 2.5e-6, "output_cost_per_token": 1e-5, "source": "https://example.com",
                "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02},
            },
        }));
        let rates = v1::PricingPatch {
            input_cost_per_token: Some(2.5e-6),
            output_cost_per_token: Some(1e-5),
            search_context_cost_per_query: Some(0.02),
            ..v1::PricingPatch::default()
        };
        let price = v1::ModelPrice {
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            rates: Some(rates),
            context_window: 128_000,
            max_output_tokens: 16_384,
            source: "a table".to_owned(),
            ..v1::ModelPrice::default()
        };
        assert_eq!(table.prices, [("gpt-4o".to_owned(), price)]);
        assert!(table.notes.lines().is_empty(), "{:?}", table.notes);
    }

    #[test]
    fn models_and_providers_get_the_names_that_they_have_here() {
        for (name, provider, expected) in [
            ("gpt-4o", json!({"provider": "openai"}), ("openai", "gpt-4o")),
            ("azure/eu/gpt-4o", json!({"litellm_provider": "azure"}), ("azure", "eu/gpt-4o")),
            ("azure/gpt-35", json!({"litellm_provider": "azure_text"}), ("azure", "gpt-35")),
            ("vertex_ai/claude", json!({"litellm_provider": "vertex_ai-anthropic_models"}), ("vertex", "claude")),
            ("gemini-pro", json!({"litellm_provider": "vertex_ai-language-models"}), ("vertex", "gemini-pro")),
            ("groq/openai/gpt-oss", json!({"litellm_provider": "groq"}), ("groq", "openai/gpt-oss")),
            ("vertex_air/x", json!({"litellm_provider": "vertex_air"}), ("vertex_air", "x")),
        ] {
            let mut entry = provider;
            entry["input_cost_per_token"] = json!(0);
            let table = read(&json!({ name: entry }));
            let (_, price) = &table.prices[0];
            assert_eq!((price.provider.as_str(), price.model.as_str()), expected, "{name}");
        }
        let entry = json!({"litellm_provider": "bedrock", "input_cost_per_token": 1});
        let table = read(&json!({"bedrock/latest": {"alias_of": "nova"}, "nova": entry}));
        let models: Vec<_> = table.prices.iter().map(|(_, price)| price.model.as_str()).collect();
        assert_eq!(models, ["latest", "nova"]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let table = read(&json!({
            "a": {"litellm_provider": "openai", "input_cost_per_token": "much", "input_cost_per_token_flex": 1},
            "b": {"litellm_provider": "openai", "input_cost_per_token": 1, "input_cost_per_token_flex": 1},
            "c/*": {"litellm_provider": "openai", "input_cost_per_token": 1},
            "d": {"input_cost_per_token": 1},
            "e": {"alias_of": "f"},
            "g": 7,
        }));
        assert_eq!(table.prices.len(), 1);
        let expected = [
            "input_cost_per_token_flex is no rate that Tollgate has: 2 entries, such as a",
            "is an alias of no entry, or no object: 2 entries, such as e",
            "has none of the rates that Tollgate has: a",
            "input_cost_per_token is no number: a",
            "is for a pattern of models, which a pricing override can be for: c/*",
            "names no provider: d",
        ];
        assert_eq!(table.notes.lines(), expected);
        PriceTable::read(b"[]", "").unwrap_err();
    }
}
