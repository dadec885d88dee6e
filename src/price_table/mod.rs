//! Tables of prices as LiteLLM publishes them: a JSON object of models by their names. Bifrost's datasheet has the same
//! form, with `provider` instead of `litellm_provider`; so has the default table, with which new stores begin.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{ModelPrice, Path, RATE_NAMES, Rates, Violations, bare_model};
use crate::proto::v1;
use crate::wire::{Wire as _, render_rates};

/// The default table: prices of the main models of the built-in providers.
pub(crate) const DEFAULT: &[u8] = include_bytes!("default.json");
/// The beginning of the source of each price of a default table, which its date follows.
const DEFAULT_SOURCE: &str = "default table of ";
/// The source of the prices of the default table.
pub(crate) const SOURCE: &str = "default table of 2026-11-29";

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
pub(crate) struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    pub(crate) fn add(&mut self, what: impl Into<String>, model: &str) {
        self.0.entry(what.into()).or_default().push(model.to_owned());
    }

    /// Each remark on a line, the one about most models first.
    pub(crate) fn lines(&self) -> Vec<String> {
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
pub(crate) struct PriceTable {
    /// The prices with the names that they have in the table, in the order of these.
    pub(crate) prices: Vec<(String, v1::ModelPrice)>,
    /// Remarks on what was not taken.
    pub(crate) notes: Notes,
}

impl PriceTable {
    /// Reads a table. All its prices get `source`.
    ///
    /// # Errors
    /// If it is no JSON object.
    pub(crate) fn read(json: &[u8], source: &str) -> serde_json::Result<Self> {
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

/// The prices of the default table.
///
/// # Errors
/// The first fault of the table, which no build that passed its tests has.
pub(crate) fn default_prices() -> Result<Vec<ModelPrice>, String> {
    let table = PriceTable::read(DEFAULT, SOURCE).map_err(|error| error.to_string())?;
    table.prices.into_iter().map(|(_, message)| parse(message)).collect()
}

/// Whether prices from `source` came with a default table, this one or an earlier one.
pub(crate) fn is_default(source: &str) -> bool {
    source.starts_with(DEFAULT_SOURCE)
}

/// A price as the server would understand it, or why it would refuse it.
pub(crate) fn parse(message: v1::ModelPrice) -> Result<ModelPrice, String> {
    let mut violations = Violations::new();
    let price = ModelPrice::parse(message, &Path::root("price"), &mut violations);
    let refused = violations.iter().map(|it| format!("{} {}", it.field, it.description)).collect::<Vec<_>>().join("; ");
    price.filter(|_| violations.is_empty()).ok_or(refused)
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
mod tests;
