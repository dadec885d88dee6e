//! Resources as documents, and messages as YAML.

use std::fmt::Write as _;

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value as Field};

use super::output_only::{is_output_only, is_part_id};

/// References of the API to what a document names instead: a field, its shorthand and the path.
pub(in crate::cli) trait Paths {
    /// The name and the value that stand in a document for a field that refers to a customer, team or key; `None`: the
    /// field as it is.
    fn shorthand(&self, message: &DynamicMessage, field: &str) -> Option<(String, String)>;
}

/// A resource as a document that can be applied: without what only the server sets, and without what is as it is by itself.
pub(in crate::cli) fn document(message: &DynamicMessage, paths: &impl Paths) -> String {
    let descriptor = message.descriptor();
    let mut text = format!("kind: {}\n", descriptor.name());
    for field in descriptor.fields() {
        // The mask of a value is no value.
        let is_mask = descriptor.name() == "VirtualKey" && field.name() == "value";
        if is_output_only(&descriptor, field.name()) || is_mask || !message.has_field(&field) {
            continue;
        }
        match paths.shorthand(message, field.name()) {
            // The field goes without saying.
            Some((name, _)) if name.is_empty() => {}
            Some((name, path)) => writeln_entry(&mut text, 0, &name, &quoted(&path)),
            None => entry(&mut text, 0, &descriptor, &field, &message.get_field(&field)),
        }
    }
    text
}

fn writeln_entry(text: &mut String, indent: usize, name: &str, value: &str) {
    let _ = writeln!(text, "{:indent$}{}: {value}", "", quoted(name));
}

fn entry(text: &mut String, indent: usize, message: &MessageDescriptor, field: &FieldDescriptor, value: &Field) {
    if is_default(message, field, value) {
        return;
    }
    let name = field.name();
    match value {
        Field::Map(map) => {
            let _ = writeln!(text, "{:indent$}{name}:", "");
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| key_text(key));
            for (key, value) in entries {
                writeln_entry(text, indent + 2, &key_text(key), &inline(field, value));
            }
        }
        Field::List(items) if items.iter().any(|item| matches!(item, Field::Message(_))) => {
            let _ = writeln!(text, "{:indent$}{name}:", "");
            for item in items {
                if let Field::Message(item) = item {
                    let mut block = String::new();
                    fields(&mut block, indent + 2, item);
                    // The first field stands beside the dash.
                    match block.get(indent + 2..) {
                        Some(rest) => {
                            let _ = write!(text, "{:indent$}- {rest}", "");
                        }
                        None => {
                            let _ = writeln!(text, "{:indent$}- {{}}", "");
                        }
                    }
                }
            }
        }
        Field::Message(inner) if !inner.descriptor().full_name().starts_with("google.protobuf.") => {
            let mut block = String::new();
            fields(&mut block, indent + 2, inner);
            match block.is_empty() {
                true => writeln_entry(text, indent, name, "{}"),
                false => {
                    let _ = write!(text, "{:indent$}{name}:\n{block}", "");
                }
            }
        }
        value => writeln_entry(text, indent, name, &inline(field, value)),
    }
}

fn fields(text: &mut String, indent: usize, message: &DynamicMessage) {
    let descriptor = message.descriptor();
    for field in descriptor.fields().filter(|field| message.has_field(field) || is_said(&descriptor, field)) {
        if !is_output_only(&descriptor, field.name()) && !is_part_id(&descriptor, field.name()) {
            entry(text, indent, &descriptor, &field, &message.get_field(&field));
        }
    }
}

/// Whether a document says this although it is 0: a lock that is not written down is easily taken for a budget without a limit.
fn is_said(message: &MessageDescriptor, field: &FieldDescriptor) -> bool {
    message.name() == "Budget" && field.name() == "max_limit"
}

/// Whether an answer says this although it is the default.
fn is_default(message: &MessageDescriptor, field: &FieldDescriptor, value: &Field) -> bool {
    match (message.name(), field.name(), value) {
        (_, "is_active" | "enabled", Field::Bool(on)) => *on,
        (_, "enforcement" | "reserve", Field::EnumNumber(number)) => *number == 1,
        (_, "alert_percents", Field::List(items)) => {
            items.iter().filter_map(Field::as_i32).collect::<Vec<_>>() == [80, 90, 100]
        }
        _ => false,
    }
}

fn key_text(key: &MapKey) -> String {
    key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned)
}

/// A value on one line, in the flow style.
fn inline(field: &FieldDescriptor, value: &Field) -> String {
    match value {
        Field::Bool(on) => on.to_string(),
        Field::I32(number) => number.to_string(),
        Field::I64(number) => number.to_string(),
        Field::F64(number) => number.to_string(),
        Field::String(text) => quoted(text),
        Field::Bytes(bytes) => quoted(&hex::encode(bytes)),
        Field::EnumNumber(number) => {
            let kind = field.kind();
            let name = kind.as_enum().and_then(|kind| {
                let prefix = kind.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
                Some(kind.get_value(*number)?.name().trim_start_matches(&prefix).to_owned())
            });
            name.unwrap_or_else(|| number.to_string())
        }
        Field::List(items) => {
            format!("[{}]", items.iter().map(|item| inline(field, item)).collect::<Vec<_>>().join(", "))
        }
        // A time, or free data: their JSON is YAML.
        other => match other {
            Field::Message(message) => serde_json::to_value(message).map_or_else(|_| "null".to_owned(), |it| flow(&it)),
            _ => "null".to_owned(),
        },
    }
}

fn flow(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => quoted(text),
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), flow(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The units of lengths of windows.
const UNITS: &str = "hmsdwMQY";

/// A text as a scalar of YAML: plain if nothing could take it for anything else.
pub(in crate::cli) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let word = text.to_lowercase();
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    let safe = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| plain(c) || c == ' ')
        && !text.ends_with(' ');
    // As `1M` or `1h30m`, which no reader takes for a number.
    let length = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| UNITS.contains(c))
        && text.chars().all(|c| c.is_ascii_digit() || UNITS.contains(c));
    if (safe && !is_word) || length {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
