//! The mirrored API and the documents that describe it. Its paths are kept here; nothing is served by them yet.

use http::{Request, Response, StatusCode};
use tonic::body::Body;

use super::Inner;

/// Whether a request is for these routes, by its path alone.
pub(super) fn wants<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    path.starts_with("/api/") || path == "/openapi.json" || path == "/docs"
}

/// Answers such a request.
pub(super) async fn serve(_: &Inner, _: Request<Body>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}
