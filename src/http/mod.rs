//! HTTP beside gRPC, on the same port. Each request ends in the handler of a gRPC method, by
//! [`Inner`]; nothing is implemented twice.

mod connect;
mod cors;
mod gzip;
mod inner;
mod json;
mod methods;
mod openapi;
mod protocol;
mod rest;
mod seat;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;

pub(crate) use self::cors::Origins;
pub(crate) use self::inner::{BodyLimit, Inner};
use self::methods::Methods;
pub(crate) use self::protocol::Protocol;
pub(crate) use self::seat::Seat;

/// The routes. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Http {
    inner: Inner,
    /// Read from the descriptors when first needed: they take some megabytes, and who speaks gRPC alone needs none.
    methods: Arc<LazyLock<Arc<Methods>, Descriptors>>,
}

type Descriptors = Box<dyn FnOnce() -> Arc<Methods> + Send + Sync>;

/// Why a request is not served: a text for the person who sent it.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    /// The status of HTTP.
    pub(crate) status: StatusCode,
    /// The fault, as the rest of a sentence.
    pub(crate) text: Cow<'static, str>,
    /// A field that tells programs the same.
    pub(crate) field: Option<(HeaderName, HeaderValue)>,
}

impl TurnedAway {
    /// With a status and a text alone.
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into(), field: None }
    }

    /// With a field too.
    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { field: Some((name, value)), ..self }
    }
}

impl Http {
    /// Answers by way of `inner`, for the services in encoded descriptor sets.
    pub(crate) fn new(inner: Inner, sets: &'static [&'static [u8]]) -> Self {
        // Those of this binary are tested.
        let methods: Descriptors = Box::new(|| Arc::new(Methods::new(sets).unwrap_or_default()));
        Self { inner, methods: Arc::new(LazyLock::new(methods)) }
    }

    /// Answers a request that is no call of gRPC, and names the protocol that it was.
    ///
    /// # Errors
    ///
    /// It is nothing that is served.
    pub(crate) async fn serve(&self, mut request: Request<Body>) -> Result<(Protocol, Response<Body>), TurnedAway> {
        let seat = Seat::default();
        request.extensions_mut().insert(seat.clone());
        if rest::wants(&request) {
            request.extensions_mut().insert(Protocol::Rest);
            let response = rest::serve(&self.inner, request).await;
            return Ok((Protocol::Rest, response.map(|body| seat.under(body))));
        }
        let path = request.uri().path();
        if let Some(method) = Some(path).filter(|path| Methods::may_have(path)).and_then(|it| self.methods.of_path(it))
        {
            if request.method() == Method::GET && cors::is_embedded(request.headers()) {
                let text = "a page of another site asked for this without saying its origin";
                return Err(TurnedAway::new(StatusCode::FORBIDDEN, text));
            }
            request.extensions_mut().insert(Protocol::Connect);
            let response = connect::serve(&self.inner, &self.methods, method, request).await?;
            return Ok((Protocol::Connect, response.map(|body| seat.under(body))));
        }
        Err(match *request.method() {
            // So that browsers and crawlers take it for what it is.
            Method::GET | Method::HEAD => TurnedAway::new(StatusCode::NOT_FOUND, "it has no page here"),
            Method::POST if request.headers().contains_key(CONTENT_TYPE) => {
                TurnedAway::new(StatusCode::NOT_FOUND, "the path of the request is no method of it")
            }
            Method::POST => {
                let text = "a call has a content type, which is application/json or that of gRPC";
                TurnedAway::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
            }
            _ => TurnedAway::new(StatusCode::METHOD_NOT_ALLOWED, "calls are made by POST")
                .with(http::header::ALLOW, HeaderValue::from_static("POST")),
        })
    }
}
