//! The description of the mirrored API (`/openapi.json`), made of the table that serves it, and a page that shows it
//! (`/docs`). The page loads nothing from elsewhere.

mod document;
mod schemas;

use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Response, StatusCode, request};
use http_body_util::Full;
use tonic::body::Body;

use self::document::document;

/// Everything that the page needs is served here, and nothing else may be loaded or told to anybody.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

/// Whether a path is one of these.
pub(super) fn wants(path: &str) -> bool {
    file(path).is_some()
}

fn file(path: &str) -> Option<(&'static str, Bytes)> {
    Some(match path {
        "/openapi.json" => ("application/json", DOCUMENT.clone()),
        "/docs" => ("text/html; charset=utf-8", Bytes::from_static(include_bytes!("page.html"))),
        "/docs/page.js" => ("text/javascript; charset=utf-8", Bytes::from_static(include_bytes!("page.js"))),
        "/docs/page.css" => ("text/css; charset=utf-8", Bytes::from_static(include_bytes!("page.css"))),
        _ => return None,
    })
}

/// Answers such a request. It tells what every copy of this program can tell, so anybody may read it.
pub(super) fn serve(head: &request::Parts) -> Response<Body> {
    let Some((content_type, content)) =
        file(head.uri.path()).filter(|_| [Method::GET, Method::HEAD].contains(&head.method))
    else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    };
    let mut response = Response::new(Body::new(Full::from(content)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
