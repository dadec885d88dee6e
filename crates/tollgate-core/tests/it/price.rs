//! Costs beside those that LiteLLM computes. `price/recompute.py` writes `price/cases.json` anew.

use std::collections::BTreeMap;

use serde_json::Value;
use tollgate_core::domain::{RATE_NAMES, Rates};
use tollgate_core::price::{Tier, Usage, cost};

/// Where Tollgate says something else: why, and the cases with the nano-dollars that it says.
const DIFFERENCES: [(&str, &[(&str, i64)]); 4] = [
    (
        "LiteLLM halves the standard rates of a batch whose model has none for batches; here the standard rates hold",
        &[
            ("gpt-audio: batch", 30_000_000),
            ("gpt-audio: cached batch", 30_000_000),
            ("mistral/mistral-large-latest: batch", 5_000_000),
            ("mistral/mistral-large-latest: cached batch", 4_550_000),
            ("mistral/codestral-latest: batch", 3_000_000),
            ("mistral/codestral-latest: cached batch", 2_730_000),
            ("cerebras/gpt-oss-120b: batch", 2_900_000),
            ("cerebras/gpt-oss-120b: cached batch", 2_900_000),
            ("groq/openai/gpt-oss-20b: batch", 900_000),
            ("groq/openai/gpt-oss-20b: cached batch", 862_500),
            ("groq/openai/gpt-oss-120b: batch", 1_800_000),
            ("groq/openai/gpt-oss-120b: cached batch", 1_725_000),
            ("command-a-03-2025: batch", 30_000_000),
            ("command-a-03-2025: cached batch", 30_000_000),
            ("deepseek/deepseek-chat: batch", 1_960_000),
            ("deepseek/deepseek-chat: cached batch", 1_708_000),
        ],
    ),
    (
        "LiteLLM has a rate of its own for what a batch reads from the cache; here the standard rate of the cache holds",
        &[
            ("gpt-5: cached batch", 12_000_000),
            ("gpt-5-mini: cached batch", 2_400_000),
            ("gpt-5.5: cached batch", 38_000_000),
            ("claude-sonnet-4-5: cached batch", 19_800_000),
            ("claude-sonnet-5: cached batch", 13_200_000),
            ("claude-haiku-4-5: cached batch", 6_600_000),
            ("claude-opus-4-5: cached batch", 33_000_000),
            ("xai/grok-4.3: cached batch", 7_200_000),
        ],
    ),
    (
        "LiteLLM has rates above 272k LLM tokens, and above 200k with priority",
        &[("gpt-5.5: very long", 1_590_000_000), ("gemini/gemini-2.5-pro: long priority", 555_000_000)],
    ),
    (
        "LiteLLM takes a prompt of xAI with exactly 200,000 LLM tokens for a long one",
        &[("xai/grok-4.3: 200k", 252_500_000)],
    ),
];

fn rates(value: &Value) -> Rates {
    let named = value.as_object().unwrap();
    let places = (0_u8..).zip(RATE_NAMES);
    Rates(places.filter_map(|(place, name)| Some((place, named.get(name)?.as_f64().unwrap()))).collect())
}

fn usage(value: &Value) -> Usage {
    let mut used = Usage::default();
    for (name, value) in value.as_object().unwrap() {
        let number = || value.as_u64().unwrap();
        match name.as_str() {
            "tier" if value == "batch" => used.tier = Tier::Batch,
            "tier" if value == "priority" => used.tier = Tier::Priority,
            "input_tokens" => used.input_tokens = number(),
            "cache_read_tokens" => used.cache_read_tokens = number(),
            "cache_creation_tokens" => used.cache_creation_tokens = number(),
            "input_audio_tokens" => used.input_audio_tokens = number(),
            "output_tokens" => used.output_tokens = number(),
            "output_audio_tokens" => used.output_audio_tokens = number(),
            other => panic!("this test does not know {other}"),
        }
    }
    used
}

#[test]
fn costs_are_those_of_litellm_but_for_listed_differences() {
    let table: Value = serde_json::from_str(include_str!("price/cases.json")).unwrap();
    let mut wrong = Vec::new();
    let mut listed: BTreeMap<&str, (i64, &str)> = DIFFERENCES
        .into_iter()
        .flat_map(|(why, cases)| cases.iter().map(move |(case, ours)| (*case, (*ours, why))))
        .collect();
    for model in table["models"].as_array().unwrap() {
        for case in model["cases"].as_array().unwrap() {
            let name = format!("{}: {}", model["model"].as_str().unwrap(), case["name"].as_str().unwrap());
            let theirs = case["nano_usd"].as_i64().unwrap();
            let ours = cost(&rates(&model["rates"]), &usage(&case["usage"])).nanos();
            let expected = match listed.remove(name.as_str()) {
                Some((expected, why)) => {
                    assert_ne!(expected, theirs, "{name} is no difference any more: {why}");
                    expected
                }
                None => theirs,
            };
            if ours != expected {
                wrong.push(format!("{name}: {ours} instead of {expected} (LiteLLM: {theirs})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(listed.is_empty(), "there are no such cases: {listed:?}");
}

/// Why LiteLLM may say something else than Tollgate about a case of a model with these rates here, and those `beyond` there.
fn explanation(model: &str, rates: &Value, beyond: &[&str], usage: &Value) -> Option<&'static str> {
    let (tier, input) = (usage["tier"].as_str(), usage["input_tokens"].as_u64().unwrap());
    let there_is = |part: &str| beyond.iter().any(|name| name.contains(part));
    if tier == Some("batch") && rates["input_cost_per_token_batches"].is_null() {
        return Some("LiteLLM halves rates of batches that state none");
    }
    if tier == Some("batch") && there_is("_batches") {
        return Some("LiteLLM has rates of batches beyond the 42");
    }
    if tier == Some("priority") && input > 200_000 && there_is("above_200k_tokens_priority") {
        return Some("LiteLLM has rates above 200k LLM tokens with priority");
    }
    if input > 100_000 && there_is("above_100k") || input > 272_000 && there_is("above_272k") {
        return Some("LiteLLM has rates above 100k or 272k LLM tokens");
    }
    (model.starts_with("xai/") && input == 200_000)
        .then_some("LiteLLM takes exactly 200,000 LLM tokens of xAI for a long prompt")
}

#[test]
#[ignore = "reads what recompute.py --wide writes"]
fn costs_of_many_models_are_those_of_litellm_but_for_explained_differences() {
    let path =
        std::env::var("TOLLGATE_PRICE_CASES").expect("TOLLGATE_PRICE_CASES names what recompute.py --wide wrote");
    let table: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut equal, mut explained, mut wrong) = (0, BTreeMap::<_, usize>::new(), Vec::new());
    let models = table["models"].as_array().unwrap();
    for model in models {
        let name = model["model"].as_str().unwrap();
        let beyond: Vec<_> = model["beyond"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for case in model["cases"].as_array().unwrap() {
            let theirs = case["nano_usd"].as_i64().unwrap();
            let ours = cost(&rates(&model["rates"]), &usage(&case["usage"])).nanos();
            if ours == theirs {
                equal += 1;
            } else if let Some(why) = explanation(name, &model["rates"], &beyond, &case["usage"]) {
                *explained.entry(why).or_default() += 1;
            } else {
                wrong.push(format!("{name}: {}: {ours} instead of {theirs}", case["name"]));
            }
        }
    }
    println!("{} models, {equal} equal costs; different: {explained:#?}", models.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(models.len() >= 300 && equal > 2_000);
}
