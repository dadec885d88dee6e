//! Documents as messages of the API, by the descriptors: each field has the type that the API gives it.

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, MessageDescriptor, ReflectMessage as _, Value as Field};

use super::node::{Entry, Node, Value};
use super::output_only::{is_output_only, is_part_id};

/// Collects what is wrong with a document: path and sentence, by line.
#[derive(Default)]
pub(super) struct Faults(pub(super) Vec<(usize, String, String)>);

impl Faults {
    pub(super) fn add(&mut self, line: usize, path: &str, text: impl Into<String>) {
        self.0.push((line, path.to_owned(), text.into()));
    }
}

/// How a document is read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// It is an answer of the API: what only the server sets is left out, instead of being a fault.
    pub(super) answer: bool,
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Reading {
    /// Reads the entries of a mapping into a message.
    pub(super) fn entries(self, into: &mut DynamicMessage, entries: &[Entry], path: &str, faults: &mut Faults) {
        for entry in entries {
            self.entry(into, entry, path, faults);
        }
    }

    fn entry(self, into: &mut DynamicMessage, entry: &Entry, path: &str, faults: &mut Faults) {
        let descriptor = into.descriptor();
        let path = join(path, &entry.name);
        let field = descriptor.get_field_by_name(&entry.name);
        let Some(field) = field.or_else(|| descriptor.get_field_by_json_name(&entry.name)) else {
            return faults.add(entry.line, &path, unknown(&descriptor, &entry.name));
        };
        if is_output_only(&descriptor, field.name()) {
            if !self.answer {
                let text = "is set by the server; remove it, or take over the whole document that `tollgate get` shows";
                faults.add(entry.line, &path, text);
            }
            return;
        }
        if self.answer && is_part_id(&descriptor, field.name()) {
            return;
        }
        if entry.node.value == Value::Null {
            return;
        }
        if into.has_field(&field) {
            return faults.add(entry.line, &path, "is set twice, by two names; leave one out");
        }
        if let Some(value) = self.field(&field, &entry.node, &path, faults) {
            into.set_field(&field, value);
        }
    }

    fn field(self, field: &FieldDescriptor, node: &Node, path: &str, faults: &mut Faults) -> Option<Field> {
        if field.is_map() {
            let Value::Map(entries) = &node.value else {
                faults.add(node.line, path, wrong("a mapping", &node.value));
                return None;
            };
            let kind = field.kind();
            let value = kind.as_message()?.map_entry_value_field();
            let read = |entry: &Entry| {
                let path = join(path, &entry.name);
                Some((MapKey::String(entry.name.clone()), self.single(&value, &entry.node, &path, faults)?))
            };
            return Some(Field::Map(entries.iter().filter_map(read).collect()));
        }
        if !field.is_list() {
            return self.single(field, node, path, faults);
        }
        let Value::List(items) = &node.value else {
            faults.add(node.line, path, wrong("a list", &node.value));
            return None;
        };
        let items = items.iter().enumerate();
        let read = |(index, item)| self.single(field, item, &format!("{path}[{index}]"), faults);
        Some(Field::List(items.filter_map(read).collect()))
    }

    fn single(self, field: &FieldDescriptor, node: &Node, path: &str, faults: &mut Faults) -> Option<Field> {
        use prost_reflect::Kind;
        let read = match (field.kind(), &node.value) {
            (Kind::Message(message), _) => return self.message(&message, node, path, faults),
            (Kind::Bool, Value::Bool(on)) => Ok(Field::Bool(*on)),
            (Kind::Bool, other) => Err(wrong("true or false", other)),
            (Kind::String, Value::Text(text)) => Ok(Field::String(text.clone())),
            (Kind::String, Value::Number(text)) => Err(format!("must be a text and is a number; quote it: \"{text}\"")),
            (Kind::String, other) => Err(wrong("a text", other)),
            (Kind::Double, Value::Number(text)) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                number.map(Field::F64).ok_or_else(|| "is a number that is too large".to_owned())
            }
            (Kind::Double, other) => Err(wrong("a number", other)),
            (Kind::Int32, value) => whole(value).map(Field::I32),
            (Kind::Int64, value) => whole(value).map(Field::I64),
            (Kind::Bytes, Value::Text(text)) => hash(text).map(|hash| Field::Bytes(hash.into())),
            (Kind::Bytes, other) => Err(wrong("64 hexadecimal digits", other)),
            (Kind::Enum(kind), value) => {
                // `GLOBAL` and `ROUTING_SCOPE_GLOBAL` are the same.
                let zero = kind.default_value();
                let prefix = zero.name().trim_end_matches("UNSPECIFIED");
                let values = || kind.values().filter(|value| value.number() != zero.number());
                let short = |name: &str| name.trim_start_matches(prefix).to_owned();
                let wanted = match value {
                    Value::Text(text) => text.to_uppercase().replace('-', "_"),
                    _ => String::new(),
                };
                match values().find(|value| value.name() == wanted || short(value.name()) == wanted) {
                    Some(value) => Ok(Field::EnumNumber(value.number())),
                    None => {
                        let names: Vec<_> = values().map(|value| short(value.name())).collect();
                        Err(format!("must be one of {}", names.join(", ")))
                    }
                }
            }
            (kind, _) => Err(format!("is of a type that files do not have: {kind:?}")),
        };
        read.map_err(|text| faults.add(node.line, path, text)).ok()
    }

    fn message(self, descriptor: &MessageDescriptor, node: &Node, path: &str, faults: &mut Faults) -> Option<Field> {
        let mut message = DynamicMessage::new(descriptor.clone());
        match (descriptor.full_name(), &node.value) {
            ("google.protobuf.Timestamp", Value::Text(text)) if text.parse::<prost_types::Timestamp>().is_ok() => {
                let time: prost_types::Timestamp = text.parse().ok()?;
                message.transcode_from(&time).ok()?;
            }
            ("google.protobuf.Timestamp", _) => {
                faults.add(node.line, path, "must be a time, as 2026-03-01T00:00:00Z");
                return None;
            }
            ("google.protobuf.Struct", Value::Map(_)) => {
                let read = DynamicMessage::deserialize(descriptor.clone(), plain(node));
                return read.map(Field::Message).map_err(|error| faults.add(node.line, path, error.to_string())).ok();
            }
            (_, Value::Map(entries)) => self.entries(&mut message, entries, path, faults),
            (_, other) => {
                faults.add(node.line, path, wrong("a mapping", other));
                return None;
            }
        }
        Some(Field::Message(message))
    }
}

fn wrong(expected: &str, found: &Value) -> String {
    format!("must be {expected} and is {}", found.name())
}

/// A whole number; quoted too, as JSON has those of 64 bits.
fn whole<N: std::str::FromStr>(value: &Value) -> Result<N, String> {
    match value {
        Value::Number(text) | Value::Text(text) => {
            text.parse().map_err(|_| format!("must be a whole number and is {text:?}"))
        }
        other => Err(wrong("a whole number", other)),
    }
}

/// The hash of a secret, in hexadecimal digits or, as in JSON of the API, in base64.
fn hash(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    let read = hex::decode(text).ok().or_else(|| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let wrong = || "must be the SHA-256 of a value in 64 hexadecimal digits".to_owned();
    read.filter(|hash| hash.len() == 32).ok_or_else(wrong)
}

/// A free value as JSON.
fn plain(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(on) => (*on).into(),
        Value::Number(text) => text.parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries.iter().map(|entry| (entry.name.clone(), plain(&entry.node))).collect(),
    }
}

/// Says that there is no such field, and which one was meant perhaps.
fn unknown(descriptor: &MessageDescriptor, name: &str) -> String {
    let fields = descriptor.fields().filter(|field| !is_output_only(descriptor, field.name()));
    let names: Vec<_> = fields.map(|field| field.name().to_owned()).collect();
    format!("is no field of {}{}", descriptor.name(), nearest(name, names.iter().map(String::as_str)))
}

/// A question after the nearest of `names`, or all of them if none is near.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let near =
        names.clone().map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known));
    match near.min() {
        Some((distance, known)) if distance <= 1 + name.len() / 3 => format!("; did you mean {known}?"),
        _ => format!("; there are {}", names.collect::<Vec<_>>().join(", ")),
    }
}
