//! What is served over HTTP beside gRPC, on the same port. Each request ends in the handler of a gRPC method, by
//! [`Inner`]; nothing is implemented twice.

mod inner;
mod rest;

use http::{Request, Response};
use tonic::body::Body;

pub(crate) use self::inner::{BodyLimit, Inner};

/// The routes. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Http {
    inner: Inner,
}

impl Http {
    /// Answers by way of `inner`.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner }
    }

    /// Whether a request that is no call of gRPC is for these routes.
    pub(crate) fn wants<B>(&self, request: &Request<B>) -> bool {
        rest::wants(request)
    }

    /// Answers such a request.
    pub(crate) async fn serve(self, request: Request<Body>) -> Response<Body> {
        rest::serve(&self.inner, request).await
    }
}
