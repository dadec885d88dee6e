//! Messages as JSON, as protobuf defines it: names in lowerCamelCase (the names of the proto are read too), enums by
//! name, 64-bit integers as strings, nothing that has its default.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::Serialize as _;
use tonic::Status;

use super::inner::malformed;
use crate::api;
use crate::domain::{Error, Violations};

/// The encoded message that `json` stands for. Fields that it does not have are refused, so that no misspelt one is
/// dropped silently.
///
/// # Errors
///
/// INVALID_ARGUMENT, with the field.
pub(super) fn read(message: &MessageDescriptor, json: &[u8]) -> Result<Bytes, Status> {
    if json.is_empty() {
        return Err(malformed("the request has no body; an empty message is {} as JSON"));
    }
    let mut input = serde_json::Deserializer::from_slice(json);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut input, &mut track);
    let read = DynamicMessage::deserialize(message.clone(), tracked);
    let read = read.and_then(|message| input.end().map(|()| message)).map_err(|error| {
        match field(&track.path().to_string(), &error) {
            Some(field) => {
                let mut violations = Violations::new();
                violations.add(field, error.to_string());
                api::status(Error::Invalid(violations), "")
            }
            None => malformed(format!("the JSON of the request cannot be read: {error}")),
        }
    })?;
    Ok(read.encode_to_vec().into())
}

/// The field that an error is about, if it is about one. `path` leads to what was being read; a field that does not exist
/// is told in the text alone.
fn field(path: &str, error: &serde_json::Error) -> Option<String> {
    if error.classify() != serde_json::error::Category::Data {
        return None;
    }
    let text = error.to_string();
    let unknown = text.strip_prefix("unrecognized field name '").and_then(|rest| rest.split('\'').next());
    match (path, unknown) {
        ("" | "." | "?", unknown) => unknown.map(str::to_owned),
        (path, Some(unknown)) => Some(format!("{path}.{unknown}")),
        (path, None) => Some(path.to_owned()),
    }
}

/// The JSON of an encoded message.
///
/// # Errors
///
/// INTERNAL if it is none: it comes from this server.
pub(super) fn write(message: &MessageDescriptor, encoded: Bytes) -> Result<Vec<u8>, Status> {
    let written = DynamicMessage::decode(message.clone(), encoded).map_err(|error| error.to_string());
    let written = written.and_then(|message| serde_json::to_vec(&message).map_err(|error| error.to_string()));
    written.map_err(|error| {
        tracing::error!(error, message = message.full_name(), "an answer cannot be written as JSON");
        Status::internal("the answer cannot be written as JSON")
    })
}

/// The same as a value within other JSON; `None` if it is no message of that kind.
pub(super) fn value(message: MessageDescriptor, encoded: &[u8]) -> Option<serde_json::Value> {
    let message = DynamicMessage::decode(message, encoded).ok()?;
    message.serialize(serde_json::value::Serializer).ok()
}

#[cfg(test)]
mod tests {
    use prost::Name as _;
    use tonic::Code;
    use tonic_types::StatusExt as _;

    use super::*;
    use crate::proto::v1;

    fn descriptor() -> MessageDescriptor {
        let pool = prost_reflect::DescriptorPool::decode(crate::proto::FILE_DESCRIPTOR_SET).unwrap();
        pool.get_message_by_name(&v1::CreateTeamRequest::full_name()).unwrap()
    }

    #[test]
    fn either_name_of_a_field_is_read() {
        for json in [r#"{"team":{"customerId":"c"}}"#, r#"{"team":{"customer_id":"c"}}"#] {
            let read = v1::CreateTeamRequest::decode(read(&descriptor(), json.as_bytes()).unwrap()).unwrap();
            assert_eq!(read.team.unwrap().customer_id, "c");
        }
    }

    #[test]
    fn faults_name_their_field() {
        for (json, field) in [
            (r#"{"team":{"naem":"x"}}"#, "team.naem"),
            (r#"{"team":{"name":7}}"#, "team.name"),
            (r#"{"team":{"budgets":[{"maxLimit":1},{"maxLimit":"much"}]}}"#, "team.budgets[1].maxLimit"),
            (r#"{"team":{"budgets":[{"enforcement":"ENFORCEMENT_NONE"}]}}"#, "team.budgets[0].enforcement"),
            (r#"{"tea":{}}"#, "tea"),
        ] {
            let status = read(&descriptor(), json.as_bytes()).unwrap_err();
            let details = status.get_error_details();
            let violations = details.bad_request().map(|it| it.field_violations.clone()).unwrap_or_default();
            let fields: Vec<_> = violations.iter().map(|it| it.field.as_str()).collect();
            assert_eq!((status.code(), fields), (Code::InvalidArgument, vec![field]), "{json}: {status}");
        }
        for json in ["", "{", "[]", "7", "{} {}", "null\u{0}", "{\"team\":{}"] {
            let status = read(&descriptor(), json.as_bytes()).unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{json}");
        }
    }
}
