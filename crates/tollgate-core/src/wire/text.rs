//! Text, labels, lists, free data and times.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::MAX_ITEMS;
use crate::domain::{
    AllowList, Kind, Labels, ModelPattern, NamePath, Path, Struct, StructValue, Timestamp, Violations, bare_model,
    trimmed_name,
};

const MAX_NAME_BYTES: usize = 1_024;
const MAX_DESCRIPTION_BYTES: usize = 8 * 1_024;
const MAX_MANAGER_BYTES: usize = 128;
const MAX_LABELS: usize = 64;
const MAX_LABEL_KEY_BYTES: usize = 128;
const MAX_STRUCT_BYTES: usize = 32 * 1_024;
const MAX_STRUCT_DEPTH: usize = 16;

/// The time as protobuf has it.
pub fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = time.parts();
    prost_types::Timestamp { seconds, nanos }
}

/// The time of a client, cut to microseconds.
pub fn parse_timestamp(
    time: &prost_types::Timestamp,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Timestamp> {
    let parsed = Timestamp::from_parts(time.seconds, time.nanos);
    if parsed.is_none() {
        violations.add(path, "is no valid time; must lie in the years 1 to 9999, with nanos from 0 to 999999999");
    }
    parsed
}

/// The time that every stored thing has.
pub(super) fn required_time(
    time: Option<prost_types::Timestamp>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Timestamp {
    if time.is_none() {
        violations.add(path, "is absent; must be a time");
    }
    time.and_then(|time| parse_timestamp(&time, path, violations)).unwrap_or_default()
}

/// A name: trimmed, 1 to 1024 bytes, without control characters.
pub(super) fn name(text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        violations.add(path, "is empty; must have 1 to 1024 bytes");
    }
    bounded(trimmed, MAX_NAME_BYTES, false, path, violations)
}

/// A name that is also an id: no `/` and no white space, so that it can stand in `provider/model`.
pub(super) fn id_name(text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    let name = name(text, path, violations);
    if name.contains(|c: char| c == '/' || c.is_whitespace()) {
        violations.add(path, "contains '/' or white space, which the name of this kind may not");
    }
    name
}

/// A description: at most 8 KiB; tab and newline are allowed.
pub(super) fn description(text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    bounded(text, MAX_DESCRIPTION_BYTES, true, path, violations)
}

/// Text of at most `max` bytes without control characters; with `lines`, tab and newline are allowed, the newline of Windows
/// too.
pub(super) fn bounded(text: &str, max: usize, lines: bool, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    if text.len() > max {
        violations.add(path, format!("has {} bytes; must have at most {max}", text.len()));
    }
    let bad = |(place, c): &(usize, char)| {
        c.is_control()
            && !(lines && (matches!(c, '\t' | '\n') || text.get(*place..).is_some_and(|it| it.starts_with("\r\n"))))
    };
    if let Some((_, bad)) = text.char_indices().find(bad) {
        let allowed = if lines { " other than tab and newline" } else { "" };
        violations
            .add(path, format!("contains U+{:04X}; must not contain control characters{allowed}", u32::from(bad)));
    }
    text.into()
}

/// An id that a client names: 1 to 1024 bytes.
pub(super) fn reference(text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    if text.trim().is_empty() {
        violations.add(path, "is empty; must be the id of an existing resource");
    }
    bounded(text, MAX_NAME_BYTES, false, path, violations)
}

/// A reference to a customer, a team or a virtual key: its id, or its path.
pub(super) fn reference_to(kind: Kind, text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    if !NamePath::is_path(text) {
        return reference(text, path, violations);
    }
    if let Err(problem) = NamePath::parse(text, kind) {
        violations.add(path, problem);
    }
    text.into()
}

/// Takes away what is not seen of a name at its ends.
pub(super) fn tidy_name(name: &mut String) {
    let trimmed = trimmed_name(name);
    if trimmed.len() != name.len() {
        *name = trimmed.to_owned();
    }
}

/// Checks the length of a list.
pub(super) fn count(len: usize, path: &Path<'_>, violations: &mut Violations) {
    if len > MAX_ITEMS {
        violations.add(path, format!("has {len} items; must have at most {MAX_ITEMS}"));
    }
}

/// A list of names: no blanks, and no duplicates.
pub(super) fn names(list: &[String], path: &Path<'_>, violations: &mut Violations) -> Vec<Box<str>> {
    count(list.len(), path, violations);
    let mut seen = HashSet::new();
    list.iter()
        .enumerate()
        .map(|(index, text)| {
            let path = path.index(index);
            if text.trim().is_empty() {
                violations.add(path, "is blank; remove it or name something");
            }
            if !seen.insert(text) {
                violations.add(path, "is a duplicate; remove it");
            }
            bounded(text, MAX_NAME_BYTES, false, &path, violations)
        })
        .collect()
}

/// A list of what is permitted; `*` means everything and stands alone.
pub(super) fn permit(list: &[String], path: &Path<'_>, violations: &mut Violations) -> AllowList {
    let names = names(list, path, violations);
    if names.len() > 1
        && let Some(star) = names.iter().position(|name| name.as_ref() == "*")
    {
        violations.add(path.index(star), "is \"*\", which means all and stands alone; remove it or the other items");
    }
    AllowList::from_list(&names)
}

/// Checks that there is more of a model than prefixes of its provider.
pub(super) fn names_model(text: &str, provider: &str, path: &Path<'_>, violations: &mut Violations) {
    if bare_model(text, provider).is_empty() && !text.is_empty() {
        violations.add(path, format!("is {text:?}, which names no model; name one of the provider {provider:?}"));
    }
}

/// Checks a pattern of models, new or changed: it can match a model of the provider, which is empty for every one.
pub(super) fn model_pattern(text: &str, provider: &str, path: &Path<'_>, violations: &mut Violations) {
    names_model(text, provider, path, violations);
    if text.strip_suffix('*').unwrap_or(text).contains('*') {
        let problem = "has a `*` before its end; write how names begin and one `*`, as `gpt-4*`";
        violations.add(path, format!("is {text:?}, which {problem}"));
    }
}

/// Checks patterns of models of a provider, new or changed: each can match, and no two say the same.
pub(super) fn model_patterns(list: &[String], provider: &str, path: &Path<'_>, violations: &mut Violations) {
    let mut seen: HashMap<ModelPattern<'_>, &String> = HashMap::new();
    for (index, text) in list.iter().enumerate() {
        let path = path.index(index);
        model_pattern(text, provider, &path, violations);
        match seen.insert(ModelPattern::of(text, provider), text) {
            Some(before) if before != text => violations.add(path, format!("says the same as {before:?}; remove one")),
            _ => {}
        }
    }
}

/// The source that manages a resource.
pub(super) fn managed_by(text: &str, owner: &Path<'_>, violations: &mut Violations) -> Box<str> {
    bounded(text.trim(), MAX_MANAGER_BYTES, false, &owner.field("managed_by"), violations)
}

/// Labels.
pub(super) fn labels(labels: &BTreeMap<String, String>, path: &Path<'_>, violations: &mut Violations) -> Labels {
    if labels.len() > MAX_LABELS {
        violations.add(path, format!("has {} labels; must have at most {MAX_LABELS}", labels.len()));
    }
    let mut parsed = Labels::new();
    for (key, value) in labels {
        let path = path.key(key);
        if key.trim().is_empty() {
            violations.add(path, "has a blank key; name it or remove it");
        }
        let key = bounded(key, MAX_LABEL_KEY_BYTES, false, &path, violations);
        parsed.insert(key, bounded(value, MAX_NAME_BYTES, false, &path, violations));
    }
    parsed
}

/// Labels as the API has them.
pub(super) fn render_labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Free data: at most 32 KiB encoded and 16 levels deep, numbers finite.
pub(super) fn structure(
    data: Option<prost_types::Struct>,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Struct> {
    let fits = |data: &prost_types::Struct, violations: &mut Violations| {
        let bytes = prost::Message::encoded_len(data);
        if bytes > MAX_STRUCT_BYTES {
            violations.add(path, format!("has {bytes} bytes; must have at most {MAX_STRUCT_BYTES}"));
        }
        bytes <= MAX_STRUCT_BYTES
    };
    let data = data.filter(|data| fits(data, violations))?;
    let fields = struct_fields(data, 1, path, violations)?;
    // A value of no kind is kept as null, which is longer; what is kept must be valid when it is sent back.
    fits(&render_structure(&fields), violations).then_some(fields)
}

fn struct_fields(
    data: prost_types::Struct,
    depth: usize,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<Struct> {
    if depth > MAX_STRUCT_DEPTH {
        violations.add(path, format!("is deeper than {MAX_STRUCT_DEPTH} levels"));
        return None;
    }
    let mut fields = Struct::new();
    for (key, value) in data.fields {
        let path = path.key(&key);
        bounded(&key, MAX_STRUCT_BYTES, true, &path, violations);
        let value = struct_value(value, depth, &path, violations)?;
        fields.insert(key, value);
    }
    Some(fields)
}

fn struct_value(
    value: prost_types::Value,
    depth: usize,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<StructValue> {
    use prost_types::value::Kind;
    Some(match value.kind {
        None | Some(Kind::NullValue(_)) => StructValue::Null,
        Some(Kind::BoolValue(value)) => StructValue::Bool(value),
        Some(Kind::NumberValue(value)) if value.is_finite() => StructValue::Number(value),
        Some(Kind::NumberValue(value)) => {
            violations.add(path, format!("is {value}; must be finite"));
            return None;
        }
        Some(Kind::StringValue(value)) => {
            StructValue::String(bounded(&value, MAX_STRUCT_BYTES, true, path, violations).into())
        }
        Some(Kind::ListValue(list)) => {
            if depth >= MAX_STRUCT_DEPTH {
                violations.add(path, format!("is deeper than {MAX_STRUCT_DEPTH} levels"));
                return None;
            }
            let items = list.values.into_iter().enumerate();
            let items = items.map(|(index, item)| struct_value(item, depth + 1, &path.index(index), violations));
            StructValue::List(items.collect::<Option<_>>()?)
        }
        Some(Kind::StructValue(data)) => StructValue::Struct(struct_fields(data, depth + 1, path, violations)?),
    })
}

/// Free data as the API has it.
pub(super) fn render_structure(data: &Struct) -> prost_types::Struct {
    prost_types::Struct { fields: data.iter().map(|(key, value)| (key.clone(), render_value(value))).collect() }
}

fn render_value(value: &StructValue) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        StructValue::Null => Kind::NullValue(0),
        StructValue::Bool(value) => Kind::BoolValue(*value),
        StructValue::Number(value) => Kind::NumberValue(*value),
        StructValue::String(value) => Kind::StringValue(value.clone()),
        StructValue::List(items) => {
            Kind::ListValue(prost_types::ListValue { values: items.iter().map(render_value).collect() })
        }
        StructValue::Struct(data) => Kind::StructValue(render_structure(data)),
    };
    prost_types::Value { kind: Some(kind) }
}
