//! Reads Bifrost's config.json.

use serde_json::Value;

use super::source::Parts;
use crate::cli::moving::draft::shown;
use crate::cli::moving::record::Record;
use crate::cli::moving::report::{Fate, Report};

/// The parts of `governance` that are read.
const GOVERNANCE: [&str; 9] = [
    "customers",
    "teams",
    "virtual_keys",
    "budgets",
    "rate_limits",
    "model_configs",
    "routing_rules",
    "pricing_overrides",
    "providers",
];

/// Takes apart config.json.
pub(super) fn read(config: &Record, report: &mut Report) -> Parts {
    let part = |name: &str| Record::new(String::new(), &config.object(name).into());
    let (governance, mcp) = (part("governance"), part("mcp"));
    let place = format!("{}: governance.", config.place);
    for name in governance.names().filter(|name| !GOVERNANCE.contains(name)) {
        let (fate, text) = match name {
            "auth_config" => {
                (Fate::Stays, "who administers Bifrost; here access tokens do, of `tollgate token create`")
            }
            _ => (Fate::Impossible, "is not read, and nothing here is like it"),
        };
        report.add(fate, "", &format!("{place}{name}"), format!("{}: {text}", shown(name)));
    }
    let top = |name| list(&governance, name, &place);
    let mut parts = Parts {
        customers: top("customers"),
        teams: top("teams"),
        keys: top("virtual_keys"),
        budgets: top("budgets"),
        rate_limits: top("rate_limits"),
        model_configs: top("model_configs"),
        rules: top("routing_rules"),
        overrides: top("pricing_overrides"),
        providers: top("providers"),
        mcp_clients: list(&mcp, "client_configs", &format!("{}: mcp.", config.place)),
        empty_means_all: config.whole("version") == Some(1),
        ..Parts::default()
    };
    for key in &parts.keys {
        parts.provider_configs.extend(parts_of(key, "provider_configs", "virtual_key_id"));
        parts.mcp_configs.extend(parts_of(key, "mcp_configs", "virtual_key_id"));
    }
    for rule in &parts.rules {
        parts.targets.extend(parts_of(rule, "targets", "rule_id"));
    }
    for (provider, settings) in config.object("providers") {
        let settings = Record::new(format!("{}: providers.{provider}", config.place), &settings);
        let provider = provider.to_lowercase();
        for mut key in parts_of(&settings, "keys", "provider") {
            // An entry without an id is known by its name.
            let id = key.text("id").filter(|id| *id != key.place).or_else(|| key.text("name"));
            key.set("key_id", id.map_or(Value::Null, Value::String));
            key.set("provider", Value::String(provider.clone()));
            parts.provider_keys.push(key);
        }
        parts.provider_names.insert(provider);
    }
    parts
}

/// The entries of a list, each with an id: its own, or its place.
fn list(record: &Record, name: &str, place: &str) -> Vec<Record> {
    let entries = record.json(name).and_then(|it| it.as_array().cloned()).unwrap_or_default();
    let record = |(index, entry)| {
        let mut record = Record::new(format!("{place}{name}[{index}]"), &entry);
        if record.text("id").is_none() {
            record.set("id", Value::String(record.place.clone()));
        }
        record
    };
    entries.into_iter().enumerate().map(record).collect()
}

/// The entries of a list of an owner, with its id in `column`.
fn parts_of(owner: &Record, name: &str, column: &str) -> Vec<Record> {
    let mut parts = list(owner, name, &format!("{}.", owner.place));
    for part in &mut parts {
        part.set(column, owner.get("id").cloned().unwrap_or_default());
    }
    parts
}
