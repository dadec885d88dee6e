//! Creations, updates and deletions.

use std::sync::{Arc, OnceLock};

use http::header::CONTENT_ENCODING;
use http::{HeaderValue, Response, StatusCode};
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json, json};
use tonic::body::Body;
use tonic::{Code, Status};

use super::operations::{Act, Resource, method};
use super::read::{Purpose, Reader};
use super::{Asked, FULL, fault, invalid, legacy, naming, put, resource_of, write};
use crate::domain::Path;
use crate::http::gzip::Coding;
use crate::http::inner::{BodyLimit, malformed};
use crate::proto::v1::Children;

/// Attempts at an update that others overtake.
const ATTEMPTS: usize = 8;
/// Flags of an update beside the fields of its resource.
const RESETS: [&str; 2] = ["reset_budget_usage", "reset_rate_limit_usage"];

/// A body, kept for the case that the update is tried again, and for the words of its faults.
type Kept = Arc<OnceLock<Json>>;

pub(super) async fn create(asked: Arc<Asked>, body: Body) -> Response<Body> {
    let kept = Kept::default();
    let reading = (Arc::clone(&asked), Arc::clone(&kept));
    let request = move |limit| async move {
        let (asked, kept) = reading;
        let json = asked.body(&kept, Some(body), limit).await?;
        let method = asked.method().map_err(|refusal| refusal.status)?;
        let mut reader = Reader::default();
        asked.no_parameters(&mut reader);
        let mut request = DynamicMessage::new(method.input());
        let (field, of) = resource_field(&method, asked.operation.resource).ok_or_else(undescribed)?;
        let read = reader.resource(&of, json, Purpose::Create, None);
        request.set_field(&field, Value::Message(read.message));
        reader.violations.or(request).map_err(invalid)
    };
    match asked.call(request).await {
        Ok((answer, metadata)) => {
            let status = StatusCode::from_u16(asked.operation.success()).unwrap_or_default();
            fault::answer(status, &changed(&asked, &answer).await, metadata)
        }
        Err(refusal) => asked.refused(*refusal, kept.get()),
    }
}

pub(super) async fn update(asked: Arc<Asked>, body: Body, id: String) -> Response<Body> {
    let kept = Kept::default();
    let mut body = Some(body);
    let mut attempt = 1;
    loop {
        // Whether the request depends on what was stored before it.
        let depends = Arc::new(OnceLock::new());
        let edit =
            Edit { asked: Arc::clone(&asked), kept: Arc::clone(&kept), id: id.clone(), depends: Arc::clone(&depends) };
        let body = body.take();
        match asked.call(move |limit| edit.request(body, limit)).await {
            Ok((answer, metadata)) => {
                return fault::answer(StatusCode::OK, &changed(&asked, &answer).await, metadata);
            }
            Err(refusal) if refusal.status.code() == Code::Aborted && depends.get().is_some() && attempt < ATTEMPTS => {
                attempt += 1;
            }
            Err(refusal) => return asked.refused(*refusal, kept.get()),
        }
    }
}

/// An update that is to be made.
struct Edit {
    asked: Arc<Asked>,
    kept: Kept,
    id: String,
    depends: Arc<OnceLock<()>>,
}

impl Edit {
    async fn request(self, body: Option<Body>, limit: BodyLimit) -> Result<DynamicMessage, Status> {
        let Self { asked, kept, id, depends } = self;
        let json = asked.body(&kept, body, limit).await?;
        let resource = asked.operation.resource;
        let method = asked.method().map_err(|refusal| refusal.status)?;
        let (field, of) = resource_field(&method, resource).ok_or_else(undescribed)?;
        let current = if legacy::needs_current(json) { asked.stored(&id).await? } else { None };

        let mut reader = Reader::default();
        asked.no_parameters(&mut reader);
        let mut request = DynamicMessage::new(method.input());
        let mut json = json.clone();
        for name in RESETS {
            match json.remove(name).filter(|it| !it.is_null()) {
                Some(Json::Bool(reset)) if method.input().get_field_by_name(name).is_some() => {
                    put(&mut request, name, Value::Bool(reset));
                }
                Some(other) => {
                    // As a property that there is not, or one that is no flag.
                    if method.input().get_field_by_name(name).is_some() {
                        reader.fault(&Path::root(name), "must be true or false");
                    } else {
                        json.insert(name.to_owned(), other);
                    }
                }
                None => {}
            }
        }
        let revision = json.remove("revision").filter(|it| !it.is_null());
        let mut read = reader.resource(&of, &json, Purpose::Update, current.as_ref());
        let expected = match revision {
            Some(revision) => {
                let given = revision.as_i64().filter(|it| *it >= 0);
                if given.is_none() {
                    reader.fault(&Path::root("revision"), "must be the revision that you read, or 0 for any");
                }
                given
            }
            None => {
                let read = current.and_then(|it| it.get_field_by_name("revision").and_then(|it| it.as_i64()));
                if read.is_some() {
                    let _ = depends.set(());
                }
                read
            }
        };
        put(&mut read.message, "revision", Value::I64(expected.unwrap_or_default()));
        put(&mut read.message, "id", Value::String(id.clone()));
        if let Some(name) = of.get_field_by_name("provider").filter(|_| resource.message == "ProviderGovernance") {
            let given = read.message.get_field(&name).as_str().unwrap_or_default().to_owned();
            if !given.is_empty() && given != id {
                reader.fault(&Path::root("provider"), "is not that of the path");
            }
            read.message.set_field(&name, Value::String(id));
            read.said.retain(|said| said != "provider");
        }
        request.set_field(&field, Value::Message(read.message));
        if let Some(mask) = method.input().get_field_by_name("update_mask")
            && let Some(of) = mask.kind().as_message()
            && !read.said.is_empty()
        {
            let mut message = DynamicMessage::new(of.clone());
            read.said.sort();
            read.said.dedup();
            let paths = read.said.into_iter().map(Value::String).collect();
            put(&mut message, "paths", Value::List(paths));
            request.set_field(&mask, Value::Message(message));
        }
        reader.violations.or(request).map_err(invalid)
    }
}

pub(super) async fn delete(asked: Arc<Asked>, id: String) -> Response<Body> {
    let deleting = Arc::clone(&asked);
    let request = move |_| async move {
        let method = deleting.method().map_err(|refusal| refusal.status)?;
        let mut reader = Reader::default();
        deleting.no_parameters(&mut reader);
        let mut request = naming(&method, &id);
        // Teams and customers: what is below them goes on without them, as there.
        put(&mut request, "children", Value::EnumNumber(Children::Detach.into()));
        reader.violations.or(request).map_err(invalid)
    };
    match asked.call(request).await {
        Ok((_, metadata)) => fault::answer(StatusCode::OK, &json!({ "message": asked.operation.message() }), metadata),
        Err(refusal) => asked.refused(*refusal, None),
    }
}

impl Asked {
    /// The resource as it is stored; `None` if there is none though it may be changed.
    async fn stored(&self, id: &str) -> Result<Option<DynamicMessage>, Status> {
        let resource = self.operation.resource;
        let name = format!("Get{}", resource.message);
        let method = method(resource, &name).ok_or_else(undescribed)?;
        let request = naming(&method, id);
        match self.call_to(&method, |_| async move { Ok(request) }).await {
            Ok((answer, _)) => Ok(resource_of(&answer, self.operation)),
            // The limits of a provider begin with the first of them.
            Err(refusal) if refusal.status.code() == Code::NotFound && resource.message == "ProviderGovernance" => {
                Ok(None)
            }
            Err(refusal) => Err(refusal.status),
        }
    }

    /// The object in a body; read now, or before.
    async fn body<'a>(
        &self,
        kept: &'a OnceLock<Json>,
        body: Option<Body>,
        limit: BodyLimit,
    ) -> Result<&'a Map<String, Json>, Status> {
        if let Some(body) = body {
            let coding = Coding::of(self.head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes))?;
            let bytes = coding.unpack(limit.read(body).await?, &limit)?;
            let json =
                serde_json::from_slice(&bytes).map_err(|error| malformed(format!("the body is no JSON: {error}")))?;
            let _ = kept.set(json);
        }
        let object = kept.get().and_then(Json::as_object);
        object.ok_or_else(|| malformed("the body must be a JSON object"))
    }

    /// Embeds what a resource belongs to and what belongs to it, as reads do. The change is made: should it not be read now, it
    /// is answered without.
    async fn embed(&self, resource: &mut DynamicMessage) {
        let embedded: Vec<_> = resource.descriptor().fields().filter(is_embedded).collect();
        let has = |name: &str| resource.get_field_by_name(name).is_some_and(|it| it.as_str() != Some(""));
        // A new one has nothing below it.
        let is_alone = self.operation.act == Act::Create
            && !["team_id", "customer_id"]
                .into_iter()
                .any(|it| resource.descriptor().get_field_by_name(it).is_some() && has(it));
        let id = resource.get_field_by_name("id").and_then(|id| id.as_str().map(ToOwned::to_owned)).unwrap_or_default();
        let of = self.operation.resource;
        let Some(method) = method(of, &format!("Get{}", of.message)).filter(|_| !embedded.is_empty() && !is_alone)
        else {
            return;
        };
        let mut request = naming(&method, &id);
        put(&mut request, "view", FULL);
        // It holds what was just changed.
        put(&mut request, "from_memory", Value::Bool(true));
        let read = self.call_to(&method, |_| async move { Ok(request) }).await;
        if let Some(read) = read.ok().and_then(|(answer, _)| resource_of(&answer, self.operation)) {
            for field in embedded.iter().filter(|field| read.has_field(field)) {
                resource.set_field(field, read.get_field(field).into_owned());
            }
        }
    }

    /// That there are no parameters where there are none.
    fn no_parameters(&self, reader: &mut Reader) {
        let query = self.head.uri.query().unwrap_or_default();
        if let Ok(method) = self.method() {
            super::query::read(self.operation, query, &mut DynamicMessage::new(method.input()), &mut reader.violations);
        }
    }
}

fn undescribed() -> Status {
    super::undescribed().status
}

/// The field of a request that holds the resource, and its message.
fn resource_field(method: &MethodDescriptor, resource: &Resource) -> Option<(FieldDescriptor, MessageDescriptor)> {
    method.input().fields().find_map(|field| {
        let of = field.kind().as_message().filter(|of| of.name() == resource.message)?.clone();
        Some((field, of))
    })
}

/// Whether a field embeds another resource.
fn is_embedded(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    kind.as_message().is_some_and(|of| ["Team", "Customer", "VirtualKey"].contains(&of.name()))
}

/// The body of the answer to a change.
async fn changed(asked: &Asked, answer: &DynamicMessage) -> Json {
    let mut resource = resource_of(answer, asked.operation);
    if let Some(resource) = &mut resource {
        asked.embed(resource).await;
    }
    let resource = resource.map_or(Json::Null, |it| write::object_of(&it));
    let message = asked.operation.message();
    match resource {
        Json::Object(mut object) if asked.operation.resource.message == "ProviderGovernance" => {
            object.insert("message".to_owned(), Json::from(message));
            Json::Object(object)
        }
        resource => json!({ "message": message, asked.operation.resource.one: resource }),
    }
}
