//! Where requests begin: one message to each method, every field filled in.

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};

use super::service::METHODS;

/// Levels of messages in messages that are filled in.
const DEPTH: usize = 4;

/// Inputs of the target `request`.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let seed = |(index, method): (usize, &prost_reflect::MethodDescriptor)| {
        let mut input = u16::try_from(index).unwrap().to_le_bytes().to_vec();
        input.extend(filled(&method.input(), DEPTH).encode_to_vec());
        input
    };
    METHODS.iter().enumerate().map(seed).collect()
}

fn filled(descriptor: &MessageDescriptor, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    for field in descriptor.fields() {
        let Some(one) = value(&field, depth) else { continue };
        if field.is_map() {
            message.set_field(&field, Value::Map([(MapKey::String("team".to_owned()), one)].into()));
        } else if field.is_list() {
            message.set_field(&field, Value::List(vec![one]));
        } else {
            message.set_field(&field, one);
        }
    }
    message
}

fn value(field: &FieldDescriptor, depth: usize) -> Option<Value> {
    let kind = match field.kind() {
        // Of the two fields of a map's entry, the value; all keys are strings.
        Kind::Message(entry) if field.is_map() => entry.map_entry_value_field().kind(),
        kind => kind,
    };
    Some(match kind {
        Kind::Message(_) if depth == 0 => return None,
        Kind::Message(message) => Value::Message(filled(&message, depth - 1)),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Bool => Value::Bool(true),
        Kind::Double => Value::F64(1.0),
        Kind::Float => Value::F32(1.0),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(1),
        Kind::Bytes => Value::Bytes(vec![7; 32].into()),
        Kind::String => Value::String(text(field.name()).to_owned()),
    })
}

/// Something that makes sense in a field of this name.
fn text(name: &str) -> &'static str {
    match name {
        "request_id" => "0190a8f0-0000-7000-8000-000000000001",
        "paths" => "name",
        "provider" | "provider_id" => "openai",
        "cel_expression" => "model == \"gpt-4o\" && headers[\"x-tier\"] != \"gold\"",
        "fallbacks" => "openai/gpt-4o",
        "model" | "model_name" | "pattern" | "allowed_models" | "blocked_models" => "gpt-4o",
        "key_ids" | "tools_to_execute" => "*",
        "page_token" | "resume_token" => "",
        name if name.ends_with("duration") => "1M",
        _ => "one",
    }
}
