//! Lines as protobuf's JSON.

use std::fmt;
use std::sync::LazyLock;

use prost::{Message as _, Name as _};
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage as _, Value,
};
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Label;

use super::FORMAT;
use crate::domain::Violations;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::proto::export::v1::Line;

/// What to do about a line that no export has.
pub(super) const REMEDY: &str = "use the file as `tollgate export` wrote it";

/// What is wrong with a line, and where on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault(pub String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Violations> for Fault {
    fn from(violations: Violations) -> Self {
        let all = violations.iter().map(|it| format!("{}: {}", it.field, it.description));
        Self(all.collect::<Vec<_>>().join("; "))
    }
}

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// The messages of format 1, where an owner had one `rateLimit`. Numbers of fields are the same in all formats, so that a
/// message of one format is read as one of another.
static FIRST: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| {
    let mut set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).ok()?;
    let messages = set.file.iter_mut().flat_map(|file| &mut file.message_type);
    for field in messages.flat_map(|message| &mut message.field).filter(|field| field.name() == "rate_limits") {
        field.set_label(Label::Optional);
        field.json_name = Some("rateLimit".to_owned());
    }
    DescriptorPool::from_file_descriptor_set(set).ok()
});

fn descriptor(format: i32) -> Result<MessageDescriptor, Fault> {
    let pool = if format == 1 { &FIRST } else { &POOL };
    let descriptor = pool.as_ref().and_then(|pool| pool.get_message_by_name(&Line::full_name()));
    descriptor.ok_or_else(|| Fault("has no descriptor".to_owned()))
}

/// The line as JSON, without its end.
///
/// # Errors
///
/// None that a line of this crate has.
pub fn encode(line: &Line) -> Result<String, Fault> {
    serde_json::to_string(&dynamic(line)?).map_err(|error| Fault(error.to_string()))
}

fn dynamic(line: &Line) -> Result<DynamicMessage, Fault> {
    DynamicMessage::decode(descriptor(FORMAT)?, line.encode_to_vec().as_slice())
        .map_err(|error| Fault(error.to_string()))
}

/// A line of a file of `format`, of which every field is known.
///
/// # Errors
///
/// That it is none, with the field.
pub fn decode(json: &[u8], format: i32) -> Result<Line, Fault> {
    read(json, format, &DeserializeOptions::new())
}

/// As much of a line as is known.
pub(super) fn decode_known(json: &[u8]) -> Result<Line, Fault> {
    read(json, FORMAT, &DeserializeOptions::new().deny_unknown_fields(false))
}

fn read(json: &[u8], format: i32, options: &DeserializeOptions) -> Result<Line, Fault> {
    let mut input = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut input, &mut track);
    let message = DynamicMessage::deserialize_with_options(descriptor(format)?, tracked, options);
    let message = message.and_then(|message| input.end().map(|()| message)).map_err(|error| {
        let (text, column) = (error.to_string(), error.column());
        // It counts lines from the beginning of this one.
        let text = text.split(" at line ").next().unwrap_or_default();
        match track.path().to_string().as_str() {
            "" | "." => Fault(format!("column {column}: {text}; {REMEDY}")),
            path => Fault(format!("{path} (column {column}): {text}; {REMEDY}")),
        }
    })?;
    message.transcode_to().map_err(|error| Fault(error.to_string()))
}

/// The first field in which two lines differ; `None` if they are the same.
pub(super) fn difference(one: &Line, other: &Line) -> Result<Option<String>, Fault> {
    if one == other {
        return Ok(None);
    }
    let place = first_difference(&dynamic(one)?, &dynamic(other)?);
    Ok(Some(place.unwrap_or_else(|| "line".to_owned())))
}

fn first_difference(one: &DynamicMessage, other: &DynamicMessage) -> Option<String> {
    one.descriptor().fields().find_map(|field| {
        let (a, b) = (one.get_field(&field), other.get_field(&field));
        if a == b && one.has_field(&field) == other.has_field(&field) {
            return None;
        }
        let name = field.name();
        let within = |a: &Value, b: &Value, place: String| match (a, b) {
            (Value::Message(a), Value::Message(b)) => {
                first_difference(a, b).map_or(place.clone(), |rest| format!("{place}.{rest}"))
            }
            _ => place,
        };
        Some(match (&*a, &*b) {
            (Value::List(a), Value::List(b)) if a.len() == b.len() => {
                let index = a.iter().zip(b).position(|(a, b)| a != b)?;
                within(a.get(index)?, b.get(index)?, format!("{name}[{index}]"))
            }
            (a, b) => within(a, b, name.to_owned()),
        })
    })
}
