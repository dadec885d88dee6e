use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::domain::BUILT_IN;

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

#[test]
fn the_default_table_is_whole() {
    let table = PriceTable::read(DEFAULT, SOURCE).unwrap();
    assert!(table.notes.lines().is_empty(), "{:?}", table.notes);
    let prices = default_prices().unwrap();
    assert!(prices.len() >= 60);
    let built_in = prices.iter().all(|price| BUILT_IN.contains(&price.provider.as_str()));
    assert!(built_in);
    let places: BTreeSet<_> = prices.iter().map(ModelPrice::place).collect();
    assert_eq!(places.len(), prices.len());
    // A rate of a whole dollar for an LLM token is one that somebody forgot to divide by a million.
    let per_token = prices.iter().flat_map(|it| it.rates.named()).filter(|(name, _)| name.contains("token"));
    per_token.for_each(|(name, rate)| assert!(rate > 0.0 && rate < 0.001, "{name} {rate}"));
    let about: Value = serde_json::from_slice(DEFAULT).unwrap();
    assert_eq!(format!("{DEFAULT_SOURCE}{}", about[SAMPLE]["date"].as_str().unwrap()), SOURCE);
    for price in &prices {
        assert!(about[SAMPLE]["sources"][price.provider.as_str()].is_string(), "{}", price.provider.as_str());
    }
    assert!(is_default(SOURCE) && !is_default("litellm"));
}
