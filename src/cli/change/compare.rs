//! Two states of a resource, field by field.

use serde_json::Value;

use crate::cli::Failure;
use crate::cli::remote::dynamic;
use crate::cli::resource::columns::json;
use crate::proto::v1::ConfigResource;

/// Fields that the server sets: each differs after every change, or follows from others.
const SILENT: [&str; 16] = [
    "id",
    "revision",
    "created_at",
    "updated_at",
    "created_by",
    "anchor",
    "token_anchor",
    "request_anchor",
    "max_limit_nano_usd",
    "temporary_increase_nano_usd",
    "effective_max_limit",
    "effective_max_limit_nano_usd",
    "allow_all_keys",
    "virtual_key_count",
    "scope_name",
    "keys_of_provider",
];

/// A field that differs.
#[derive(PartialEq, Debug)]
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// The fields of a resource of any kind, by the names of the API.
pub(super) fn fields(resource: &ConfigResource) -> Result<Value, Failure> {
    // The one field is the one of the kind.
    let Value::Object(kinds) = json(&dynamic(resource)?) else { return Ok(Value::Null) };
    Ok(kinds.into_iter().next().map_or(Value::Null, |(_, fields)| fields))
}

/// The fields in which two states differ.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Difference>) {
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut names: Vec<_> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            for name in names.into_iter().filter(|name| !SILENT.contains(&name.as_str())) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, one.get(name), other.get(name), found);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if has_objects(one) || has_objects(other) => {
            for index in 0..one.len().max(other.len()) {
                compare(&format!("{path}[{index}]"), one.get(index), other.get(index), found);
            }
        }
        (before, after) if before != after => {
            let plain = |value: Option<&Value>| value.cloned().map(without_silent);
            found.push(Difference { path: path.to_owned(), before: plain(before), after: plain(after) });
        }
        _ => {}
    }
}

fn has_objects(items: &[Value]) -> bool {
    items.iter().any(Value::is_object)
}

/// A value without what the server sets in it.
fn without_silent(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| !SILENT.contains(&name.as_str()));
            Value::Object(kept.map(|(name, value)| (name, without_silent(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_silent).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_compared_to_the_leaves() {
        let before = json!({
            "name": "a", "revision": 3, "budgets": [{"id": "x", "max_limit": 5.0, "reset_duration": "1d"}],
            "labels": {"a": "1"}, "models": ["x"],
        });
        let after = json!({
            "name": "a", "revision": 4,
            "budgets": [{"id": "x", "max_limit": 8.0, "reset_duration": "1d"}, {"id": "y", "max_limit": 1.0}],
            "labels": {"b": "2"}, "models": ["x", "y"],
        });
        let found = differences(&before, &after);
        let found: Vec<_> = found.iter().map(|it| (it.path.as_str(), it.before.clone(), it.after.clone())).collect();
        assert_eq!(
            found,
            [
                ("budgets[0].max_limit", Some(json!(5.0)), Some(json!(8.0))),
                ("budgets[1]", None, Some(json!({"max_limit": 1.0}))),
                ("labels.a", Some(json!("1")), None),
                ("labels.b", None, Some(json!("2"))),
                ("models", Some(json!(["x"])), Some(json!(["x", "y"]))),
            ]
        );
    }
}
