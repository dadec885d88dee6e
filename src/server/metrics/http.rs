//! The listener from which metrics are read: `GET /metrics` by HTTP/1.1, on an address of its own, without TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How long a client may take to ask. Connections are kept open between scrapes for as long.
const PATIENCE: Duration = Duration::from_secs(90);
/// Connections open at once; more wait to be accepted. A few monitoring systems need one each.
const CONNECTIONS: usize = 64;
const MIME: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers from `registry` until it is dropped, and all connections with it.
pub(in crate::server) async fn listen(listener: TcpListener, registry: Registry) -> Infallible {
    let registry = Arc::new(registry);
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection for metrics");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let registry = Arc::clone(&registry);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let response = answer(&request, &registry);
                async move { Ok::<_, Infallible>(response) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(error = %error, "a connection for metrics failed");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let text = |status, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != "/metrics" || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::NOT_FOUND, "Metrics of Tollgate are at GET /metrics.\n".to_owned());
    }
    let mut metrics = String::new();
    if let Err(error) = encode(&mut metrics, registry) {
        tracing::error!(error = %error, "metrics cannot be written");
        return text(StatusCode::INTERNAL_SERVER_ERROR, "Metrics cannot be written; the log says why.\n".to_owned());
    }
    let mut response = text(StatusCode::OK, metrics);
    response.headers_mut().insert(CONTENT_TYPE, MIME);
    response
}
