//! Errors as the mirrored gateway answers them.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value as Json, json};
use tonic::Code;
use tonic::body::Body;
use tonic_types::StatusExt as _;

use super::operations::{Act, Operation};
use super::shapes::named;
use crate::http::inner::Refusal;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer with this status and body.
pub(super) fn answer(status: StatusCode, body: &Json, metadata: HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::from(Bytes::from(body.to_string()))));
    *response.status_mut() = status;
    *response.headers_mut() = metadata;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    // Answers hold secrets and usage.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a request that reaches no method.
pub(super) fn turned_away(status: StatusCode, text: &str, allow: &[&str]) -> Response<Body> {
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::FORBIDDEN => "permission_denied",
        _ => "unsupported_media_type",
    };
    let mut response = answer(status, &body(status, text, "invalid_request", code, None, Vec::new()), HeaderMap::new());
    if let Ok(allow) = HeaderValue::try_from(allow.join(", "))
        && status == StatusCode::METHOD_NOT_ALLOWED
    {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// The answer to an operation that was refused. `sent` is the body of the request, in whose terms fields are named.
pub(super) fn refused(operation: &Operation, refusal: Refusal, sent: Option<&Json>) -> Response<Body> {
    let Refusal { status, metadata } = refusal;
    let details = status.get_error_details();
    let reason = details.error_info().map_or("", |info| info.reason.trim_start_matches("ERROR_REASON_")).to_lowercase();
    let http = http_status(status.code(), &reason);
    let named = |field: &str, text: &str| (in_terms_of(operation, field, sent), text.to_owned());
    let faults: Vec<(String, String)> = match (details.bad_request(), details.precondition_failure()) {
        (Some(bad), _) => bad.field_violations.iter().map(|it| named(&it.field, &it.description)).collect(),
        (None, Some(failure)) if reason == "reference_not_found" => {
            let field = |subject: &str| subject.split_once('/').map_or("", |(field, _)| field).to_owned();
            failure.violations.iter().map(|it| named(&field(&it.subject), &it.description)).collect()
        }
        (None, _) => Vec::new(),
    };
    let texts: Vec<String> = faults
        .iter()
        .map(|(field, text)| if field.is_empty() { text.clone() } else { format!("{field}: {text}") })
        .collect();
    let text = if texts.is_empty() { status.message().to_owned() } else { texts.join("; ") };
    let kind = match http.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request",
    };
    let param = faults.first().map(|(field, _)| field.clone()).filter(|field| !field.is_empty());
    let listed = faults.into_iter().map(|(field, text)| json!({ "field": field, "description": text })).collect();
    let error = if operation.act == Act::Quota && http == StatusCode::UNAUTHORIZED {
        json!({ "error": text })
    } else {
        body(http, &text, kind, &reason, param, listed)
    };
    let mut response = answer(http, &error, metadata);
    if http == StatusCode::UNAUTHORIZED {
        // Basic is understood, and not asked for: a browser would keep what it is told, and send it for any page.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tollgate\""));
    }
    if http == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
    }
    let wait = details.retry_info().and_then(|it| it.retry_delay).map(|wait| wait.as_secs().max(1));
    if let Some(wait) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn body(http: StatusCode, text: &str, kind: &str, code: &str, param: Option<String>, details: Vec<Json>) -> Json {
    let error = json!({ "message": text, "type": kind, "code": code, "param": param, "details": details });
    json!({ "is_bifrost_error": false, "status_code": http.as_u16(), "error": error })
}

/// The status of HTTP for one of gRPC, with the reason that came with it.
fn http_status(code: Code, reason: &str) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // A request that names something that does not exist is at fault here.
        Code::FailedPrecondition if reason == "reference_not_found" => StatusCode::BAD_REQUEST,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted if reason == "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        // Every operation has a method; the coding of the body is all that may be unknown.
        Code::Unimplemented => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The path of a field of the request to gRPC, as the client wrote it: without the resource that it begins with, by the names
/// of this API, and with the one limit where that was sent in place of a list.
fn in_terms_of(operation: &Operation, field: &str, sent: Option<&Json>) -> String {
    let request = operation.descriptor().map(|method| method.input());
    let resource = request.as_ref().and_then(|request| {
        let (first, rest) = field.split_once('.')?;
        let is_resource = request.get_field_by_name(first)?.kind().as_message()?.name() == operation.resource.message;
        is_resource.then_some(rest)
    });
    let Some(rest) = resource else { return field.to_owned() };
    let mut shape = named(operation.resource.message);
    let mut sent = sent;
    let mut path = Vec::new();
    for step in rest.split('.') {
        let (name, index) = step.split_once('[').map_or((step, None), |(name, index)| (name, Some(index)));
        let shown = shape.and_then(|it| it.name_of(name)).unwrap_or(name);
        let one = name.strip_suffix('s').filter(|one| {
            index.is_some() && sent.is_some_and(|sent| sent.get(name).is_none() && sent.get(*one).is_some())
        });
        match (one, index) {
            (Some(one), _) => path.push(one.to_owned()),
            (None, Some(index)) => path.push(format!("{shown}[{index}")),
            (None, None) => path.push(shown.to_owned()),
        }
        let place = index.and_then(|index| index.trim_end_matches(']').parse::<usize>().ok());
        sent = sent.and_then(|it| it.get(one.unwrap_or(shown)));
        sent = sent.and_then(|it| place.filter(|_| one.is_none()).map_or(Some(it), |place| it.get(place)));
        shape = shape.and_then(|it| {
            let kind = it.message.get_field_by_name(name)?.kind();
            kind.as_message().and_then(super::shapes::object)
        });
    }
    path.join(".")
}
