//! What Bifrost has, in its config store or in config.json, and how its parts belong together.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::cli::moving::record::Record;

/// Rows that are found by the values of some of their columns.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Record>,
    index: HashMap<(&'static str, String), Vec<usize>>,
}

impl Table {
    fn new(rows: Vec<Record>, columns: &[&'static str]) -> Self {
        let mut index: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            for column in columns {
                if let Some(value) = row.text(column) {
                    index.entry((*column, value)).or_default().push(at);
                }
            }
        }
        Self { rows, index }
    }

    /// The rows that have `value` in `column`.
    pub(super) fn of(&self, column: &'static str, value: &str) -> impl Iterator<Item = &Record> {
        self.of_any(&[(column, value.to_owned())])
    }

    /// The rows that have one of these values in its column, each once.
    fn of_any<'a>(&'a self, wanted: &[(&'static str, String)]) -> impl Iterator<Item = &'a Record> + use<'a> {
        let found: BTreeSet<usize> = wanted.iter().filter_map(|it| self.index.get(it)).flatten().copied().collect();
        found.into_iter().filter_map(|at| self.rows.get(at))
    }
}

/// The entries that were read, by kinds. Parts name their owners by ids.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) customers: Vec<Record>,
    pub(super) teams: Vec<Record>,
    pub(super) keys: Vec<Record>,
    pub(super) provider_configs: Vec<Record>,
    pub(super) mcp_configs: Vec<Record>,
    pub(super) budgets: Vec<Record>,
    pub(super) rate_limits: Vec<Record>,
    pub(super) model_configs: Vec<Record>,
    pub(super) rules: Vec<Record>,
    pub(super) targets: Vec<Record>,
    pub(super) overrides: Vec<Record>,
    /// Providers that may have limits of their own.
    pub(super) providers: Vec<Record>,
    pub(super) provider_keys: Vec<Record>,
    pub(super) mcp_clients: Vec<Record>,
    /// The names of all providers.
    pub(super) provider_names: BTreeSet<String>,
    /// The ids of rows of provider keys, by the ids of the provider configs that name them.
    pub(super) joins: HashMap<String, Vec<String>>,
    /// Whether an empty list of models, keys, providers or MCP clients means all of them, as before version 1.5.
    pub(super) empty_means_all: bool,
}

/// Everything that is read, with its parts by their owners.
pub(super) struct Source {
    pub(super) customers: Vec<Record>,
    pub(super) teams: Vec<Record>,
    pub(super) keys: Vec<Record>,
    pub(super) provider_configs: Table,
    pub(super) mcp_configs: Table,
    budgets: Table,
    rate_limits: Table,
    pub(super) model_configs: Table,
    pub(super) rules: Vec<Record>,
    pub(super) targets: Table,
    pub(super) overrides: Vec<Record>,
    pub(super) providers: Vec<Record>,
    provider_keys: Table,
    pub(super) mcp_clients: Table,
    pub(super) provider_names: BTreeSet<String>,
    joins: HashMap<String, Vec<String>>,
}

impl From<Parts> for Source {
    fn from(mut parts: Parts) -> Self {
        if parts.empty_means_all {
            parts.say_all();
        }
        let owners = ["id", "team_id", "customer_id", "virtual_key_id", "provider_config_id", "model_config_id"];
        Self {
            customers: parts.customers,
            teams: parts.teams,
            keys: parts.keys,
            provider_configs: Table::new(parts.provider_configs, &["virtual_key_id"]),
            mcp_configs: Table::new(parts.mcp_configs, &["virtual_key_id"]),
            budgets: Table::new(parts.budgets, &owners),
            rate_limits: Table::new(parts.rate_limits, &["id", "model_config_id"]),
            model_configs: Table::new(parts.model_configs, &["scope_id"]),
            rules: parts.rules,
            targets: Table::new(parts.targets, &["rule_id"]),
            overrides: parts.overrides,
            providers: parts.providers,
            provider_keys: Table::new(parts.provider_keys, &["id", "provider", "key_id"]),
            mcp_clients: Table::new(parts.mcp_clients, &["id"]),
            provider_names: parts.provider_names,
            joins: parts.joins,
        }
    }
}

impl Parts {
    /// Says all by `*` instead of by an empty list.
    fn say_all(&mut self) {
        for config in &mut self.provider_configs {
            if config.list("allowed_models").is_empty() {
                config.set("allowed_models", json!(["*"]));
            }
            let joined = self.joins.contains_key(&config.text("id").unwrap_or_default());
            if !joined && KEYS.iter().all(|name| config.json(name).is_none_or(|keys| keys == json!([]))) {
                config.set("allow_all_keys", true.into());
            }
        }
        let owners = |rows: &[Record]| -> BTreeSet<String> {
            rows.iter().filter_map(|row| row.text("virtual_key_id")).collect()
        };
        let (with_providers, with_clients) = (owners(&self.provider_configs), owners(&self.mcp_configs));
        let clients: BTreeSet<String> = self.mcp_clients.iter().filter_map(|client| client.text("name")).collect();
        for key in &mut self.keys {
            let Some(id) = key.text("id") else { continue };
            if !with_providers.contains(&id) {
                key.set("allow_all_providers", true.into());
            }
            if !with_clients.contains(&id) {
                let config = |name: &String| {
                    let entry = json!({"virtual_key_id": id, "mcp_client_name": name, "tools_to_execute": ["*"]});
                    Record::new(key.place.clone(), &entry)
                };
                self.mcp_configs.extend(clients.iter().map(config));
            }
        }
    }
}

/// The fields in which provider configs of config.json, of several versions, name the provider keys that they may use.
const KEYS: [&str; 3] = ["key_ids", "allowed_keys", "keys"];

impl Source {
    /// The ids of the provider keys that a provider config names; `*` for all.
    pub(super) fn keys_of(&self, config: &Record, provider: &str) -> Vec<String> {
        if config.flag("allow_all_keys") == Some(true) {
            return vec!["*".to_owned()];
        }
        let id = |key: &Value| match key {
            Value::String(text) => Some(text.clone()),
            key => Record::new(String::new(), key).text("key_id"),
        };
        let listed = KEYS.iter().filter_map(|name| config.json(name)?.as_array().cloned()).flatten();
        let listed = listed.filter_map(|key| id(&key)).map(|named| self.key_id(provider, named));
        let joined = self.joins.get(&config.text("id").unwrap_or_default());
        let rows = joined.into_iter().flatten().flat_map(|row| self.provider_keys.of("id", row));
        let ids: BTreeSet<String> = listed.chain(rows.filter_map(|key| key.text("key_id"))).collect();
        ids.into_iter().collect()
    }

    /// The id of a key of a provider that is named by its id or by its name.
    pub(super) fn key_id(&self, provider: &str, named: String) -> String {
        let has = |key: &Record, column: &str| key.text(column).as_ref() == Some(&named);
        if self.provider_keys.of("provider", provider).any(|key| has(key, "key_id")) {
            return named;
        }
        let found = self.provider_keys.of("provider", provider).find(|key| has(key, "name"));
        found.and_then(|key| key.text("key_id")).unwrap_or(named)
    }

    /// The provider of a key.
    pub(super) fn provider_of(&self, id: &str) -> Option<String> {
        self.provider_keys.of("key_id", id).find_map(|key| key.text("provider"))
    }

    /// The name of a key of a provider.
    pub(super) fn key_name(&self, provider: &str, id: &str) -> String {
        let found = self.provider_keys.of("provider", provider).find(|key| key.text("key_id").as_deref() == Some(id));
        found.and_then(|key| key.text("name")).unwrap_or_default()
    }

    /// The budgets of an owner, whose id stands in `column` of them.
    pub(super) fn budgets_of(&self, owner: &Record, column: &'static str) -> Vec<Record> {
        let named = owner.text("budget_id").into_iter().chain(owner.list("budget_ids"));
        limits_of(&self.budgets, owner, column, named, ["budgets", "budget"])
    }

    /// The rate limits of an owner.
    pub(super) fn rate_limits_of(&self, owner: &Record, column: &'static str) -> Vec<Record> {
        limits_of(&self.rate_limits, owner, column, owner.text("rate_limit_id"), ["rate_limits", "rate_limit"])
    }
}

/// The limits of an owner: those with its id in `column`, those that it names by their ids, and those that stand in it.
fn limits_of(
    table: &Table,
    owner: &Record,
    column: &'static str,
    named: impl IntoIterator<Item = String>,
    [many, one]: [&str; 2],
) -> Vec<Record> {
    let owned = owner.text("id").map(|id| (column, id));
    let wanted: Vec<_> = owned.into_iter().chain(named.into_iter().map(|id| ("id", id))).collect();
    let mut found: Vec<Record> = table.of_any(&wanted).cloned().collect();
    let nested = owner.json(many).and_then(|it| it.as_array().cloned()).unwrap_or_default();
    let single = owner.json(one).filter(Value::is_object);
    found.extend(nested.iter().chain(&single).map(|entry| Record::new(owner.place.clone(), entry)));
    found
}
