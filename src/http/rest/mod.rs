//! The mirrored API: the paths, statuses and JSON of the gateway whose management API Tollgate mirrors, so that its clients,
//! scripts and pages can be pointed here. Every operation is a call of a gRPC method; the table of them is in
//! [`operations`], and what differs in objects in [`shapes`].

mod change;
mod fault;
mod legacy;
mod list;
pub(crate) mod operations;
pub(crate) mod query;
mod read;
pub(crate) mod shapes;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, request};
use percent_encoding::percent_decode_str;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use serde_json::{Value as Json, json};
use tonic::Status;
use tonic::body::Body;

use self::operations::{Act, Operation, ROOT, Route};
use super::inner::{BodyLimit, Call, Inner, Refusal};
use super::{cors, openapi};
use crate::api;
use crate::domain::{Error, Violations};

/// Whether a request is for these routes, by its path alone.
pub(super) fn wants<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    path.starts_with("/api/") || openapi::wants(path)
}

/// Answers such a request.
pub(super) async fn serve(inner: &Inner, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if openapi::wants(head.uri.path()) {
        return openapi::serve(&head);
    }
    if cors::is_embedded(&head.headers) {
        let text = "a page of another site asked for this without saying its origin";
        return fault::turned_away(StatusCode::FORBIDDEN, text, &[]);
    }
    let path = head.uri.path().to_owned();
    let below = path.strip_prefix(ROOT).and_then(|path| path.strip_prefix('/'));
    let (operation, id) = match below.map_or(Route::Nowhere, |path| operations::route(&head.method, path)) {
        Route::To(operation, id) => (operation, id),
        Route::Other(verbs) => {
            let text = format!("this path takes {}", verbs.join(", "));
            return fault::turned_away(StatusCode::METHOD_NOT_ALLOWED, &text, &verbs);
        }
        Route::Nowhere => {
            let text = "there is no such path; /openapi.json lists those that there are";
            return fault::turned_away(StatusCode::NOT_FOUND, text, &[]);
        }
    };
    let has_body = matches!(operation.act, Act::Create | Act::Update);
    if has_body && !head.headers.get(CONTENT_TYPE).is_some_and(is_json) {
        let text = "the content type of the request must be application/json";
        return fault::turned_away(StatusCode::UNSUPPORTED_MEDIA_TYPE, text, &[]);
    }
    let id = id.map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned());
    let asked = Arc::new(Asked { inner: inner.clone(), head: understood(head, operation), operation });
    match operation.act {
        Act::List(_) => list::list(asked).await,
        Act::Create => change::create(asked, body).await,
        Act::Update => change::update(asked, body, id.unwrap_or_default()).await,
        Act::Delete => change::delete(asked, id.unwrap_or_default()).await,
        Act::Get => get(asked, id.unwrap_or_default()).await,
        Act::Quota => quota(asked).await,
    }
}

/// A request for an operation.
struct Asked {
    inner: Inner,
    head: request::Parts,
    operation: &'static Operation,
}

/// The answer of a method, and the metadata that came before it.
type Answered = Result<(DynamicMessage, HeaderMap), Box<Refusal>>;

impl Asked {
    fn method(&self) -> Result<MethodDescriptor, Box<Refusal>> {
        self.operation.descriptor().ok_or_else(undescribed)
    }

    /// Calls the operation's method. `message` makes the request, once it is known that the caller may make the call.
    async fn call<F>(&self, message: impl FnOnce(BodyLimit) -> F) -> Answered
    where
        F: Future<Output = Result<DynamicMessage, Status>> + Send + 'static,
    {
        self.call_to(&self.method()?, message).await
    }

    async fn call_to<F>(&self, method: &MethodDescriptor, message: impl FnOnce(BodyLimit) -> F) -> Answered
    where
        F: Future<Output = Result<DynamicMessage, Status>> + Send + 'static,
    {
        let name = format!("{}/{}", method.parent_service().full_name(), method.name());
        let call = Call { method: &name, head: &self.head, timeout: None };
        let encoded = |limit| {
            let message = message(limit);
            async move { message.await.map(|message| Bytes::from(message.encode_to_vec())) }
        };
        let answer = self.inner.unary(call, encoded).await?;
        let decoded = DynamicMessage::decode(method.output(), answer.message).map_err(|_| {
            let status = Status::internal("the answer of the method cannot be read");
            Box::new(Refusal { status, metadata: answer.metadata.clone() })
        })?;
        Ok((decoded, answer.metadata))
    }

    /// Puts the parameters of the query into `request`.
    fn parameters(&self, request: &mut DynamicMessage) -> Result<query::Range, Status> {
        let mut violations = Violations::new();
        let query = self.head.uri.query().unwrap_or_default();
        let range = query::read(self.operation, query, request, &mut violations);
        violations.or(range).map_err(invalid)
    }

    fn refused(&self, refusal: Refusal, sent: Option<&Json>) -> Response<Body> {
        fault::refused(self.operation, refusal, sent)
    }
}

/// The status of a request with these faults.
fn invalid(violations: Violations) -> Status {
    api::status(Error::Invalid(violations), "")
}

/// No build that passed its tests answers so.
fn undescribed() -> Box<Refusal> {
    Box::new(Refusal { status: Status::internal("there is no descriptor of the method"), metadata: HeaderMap::new() })
}

/// The head of a request as the calls understand it: Basic becomes the access token that is its password. A virtual key that
/// asks for its quota is no access token.
fn understood(mut head: request::Parts, operation: &Operation) -> request::Parts {
    if operation.act != Act::Quota
        && let Some(token) = head.headers.get(AUTHORIZATION).and_then(password)
        && let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {token}"))
    {
        bearer.set_sensitive(true);
        let mut given = head.headers.get_all(AUTHORIZATION).iter();
        // Two credentials are none, whatever their schemes.
        if given.next().is_some() && given.next().is_none() {
            head.headers.insert(AUTHORIZATION, bearer);
        }
    }
    head
}

fn password(authorization: &HeaderValue) -> Option<String> {
    let (scheme, encoded) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

fn is_json(content_type: &HeaderValue) -> bool {
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The request of a method that names one resource.
fn naming(method: &MethodDescriptor, id: &str) -> DynamicMessage {
    let mut request = DynamicMessage::new(method.input());
    put(&mut request, "id", Value::String(id.to_owned()));
    request
}

/// Sets a field if the message has it.
fn put(message: &mut DynamicMessage, name: &str, value: Value) {
    // Whether it has is settled by the descriptors, and a test sees to those that matter.
    let _ = message.try_set_field_by_name(name, value);
}

/// The resource in an answer.
fn resource_of(answer: &DynamicMessage, operation: &Operation) -> Option<DynamicMessage> {
    let of_resource = |field: &prost_reflect::FieldDescriptor| {
        !field.is_list() && field.kind().as_message().is_some_and(|it| it.name() == operation.resource.message)
    };
    let field = prost_reflect::ReflectMessage::descriptor(answer).fields().find(of_resource)?;
    answer.get_field(&field).as_message().cloned()
}

async fn get(asked: Arc<Asked>, id: String) -> Response<Body> {
    let answer = match asked.method() {
        Ok(method) => {
            let reading = Arc::clone(&asked);
            let request = move |_| async move {
                let mut request = naming(&method, &id);
                put(&mut request, "view", FULL);
                reading.parameters(&mut request)?;
                Ok(request)
            };
            asked.call(request).await
        }
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok((answer, metadata)) => {
            let found = resource_of(&answer, asked.operation).map_or(Json::Null, |it| write::object_of(&it));
            fault::answer(StatusCode::OK, &json!({ asked.operation.resource.one: found }), metadata)
        }
        Err(refusal) => asked.refused(*refusal, None),
    }
}

/// Embeds what a resource belongs to and what belongs to it, as the mirrored gateway does.
const FULL: Value = Value::EnumNumber(crate::proto::v1::ResourceView::Full as i32);

async fn quota(asked: Arc<Asked>) -> Response<Body> {
    let answer = match asked.method() {
        Ok(method) => asked.call(move |_| async move { Ok(DynamicMessage::new(method.input())) }).await,
        Err(refusal) => Err(refusal),
    };
    match answer {
        Ok((answer, metadata)) => {
            let mut quota = write::object_of(&answer);
            // The provider keys that it may use are no matter of its holder.
            for config in quota.get_mut("provider_configs").and_then(Json::as_array_mut).into_iter().flatten() {
                config["keys"] = Json::Null;
            }
            fault::answer(StatusCode::OK, &quota, metadata)
        }
        Err(refusal) => asked.refused(*refusal, None),
    }
}
