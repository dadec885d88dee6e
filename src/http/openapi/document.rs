//! The document.

use serde_json::{Map, Value as Json, json};

use super::schemas::{Schemas, Side};
use crate::http::rest::operations::{Act, OPERATIONS, Operation, ROOT};
use crate::http::rest::query::{MAX_OFFSET, parameters};
use crate::http::rest::shapes::named;

const ABOUT: &str = "The management API of the gateway that Tollgate mirrors, path for path. Where it differs, \
                     `x-tollgate-difference` says so. Each operation is a call of the gRPC method in `x-tollgate-method`, \
                     whose comments say more.\n\nWhat a PUT leaves out stays as it is, and so does what is `null`, except \
                     where `null` clears: `team_id`, `customer_id`, `expires_at`, `weight`, and the ids of pricing \
                     overrides. `[]` and `{}` clear lists and limits.";

/// The OpenAPI document of the mirrored API.
pub(crate) fn document() -> Json {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for operation in &OPERATIONS {
        let path = paths.entry(format!("{ROOT}/{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.verb().to_lowercase()] = described(operation, &mut schemas);
    }
    schemas.0.insert("Message".to_owned(), object(&[("message", json!({ "type": "string" }))], &["message"]));
    // Not `Error`, which languages have already.
    schemas.0.insert("ErrorResponse".to_owned(), error());
    let quota_error = object(&[("error", json!({ "type": "string" }))], &["error"]);
    schemas.0.insert("QuotaError".to_owned(), quota_error);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tollgate governance API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [{ "name": "Governance", "description": "Virtual keys, teams, customers, limits, routing and prices." }],
        "security": [{ "accessToken": [] }, { "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "responses": responses(),
            "securitySchemes": {
                "accessToken": { "type": "http", "scheme": "bearer", "description": "An access token, `tg_…`." },
                "basic": { "type": "http", "scheme": "basic", "description": "An access token as the password; any user name." },
                "virtualKey": { "type": "apiKey", "in": "header", "name": "x-bf-vk", "description": "A virtual key." },
                "bearerVirtualKey": { "type": "http", "scheme": "bearer", "description": "A virtual key." },
                "apiKey": { "type": "apiKey", "in": "header", "name": "x-api-key", "description": "A virtual key." },
            },
        },
    })
}

fn described(operation: &Operation, schemas: &mut Schemas) -> Json {
    let mut described = json!({
        "operationId": operation.id,
        "tags": ["Governance"],
        "summary": operation.summary,
        "x-tollgate-method": format!("tollgate.v1.{}/{}", operation.resource.service, operation.method),
        "responses": answers(operation, schemas),
    });
    if !operation.difference.is_empty() {
        described["description"] = Json::from(operation.difference);
        described["x-tollgate-difference"] = Json::from(operation.difference);
    }
    let given = given(operation, schemas);
    if !given.is_empty() {
        described["parameters"] = Json::Array(given);
    }
    let side = match operation.act {
        Act::Create => Some(Side::Create),
        Act::Update => Some(Side::Update),
        Act::List(_) | Act::Get | Act::Delete | Act::Quota => None,
    };
    if let (Some(side), Some(of)) = (side, named(operation.resource.message)) {
        let mut content = json!({ "schema": schemas.reference(of, side) });
        if let Some(example) = example(operation) {
            content["example"] = example;
        }
        described["requestBody"] = json!({ "required": true, "content": { "application/json": content } });
    }
    if operation.act == Act::Quota {
        described["security"] = json!([{ "virtualKey": [] }, { "bearerVirtualKey": [] }, { "apiKey": [] }]);
    }
    described
}

/// A body that the operation takes.
pub(crate) fn example(operation: &Operation) -> Option<Json> {
    let example: Json = serde_json::from_str(operation.resource.example).ok()?;
    let object = example.as_object()?;
    match operation.act {
        Act::Create => Some(example),
        // A name of its own is taken by what the other example made.
        Act::Update => Some(Json::Object(object.clone().into_iter().filter(|(name, _)| name != "name").collect())),
        Act::List(_) | Act::Get | Act::Delete | Act::Quota => None,
    }
}

fn given(operation: &Operation, schemas: &mut Schemas) -> Vec<Json> {
    let in_path = operation.parameter().map(|name| {
        let text = if name == "provider_name" { "Name of the provider." } else { "Id of the resource." };
        let schema = json!({ "type": "string", "minLength": 1 });
        json!({ "name": name, "in": "path", "required": true, "description": text, "schema": schema })
    });
    let request = operation.descriptor().map(|method| method.input());
    let in_query = parameters(operation).map(|name| {
        let (schema, text) = match name {
            "limit" => (
                json!({ "type": "integer", "minimum": 0 }),
                "How many to answer: 25 if 0, at most 1,000. All, if it is left out.".to_owned(),
            ),
            "offset" => (
                json!({ "type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0 }),
                "How many to leave out first.".to_owned(),
            ),
            "from_memory" => (
                json!({ "type": "boolean", "default": false }),
                "Answer from this replica's memory instead of the database.".to_owned(),
            ),
            name => {
                let kind = request.as_ref().and_then(|it| it.get_field_by_name(name)).map(|field| field.kind());
                let schema = match kind {
                    Some(prost_reflect::Kind::Bool) => json!({ "type": "boolean" }),
                    Some(prost_reflect::Kind::Enum(of)) => schemas.choice(&of),
                    _ => json!({ "type": "string" }),
                };
                (schema, format!("Only those with this `{name}`."))
            }
        };
        json!({ "name": name, "in": "query", "required": false, "description": text, "schema": schema })
    });
    in_path.into_iter().chain(in_query).collect()
}

fn answers(operation: &Operation, schemas: &mut Schemas) -> Json {
    let mut answers = Map::new();
    let success = json!({
        "description": operation.summary,
        "content": { "application/json": { "schema": success(operation, schemas) } },
    });
    answers.insert(operation.success().to_string(), success);
    for status in operation.errors() {
        let response = if operation.act == Act::Quota && status == 401 {
            json!({
                "description": "The virtual key is missing or not known.",
                "content": { "application/json": { "schema": { "$ref": "#/components/schemas/QuotaError" } } },
            })
        } else {
            json!({ "$ref": format!("#/components/responses/{}", ERRORS.iter().find(|it| it.0 == status).map_or("", |it| it.1)) })
        };
        answers.insert(status.to_string(), response);
    }
    Json::Object(answers)
}

fn success(operation: &Operation, schemas: &mut Schemas) -> Json {
    let resource = operation.resource;
    let name = if operation.act == Act::Quota { "GetVirtualKeyQuotaResponse" } else { resource.message };
    let Some(of) = named(name) else { return json!({}) };
    let one = schemas.reference(of, Side::Answer);
    let text = json!({ "type": "string" });
    match operation.act {
        Act::Quota => one,
        Act::Get => object(&[(resource.one, one)], &[resource.one]),
        Act::Delete => json!({ "$ref": "#/components/schemas/Message" }),
        Act::Create | Act::Update if resource.message == "ProviderGovernance" => {
            json!({ "allOf": [one, object(&[("message", text)], &["message"])] })
        }
        Act::Create | Act::Update => object(&[("message", text), (resource.one, one)], &["message", resource.one]),
        Act::List(_) => {
            let number = || json!({ "type": "integer", "minimum": 0 });
            let rows = json!({ "type": "array", "items": one });
            let numbers = ["count", "total_count", "limit", "offset"];
            let mut properties = vec![(resource.many, rows)];
            properties.extend(numbers.iter().map(|name| (*name, number())));
            object(&properties, &[resource.many, "count", "total_count", "limit", "offset"])
        }
    }
}

fn object(properties: &[(&str, Json)], required: &[&str]) -> Json {
    let properties: Map<String, Json> = properties.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The errors: status, name and text.
const ERRORS: [(u16, &str, &str); 11] = [
    (400, "BadRequest", "Something is wrong with the request; the message and the details name each field."),
    (401, "Unauthorized", "There is no access token, or it is not known."),
    (403, "Forbidden", "The caller may not do this."),
    (404, "NotFound", "There is no such resource."),
    (409, "Conflict", "A name is taken, or the resource has changed meanwhile."),
    (413, "TooLarge", "The request is too large."),
    (415, "UnsupportedMediaType", "The body is no JSON, or is compressed by something other than gzip."),
    (429, "TooManyRequests", "Too much is in flight; `Retry-After` says when to try again."),
    (500, "InternalError", "A fault of the server; `x-request-id` finds it in the log."),
    (503, "Unavailable", "The service cannot do this now; `Retry-After` says when to try again."),
    (504, "DeadlineExceeded", "It took too long."),
];

fn responses() -> Json {
    let schema = json!({ "$ref": "#/components/schemas/ErrorResponse" });
    let content = json!({ "application/json": { "schema": schema } });
    let responses =
        ERRORS.iter().map(|(_, name, text)| ((*name).to_owned(), json!({ "description": text, "content": content })));
    Json::Object(responses.collect())
}

fn error() -> Json {
    let text = || json!({ "type": "string" });
    let fault = object(&[("field", text()), ("description", text())], &["field", "description"]);
    let error = object(
        &[
            ("message", text()),
            ("type", text()),
            ("code", text()),
            (
                "param",
                json!({ "type": ["string", "null"], "description": "The first field that something is wrong with." }),
            ),
            (
                "details",
                json!({ "type": "array", "items": fault, "description": "All that is wrong, field by field." }),
            ),
        ],
        &["message", "type", "code", "param", "details"],
    );
    let mut schema = object(
        &[
            ("is_bifrost_error", json!({ "type": "boolean", "const": false })),
            ("status_code", json!({ "type": "integer" })),
            ("error", error),
        ],
        &["is_bifrost_error", "status_code", "error"],
    );
    schema["example"] = json!({
        "is_bifrost_error": false,
        "status_code": 400,
        "error": {
            "message": "budgets[0].max_limit: is missing",
            "type": "invalid_request",
            "code": "invalid_field",
            "param": "budgets[0].max_limit",
            "details": [{ "field": "budgets[0].max_limit", "description": "is missing" }],
        },
    });
    schema
}
