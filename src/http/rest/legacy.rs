//! Statements of clients of the mirrored gateway about a part of a resource: one limit in place of a list of them, and an
//! entry of a list without its limits. The API says lists as a whole, so the rest is taken from the resource as it is stored.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};

use super::read::{Purpose, Read, Reader};
use crate::domain::Path;

/// The lists whose entries keep what they do not say, if they name their id.
pub(super) const CONFIGS: [&str; 2] = ["provider_configs", "mcp_configs"];
/// The properties that stand for a list of one.
const SINGLES: [&str; 2] = ["budget", "rate_limit"];
/// The fields that an entry with an id keeps.
const KEPT: [&str; 4] = ["provider", "mcp_client_name", "budgets", "rate_limits"];
/// The dimensions of a rate limit.
const DIMENSIONS: [[&str; 2]; 2] =
    [["token_max_limit", "token_reset_duration"], ["request_max_limit", "request_reset_duration"]];

/// Whether an update can be read only beside the stored resource.
pub(super) fn needs_current(json: &Map<String, Json>) -> bool {
    let given = |json: &Json| !json.is_null();
    let named = |entry: &Json| entry.get("id").is_some_and(given);
    SINGLES.iter().any(|name| json.get(*name).is_some_and(given))
        || CONFIGS.iter().any(|name| json.get(*name).and_then(Json::as_array).is_some_and(|it| it.iter().any(named)))
}

/// The entry with this id.
pub(super) fn with_id<'a>(entries: &'a [Value], id: Option<&Json>) -> Option<&'a DynamicMessage> {
    let id = id.filter(|id| !id.is_null())?;
    entries.iter().filter_map(Value::as_message).find(|entry| is_named(entry, id))
}

fn is_named(entry: &DynamicMessage, id: &Json) -> bool {
    match entry.get_field_by_name("id").as_deref() {
        Some(Value::String(own)) => id.as_str() == Some(own),
        Some(Value::I64(own)) => id.as_i64() == Some(*own),
        _ => false,
    }
}

/// Keeps of `current` what an entry does not say.
pub(super) fn keep(read: &mut Read, current: &DynamicMessage) {
    for name in KEPT {
        if read.said.iter().any(|said| said == name) {
            continue;
        }
        if let (Some(field), Some(value)) =
            (read.message.descriptor().get_field_by_name(name), current.get_field_by_name(name))
        {
            read.message.set_field(&field, value.into_owned());
        }
    }
}

/// The list that `json`, the one limit of an owner, stands for, beside what is `stored`; `None` if there is nothing to say,
/// or something is wrong with it.
pub(super) fn single(
    reader: &mut Reader,
    list: &FieldDescriptor,
    json: &Json,
    around: &Map<String, Json>,
    path: &Path<'_>,
    stored: &[Value],
) -> Option<Vec<Value>> {
    if let Some(all) = around.get(list.name()).filter(|all| !all.is_null()) {
        // Both come from an answer that is sent back, where one repeats the other.
        if all.get(0) != Some(json) {
            let text = format!("is given beside {0}, and is not the first of them; send {0} alone", list.name());
            reader.fault(path, text);
        }
        return None;
    }
    let Some(given) = json.as_object() else {
        reader.fault(path, "must be an object");
        return None;
    };
    let Kind::Message(of) = list.kind() else { return None };
    let is_rate_limit = of.name() == "RateLimit";
    let says = |name: &str| given.get(name).is_some_and(|it| !it.is_null());
    let clears = if is_rate_limit {
        DIMENSIONS.iter().all(|[limit, _]| !says(limit))
    } else {
        !says("max_limit") && !says("reset_duration") && given.values().all(Json::is_null)
    };
    if clears {
        // Faults in the rest of it are told all the same.
        reader.object(DynamicMessage::new(of.clone()), given, Some(path), Purpose::Patch, None);
        return Some(Vec::new());
    }

    let place = match given.get("id").filter(|id| !id.is_null()) {
        Some(id) => {
            let place = stored.iter().position(|it| it.as_message().is_some_and(|it| is_named(it, id)));
            if place.is_none() {
                reader.fault(&path.field("id"), format!("is none of the {} of this owner", list.name()));
                return None;
            }
            place
        }
        None if stored.len() > 1 => {
            let text = format!("is not clear: there are {} of them; send {} instead", stored.len(), list.name());
            reader.fault(path, text);
            return None;
        }
        None => (!stored.is_empty()).then_some(0),
    };
    let base = place.and_then(|place| stored.get(place)).and_then(Value::as_message).cloned();
    let purpose = if base.is_some() { Purpose::Patch } else { Purpose::Entry };
    let mut base = base.unwrap_or_else(|| DynamicMessage::new(of.clone()));
    let mut given = given.clone();
    if is_rate_limit {
        // The two dimensions are said together; one without a limit does not count.
        for [limit, duration] in DIMENSIONS {
            base.clear_field_by_name(limit);
            base.clear_field_by_name(duration);
            if given.get(limit).is_none_or(Json::is_null) {
                given.remove(duration);
            }
        }
    }
    let limit = Value::Message(reader.object(base, &given, Some(path), purpose, None).message);
    let mut limits = stored.to_vec();
    match place.and_then(|place| limits.get_mut(place)) {
        Some(place) => *place = limit,
        None => limits.push(limit),
    }
    Some(limits)
}
