//! Tables of resources.

use prost_reflect::{DynamicMessage, SerializeOptions};
use serde_json::Value;

use super::api::text;
use super::place::{Places, path};
use super::subject::Subject;
use crate::cli::remote::{amount, percent, permille};
use crate::cli::table::{Cell, Column, Tone, distance, now};
use crate::domain::Kind;
use crate::proto::v1::LimitKind;

/// The columns of a kind. With `wide`, also what is exact and long.
pub(super) fn columns(subject: Subject, wide: bool) -> Vec<Column> {
    let mut columns = match subject {
        Subject::Kind(Kind::Customer) => vec![Column::text("NAME"), Column::text("BUDGETS"), Column::text("LIMITS")],
        Subject::Kind(Kind::Team) => {
            vec![Column::text("NAME"), Column::number("KEYS"), Column::text("BUDGETS"), Column::text("LIMITS")]
        }
        Subject::Kind(Kind::VirtualKey) => {
            vec![
                Column::text("NAME"),
                Column::whole("STATE"),
                Column::text("MODELS"),
                Column::text("BUDGETS"),
                Column::text("LIMITS"),
            ]
        }
        Subject::Kind(Kind::RoutingRule) => {
            vec![
                Column::text("NAME"),
                Column::text("SCOPE"),
                Column::number("PRIO"),
                Column::text("WHEN"),
                Column::text("TARGETS"),
            ]
        }
        Subject::Kind(Kind::ModelConfig) => {
            vec![Column::text("MODEL"), Column::text("SCOPE"), Column::text("BUDGETS"), Column::text("LIMITS")]
        }
        Subject::Kind(Kind::ProviderGovernance) => {
            vec![Column::text("PROVIDER"), Column::text("BUDGETS"), Column::text("LIMITS")]
        }
        Subject::Kind(Kind::PricingOverride) => {
            vec![Column::text("NAME"), Column::text("SCOPE"), Column::text("MODELS"), Column::text("RATES")]
        }
        Subject::Kind(Kind::Provider) => {
            vec![Column::text("NAME"), Column::number("KEYS"), Column::whole("BUILT IN")]
        }
        Subject::Kind(Kind::McpClient) => vec![Column::text("NAME"), Column::text("TOOLS")],
        Subject::Kind(Kind::Webhook) => vec![Column::text("NAME"), Column::text("URL")],
        Subject::Kind(Kind::Token) => vec![Column::text("NAME"), Column::text("ROLE")],
        Subject::Kind(Kind::ModelPrice) => {
            vec![
                Column::text("MODEL"),
                Column::number("IN USD/1M"),
                Column::number("OUT USD/1M"),
                Column::text("SOURCE"),
            ]
        }
        Subject::Budgets | Subject::Limits => {
            vec![
                Column::text("OWNER"),
                Column::number("USED"),
                Column::whole("OF"),
                Column::number("PERCENT"),
                Column::whole("RESETS"),
            ]
        }
    };
    if matches!(subject, Subject::Kind(_)) {
        columns.push(Column::number(if wide { "CREATED" } else { "AGE" }));
    }
    if wide {
        columns.push(Column::whole("ID"));
        if matches!(subject, Subject::Kind(_)) {
            columns.extend([Column::whole("REVISION"), Column::text("LABELS")]);
        }
    }
    columns
}

/// The rows of a resource: one, but a rate limit has one for each of what it limits.
pub(super) fn rows(subject: Subject, message: &DynamicMessage, places: &Places, wide: bool) -> Vec<Vec<Cell>> {
    let value = json(message);
    let mut rows = match subject {
        Subject::Kind(kind) => vec![resource(kind, message, &value, places)],
        Subject::Budgets => vec![budget(&value, places, wide)],
        Subject::Limits => limits(&value, places, wide),
    };
    for row in &mut rows {
        if matches!(subject, Subject::Kind(_)) {
            let created = value["created_at"].as_str().unwrap_or_default();
            let age = || seconds(created).map(|at| distance(at, now())).unwrap_or_default();
            row.push(if wide { created.to_owned() } else { age() }.into());
        }
        if wide {
            row.push(text(message, "id").into());
            if matches!(subject, Subject::Kind(_)) {
                row.push(string(&value["revision"]).into());
                let labels = value["labels"].as_object().into_iter().flatten();
                let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={}", string(value))).collect();
                row.push(labels.join(",").into());
            }
        }
    }
    rows
}

/// A message as JSON by the names of its fields.
pub(in crate::cli) fn json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default()
}

fn resource(kind: Kind, message: &DynamicMessage, value: &Value, places: &Places) -> Vec<Cell> {
    let name = Cell::from(path(kind, message));
    let (budgets, limits) = (Cell::from(budgets(value)), Cell::from(rate_limits(value)));
    let named = |name: Cell| if value["is_active"] == false { Cell { tone: Tone::Faint, ..name } } else { name };
    match kind {
        Kind::Customer | Kind::ProviderGovernance => vec![named(name), budgets, limits],
        Kind::Team => {
            let keys = value["virtual_key_count"].as_i64().unwrap_or(0).to_string();
            vec![named(name), keys.into(), budgets, limits]
        }
        Kind::VirtualKey => vec![named(name), state(value), models(value).into(), budgets, limits],
        Kind::RoutingRule => {
            let targets = list(&value["targets"]).map(|target| {
                let part = |name: &str, other: &str| target[name].as_str().unwrap_or(other).to_owned();
                let weight = target["weight"].as_f64().unwrap_or(0.0);
                let share = if weight == 1.0 { String::new() } else { format!(" {:.0} %", weight * 100.0) };
                format!("{}/{}{share}", part("provider", "*"), part("model", "*"))
            });
            let targets = targets.collect::<Vec<_>>().join(", ");
            let off = value["enabled"] == false;
            let name = if off { Cell::new(format!("{} (off)", name.text), Tone::Faint) } else { name };
            let priority = value["priority"].as_i64().unwrap_or(0).to_string();
            let when = value["cel_expression"].as_str().unwrap_or("(always)").to_owned();
            vec![name, scope(value, places).into(), priority.into(), when.into(), targets.into()]
        }
        Kind::ModelConfig => vec![name, scope(value, places).into(), budgets, limits],
        Kind::PricingOverride => {
            let rates = value["patch"].as_object().into_iter().flatten();
            let rates = rates.map(|(name, rate)| format!("{name}={rate}")).collect::<Vec<_>>().join(", ");
            vec![name, pricing_scope(value, places).into(), string(&value["pattern"]).into(), rates.into()]
        }
        Kind::Provider => {
            let built_in = if value["built_in"] == true { "yes" } else { "no" };
            vec![name, list(&value["keys"]).count().to_string().into(), built_in.to_owned().into()]
        }
        Kind::McpClient => vec![name, list(&value["tools"]).map(string).collect::<Vec<_>>().join(", ").into()],
        Kind::Webhook => vec![name, string(&value["url"]).into()],
        Kind::Token => vec![name, string(&value["role"]).into()],
        Kind::ModelPrice => {
            let rate = |name: &str| value["rates"][name].as_f64().map(per_million).unwrap_or_default();
            let (input, output) = (rate("input_cost_per_token"), rate("output_cost_per_token"));
            vec![name, input.into(), output.into(), string(&value["source"]).into()]
        }
    }
}

fn per_million(rate: f64) -> String {
    // A rate of 2.5e-7 is 0.25, not 0.24999999999999997.
    let text = format!("{:.6}", rate * 1e6);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn string(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn seconds(time: &str) -> Option<i64> {
    time.parse().ok().map(|time: prost_types::Timestamp| time.seconds)
}

/// Whether a key works.
fn state(value: &Value) -> Cell {
    let expires = value["expires_at"].as_str().and_then(seconds);
    match expires {
        _ if value["is_active"] == false => Cell::new("off", Tone::Faint),
        Some(at) if at <= now() => Cell::new("expired", Tone::Bad),
        Some(at) if at < now() + 7 * 86_400 => Cell::new(format!("{} left", distance(now(), at)), Tone::Warning),
        _ => Cell::new("active", Tone::Plain),
    }
}

/// The models that a key may use, as `openai:gpt-4o*`.
fn models(value: &Value) -> String {
    let configs = list(&value["provider_configs"]).map(|config| {
        let models = list(&config["allowed_models"]).map(string).collect::<Vec<_>>().join("+");
        format!("{}:{models}", string(&config["provider"]))
    });
    let models = configs.collect::<Vec<_>>().join(", ");
    if models.is_empty() { "(none)".to_owned() } else { models }
}

fn budgets(value: &Value) -> String {
    let budgets = list(&value["budgets"]).map(|budget| {
        let max = budget["max_limit"].as_f64().unwrap_or(0.0);
        format!("{} USD/{}", max, string(&budget["reset_duration"]))
    });
    budgets.collect::<Vec<_>>().join(", ")
}

fn rate_limits(value: &Value) -> String {
    let limits = list(&value["rate_limits"]).flat_map(|limit| {
        let windows = ["token", "request"].into_iter().filter_map(|what| {
            let max = limit[format!("{what}_max_limit")].as_i64()?;
            let unit = if what == "token" { "tok" } else { "req" };
            Some(format!("{max} {unit}/{}", string(&limit[format!("{what}_reset_duration")])))
        });
        let open = limit["concurrent_request_max_limit"].as_i64().map(|max| format!("{max} open"));
        windows.chain(open)
    });
    limits.collect::<Vec<_>>().join(", ")
}

/// For whom a rule or a model config is.
fn scope(value: &Value, places: &Places) -> String {
    let scope = string(&value["scope"]);
    let kind = scope.split_once("SCOPE_").map_or(scope.as_str(), |(_, kind)| kind).to_lowercase().replace('_', " ");
    match value["scope_id"].as_str().unwrap_or_default() {
        "" => kind,
        id => format!("{kind} {}", places.name(id)),
    }
}

fn pricing_scope(value: &Value, places: &Places) -> String {
    let names = ["virtual_key_id", "provider_id", "provider_key_id"].map(|field| string(&value[field]));
    let names: Vec<_> = names.iter().filter(|name| !name.is_empty()).map(|name| places.name(name)).collect();
    if names.is_empty() { "global".to_owned() } else { names.join(", ") }
}

/// The owner of a limit.
fn owner(value: &Value, places: &Places) -> String {
    let owners = [
        "customer_id",
        "team_id",
        "virtual_key_id",
        "model_config_id",
        "provider",
        "provider_config_id",
        "provider_key_id",
    ];
    let owner = owners.into_iter().find(|field| !value[*field].is_null());
    owner.map_or_else(String::new, |field| {
        let kind = field.trim_end_matches("_id").replace('_', " ").replace("virtual ", "");
        format!("{kind} {}", places.name(&string(&value[field])))
    })
}

fn used(kind: LimitKind, used: i64, max: i64, duration: &str) -> [Cell; 3] {
    let share = permille(used, max);
    let tone = match share {
        1_000.. => Tone::Bad,
        800.. => Tone::Warning,
        _ => Tone::Plain,
    };
    let unit = match kind {
        LimitKind::Tokens => " tok",
        LimitKind::Requests => " req",
        LimitKind::Concurrency => " open",
        LimitKind::Budget | LimitKind::Unspecified => "",
    };
    let max_text = format!("{}{unit}/{duration}", amount(kind, max));
    [amount(kind, used).into(), max_text.into(), Cell::new(percent(used, max), tone)]
}

fn resets(next: &Value, wide: bool) -> Cell {
    let at = next.as_str().unwrap_or_default();
    let relative = || seconds(at).map(|at| format!("in {}", distance(now(), at))).unwrap_or_else(|| "never".to_owned());
    if wide { at.to_owned() } else { relative() }.into()
}

fn budget(value: &Value, places: &Places, wide: bool) -> Vec<Cell> {
    let of = |field: &str| value[field].as_i64().unwrap_or(0);
    let max = value["effective_max_limit_nano_usd"].as_i64().unwrap_or_else(|| of("max_limit_nano_usd"));
    let duration = string(&value["reset_duration"]);
    let cells = used(LimitKind::Budget, of("current_usage_nano_usd"), max, &duration);
    let owner = Cell::from(owner(value, places));
    [owner].into_iter().chain(cells).chain([resets(&value["next_reset"], wide)]).collect()
}

fn limits(value: &Value, places: &Places, wide: bool) -> Vec<Vec<Cell>> {
    let kinds = [("token", LimitKind::Tokens), ("request", LimitKind::Requests)];
    let rows = kinds.into_iter().filter_map(|(what, kind)| {
        let max = value[format!("{what}_max_limit")].as_i64()?;
        let count = value[format!("{what}_current_usage")].as_i64().unwrap_or(0);
        let cells = used(kind, count, max, &string(&value[format!("{what}_reset_duration")]));
        let owner = Cell::from(owner(value, places));
        let resets = resets(&value[format!("{what}_next_reset")], wide);
        Some([owner].into_iter().chain(cells).chain([resets]).collect())
    });
    rows.collect()
}
