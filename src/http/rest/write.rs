//! Messages as JSON objects of the mirrored API.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde_json::{Map, Number, Value as Json};

use super::shapes::{Added, Empty, Property, Source, choices, object};

/// A message as an object.
pub(super) fn object_of(message: &DynamicMessage) -> Json {
    within(message, "")
}

/// The same in an object with this id.
fn within(message: &DynamicMessage, owner: &str) -> Json {
    let Some(shape) = object(&message.descriptor()) else { return Json::Null };
    let id = message.get_field_by_name("id").and_then(|id| id.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    let mut written = Map::new();
    for property in &shape.properties {
        if let Source::Field(field) = &property.source {
            put(&mut written, property, field_value(message, field, &id));
        }
    }
    for property in &shape.properties {
        if let Source::Added(added) = property.source {
            let value = added_value(added, &written, owner);
            put(&mut written, property, value);
        }
    }
    mend(&mut written, shape.message.name());
    Json::Object(written)
}

fn put(written: &mut Map<String, Json>, property: &Property, value: Option<Json>) {
    let is_empty = match &value {
        None => true,
        Some(Json::String(text)) => text.is_empty(),
        Some(Json::Array(items)) => items.is_empty(),
        Some(_) => false,
    };
    match (property.empty, value) {
        (Empty::Null, _) if is_empty => drop(written.insert(property.name.clone(), Json::Null)),
        (Empty::Absent, _) if is_empty => {}
        (_, Some(value)) => drop(written.insert(property.name.clone(), value)),
        (_, None) => {}
    }
}

/// The value of a field; `None` if the field tells that it has none.
fn field_value(message: &DynamicMessage, field: &FieldDescriptor, id: &str) -> Option<Json> {
    if field.supports_presence() && !message.has_field(field) {
        return None;
    }
    let value = message.get_field(field);
    match (&*value, field.kind()) {
        (Value::List(items), kind) => Some(items.iter().filter_map(|item| scalar(item, &kind, id)).collect()),
        (Value::Map(entries), _) => {
            let entries = entries.iter().filter_map(|(key, value)| match (key, value) {
                (MapKey::String(key), Value::String(value)) => Some((key.clone(), Json::from(value.as_str()))),
                _ => None,
            });
            Some(Json::Object(entries.collect()))
        }
        (value, kind) => scalar(value, &kind, id),
    }
}

fn scalar(value: &Value, kind: &Kind, id: &str) -> Option<Json> {
    Some(match (value, kind) {
        (Value::Bool(it), _) => Json::from(*it),
        (Value::I32(it), _) => Json::from(*it),
        (Value::I64(it), _) => Json::from(*it),
        (Value::U32(it), _) => Json::from(*it),
        (Value::U64(it), _) => Json::from(*it),
        (Value::F64(it), _) => Number::from_f64(*it).map_or(Json::Null, Json::Number),
        (Value::String(it), _) => Json::from(it.as_str()),
        (Value::EnumNumber(number), Kind::Enum(of)) => {
            Json::from(choices(of).find(|(_, choice)| choice == number).map(|(name, _)| name)?)
        }
        (Value::Message(it), Kind::Message(of)) if of.package_name() == "google.protobuf" => {
            // Times are texts and structs are objects, as protobuf's own JSON has them.
            serde_json::to_value(it).ok()?
        }
        (Value::Message(it), _) => within(it, id),
        _ => return None,
    })
}

fn added_value(added: Added, written: &Map<String, Json>, owner: &str) -> Option<Json> {
    let first = |list: &str| written.get(list)?.as_array()?.first().cloned();
    match added {
        Added::First(list) => first(list),
        Added::FirstId(list) => first(list)?.get("id").cloned(),
        Added::OwnerId => Some(Json::from(owner)),
        Added::Copy(of) => written.get(of).cloned(),
        Added::Text(of) => written.get(of).map(|it| Json::from(it.to_string())),
        Added::Nothing => Some(Json::from("")),
    }
}

/// The mirrored gateway tells of each dimension of a rate limit when it was last reset, also of one without a limit: then it
/// is when the rate limit was made.
fn mend(written: &mut Map<String, Json>, message: &str) {
    if message != "RateLimit" {
        return;
    }
    let Some(created) = written.get("created_at").cloned() else { return };
    for reset in ["token_last_reset", "request_last_reset"] {
        written.entry(reset).or_insert_with(|| created.clone());
    }
}
