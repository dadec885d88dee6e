//! Pages of other origins: which may call, and what their browsers are told.
//!
//! A browser lets a page of another origin send a call only if the server says so beforehand (the preflight), and read
//! an answer only if the answer says so. No cookies are used here: a page that calls has been given an access token.

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use tonic::body::Body;

use crate::settings::AllowedOrigin;

/// The fields of an answer that pages may read beside those that they always may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "grpc-status, grpc-message, grpc-status-details-bin, x-request-id, connect-content-encoding, content-encoding",
);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
/// Seconds for which a browser need not ask again: no browser keeps it longer than two hours.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// The origins whose pages may call. Cloning is cheap.
#[derive(Clone, Default, Debug)]
pub(crate) struct Origins {
    allowed: Arc<[AllowedOrigin]>,
    /// Whether pages that this server itself seems to have sent may call: those behind the same proxy as it.
    own: bool,
}

impl Origins {
    /// Those that are `allowed`, and with `own` the server's.
    pub(crate) fn new(allowed: &[AllowedOrigin], own: bool) -> Self {
        Self { allowed: allowed.into(), own }
    }

    /// Whether a page of `origin` may make a call with this head.
    pub(crate) fn allow(&self, origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
        self.lists(origin) || self.own && is_own(origin, uri, headers)
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Of(allowed) => origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()),
        })
    }

    /// The answer to a browser that asks whether a page may call; `None` if this is no such question.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let headers = request.headers();
        let origin = headers.get(ORIGIN).filter(|_| request.method() == Method::OPTIONS)?;
        if !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) || !self.lists(origin) {
            return None;
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        // A caller may send any metadata.
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        answer.insert(
            VARY,
            HeaderValue::from_static("origin, access-control-request-method, access-control-request-headers"),
        );
        Some(response)
    }

    /// Lets a page of `origin`, if it is allowed, read an answer.
    pub(crate) fn expose(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if self.allowed.is_empty() {
            return;
        }
        // A cache must not give the answer for one origin to another.
        answer.append(VARY, HeaderValue::from_static("origin"));
        if let Some(origin) = origin.filter(|origin| self.lists(origin)) {
            answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

/// Whether a browser says that a page of another site asks for this without an `Origin`: by a link, a picture or a script.
/// No program does.
pub(crate) fn is_embedded(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    matches!(site, Some(b"cross-site" | b"same-site")) && !headers.contains_key(ORIGIN)
}

/// Whether an origin is the host that the request is for.
fn is_own(origin: &HeaderValue, uri: &Uri, headers: &HeaderMap) -> bool {
    let page = origin.to_str().ok().and_then(|it| it.parse::<Uri>().ok()).and_then(|it| it.into_parts().authority);
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let host = uri.authority().cloned().or(host);
    page.is_some_and(|page| host.is_some_and(|host| host == page))
}
