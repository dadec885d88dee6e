//! Calls of any method of the API, by the descriptors: the services for the kinds are alike.

use prost::Message as _;
use prost::bytes::{Buf, BufMut};
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use super::subject::Subject;
use crate::cli::Failure;
use crate::cli::remote::{descriptor, pool, refused};
use crate::cli::target::Server;
use crate::domain::Kind;

/// The most that a page may have.
const PAGE: i32 = 1_000;

/// A server, asked by name.
#[derive(Clone)]
pub(in crate::cli) struct Api {
    pub(in crate::cli) server: Server,
}

/// A method that is about to be called, and its request.
pub(in crate::cli) struct Call {
    method: MethodDescriptor,
    pub(in crate::cli) request: DynamicMessage,
}

impl Call {
    /// The method of a service, with an empty request.
    pub(in crate::cli) fn new(service: &str, method: &str) -> Result<Self, Failure> {
        let service = pool().and_then(|pool| pool.get_service_by_name(&format!("tollgate.v1.{service}")));
        let method = service.and_then(|service| service.methods().find(|known| known.name() == method));
        let method = method.ok_or_else(|| Failure::Failed("the API has no such method".into()))?;
        Ok(Self { request: DynamicMessage::new(method.input()), method })
    }

    /// A method for one resource of a kind: `verb` is Create, Get, Update or Delete.
    pub(in crate::cli) fn of(kind: Kind, verb: &str) -> Result<Self, Failure> {
        let message = Subject::Kind(kind).message();
        Self::new(&format!("{message}Service"), &format!("{verb}{message}"))
    }

    /// With a field of the request.
    pub(in crate::cli) fn with(mut self, field: &str, value: Value) -> Self {
        self.request.set_field_by_name(field, value);
        self
    }

    /// With a text in the request, if it is not empty.
    pub(in crate::cli) fn text(self, field: &str, text: &str) -> Self {
        if text.is_empty() { self } else { self.with(field, Value::String(text.to_owned())) }
    }

    /// Whether the request has such a field.
    pub(in crate::cli) fn has(&self, field: &str) -> bool {
        self.request.descriptor().get_field_by_name(field).is_some()
    }
}

impl Api {
    /// Calls, and says why the server refused.
    pub(in crate::cli) async fn call(&self, call: Call) -> Result<DynamicMessage, Failure> {
        self.status(call).await.map_err(|status| refused(&status))
    }

    /// Calls.
    pub(in crate::cli) async fn status(&self, call: Call) -> Result<DynamicMessage, Status> {
        let Call { method, request } = call;
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let path = path.parse().map_err(|_| Status::internal("the method has no path"))?;
        let mut grpc = Grpc::new(self.server.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = grpc.unary(Request::new(request), path, Dynamic { answer: method.output() }).await?;
        Ok(answer.into_inner())
    }

    /// All pages of a list.
    pub(in crate::cli) async fn list(&self, mut call: Call) -> Result<Vec<DynamicMessage>, Failure> {
        let mut found = Vec::new();
        call.request.set_field_by_name("page_size", Value::I32(PAGE));
        loop {
            let page = Call { method: call.method.clone(), request: call.request.clone() };
            let answer = self.call(page).await?;
            for (_, value) in answer.fields() {
                if let Value::List(items) = value {
                    found.extend(items.iter().filter_map(Value::as_message).cloned());
                }
            }
            let token = text(&answer, "next_page_token");
            if token.is_empty() {
                return Ok(found);
            }
            call.request.set_field_by_name("page_token", Value::String(token));
        }
    }
}

/// A list of what a command is about.
pub(in crate::cli) fn listing(subject: Subject) -> Result<Call, Failure> {
    Call::new(&format!("{}Service", subject.message()), subject.list())
}

/// A text of a message; empty if it has none.
pub(in crate::cli) fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A number of a message; 0 if it has none.
pub(in crate::cli) fn number(message: &DynamicMessage, field: &str) -> i64 {
    let value = message.get_field_by_name(field);
    value.and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from))).unwrap_or_default()
}

/// The mask that names these fields.
pub(in crate::cli) fn mask(paths: Vec<String>) -> Result<Value, Failure> {
    let mut mask = DynamicMessage::new(descriptor("google.protobuf.FieldMask")?);
    mask.set_field_by_name("paths", Value::List(paths.into_iter().map(Value::String).collect()));
    Ok(Value::Message(mask))
}

/// The resource in an answer: its one message that is no list.
pub(in crate::cli) fn resource(answer: &DynamicMessage) -> Result<DynamicMessage, Failure> {
    let found = answer.fields().find_map(|(_, value)| value.as_message().cloned());
    found.ok_or_else(|| Failure::Failed("the server answered without a resource".into()))
}

/// Encodes and decodes by descriptors.
struct Dynamic {
    answer: MessageDescriptor,
}

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self { answer: self.answer.clone() }
    }

    fn decoder(&mut self) -> Self {
        Self { answer: self.answer.clone() }
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item.encode_to_vec().as_slice());
        Ok(())
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let decoded = DynamicMessage::decode(self.answer.clone(), bytes);
        decoded.map(Some).map_err(|_| Status::internal("the server's answer is no message of this API"))
    }
}
