//! The local service of a node, for gateways that do not link it: `tollgate.node.v1` by gRPC, the same methods as JSON over
//! HTTP, health, reflection and metrics, on a loopback address or a Unix socket.

mod gate;
mod http;
mod json;
mod listen;
mod metrics;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

#[cfg(unix)]
pub use listen::UnixSocket;
pub use listen::{Listen, ListenError, Listener, NoListen};

use crate::envoy::{Ended, Envoy};
use crate::node::Node;
use crate::proto::NODE_DESCRIPTOR_SET;
use crate::proto::node::v1::gate_service_server::{GateServiceServer, SERVICE_NAME};
use crate::proto::node::v1::node_status_service_server::NodeStatusServiceServer;
use gate::Gate;
pub(crate) use gate::decision;
use status::StatusOf;

/// The name in the health service of the way to the control plane.
const CONTROL_PLANE: &str = "tollgate.node.v1.control_plane";
/// How often health is looked at, beside each change of the status.
const HEALTH: Duration = Duration::from_millis(500);
/// How long open calls may take once the service is to end.
const GRACE: Duration = Duration::from_secs(5);

/// Bytes that Envoy may send on a stream before the node has read them, and on a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Why the service ended, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The descriptors in this binary are broken.
    #[error("the descriptors in this binary are broken")]
    Descriptors(#[from] tonic_reflection::server::Error),
    /// The descriptors in this binary are broken.
    #[error("the descriptors in this binary are broken: {0}")]
    Json(String),
    /// The listener failed.
    #[error("the local service failed")]
    Transport(#[from] tonic::transport::Error),
}

/// What is served beside the local service.
#[derive(Debug, Default)]
pub struct Extras {
    /// Where the metrics are served too.
    pub metrics: Option<TcpListener>,
    /// Whether the services that Envoy asks are served: external processing, external authorization and access logs.
    pub envoy: bool,
}

/// Serves a node on `listener` until `shutdown`. Open calls may then go on for 5 seconds.
///
/// # Errors
///
/// [`ServeError`].
pub async fn serve(
    node: Arc<Node>,
    listener: Listener,
    Extras { metrics, envoy }: Extras,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let (drain, drained) = watch::channel(());
    let gate = Gate::new(Arc::clone(&node), drained.clone());
    let status = StatusOf(Arc::clone(&node));
    let json = json::Messages::new().map_err(ServeError::Json)?;
    let mut routes = Routes::new(GateServiceServer::new(gate.clone()))
        .add_service(NodeStatusServiceServer::new(status.clone()))
        .add_service(health)
        .add_service(reflection()?.build_v1()?)
        .add_service(reflection()?.build_v1alpha()?);
    let ended = Arc::new(Ended::default());
    if envoy {
        routes = Envoy::new(Arc::clone(&node), Arc::clone(&ended)).serve(routes);
    }
    let scrape = metrics::scrape(&node, ended);
    let over_http = http::Service { gate, status, json, is_local: listener.is_local(), scrape };
    let scraping = over_http.scrape.clone();
    let routes = Routes::from(http::routes(over_http, routes.prepare().into_axum_router()));
    let mut server = Server::builder().accept_http1(true).tcp_nodelay(true);
    if envoy {
        // Bodies with images come in few pieces then.
        server = server.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    }
    let router = server.add_routes(routes);
    let ended = drained.clone();
    let until = async move {
        let mut ended = ended;
        // The sender is gone, or says so.
        let _ = ended.changed().await;
    };
    let serving = async {
        match listener {
            Listener::Tcp { listener, .. } => {
                router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), until).await
            }
            #[cfg(unix)]
            Listener::Unix(socket) => router.serve_with_incoming_shutdown(socket.incoming(), until).await,
        }
    };
    let scraped = async {
        match metrics {
            Some(listener) => http::serve_metrics(listener, scraping).await,
            None => std::future::pending().await,
        }
    };
    let stopping = async {
        shutdown.await;
        // Whoever watches health hears of it before connections close.
        reporter.set_service_status("", ServingStatus::NotServing).await;
        reporter.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
        drain.send_replace(());
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = serving => served?,
        () = stopping => {}
        () = say_health(&node, &reporter, drained.clone()) => {}
        () = scraped => {}
    }
    Ok(())
}

fn reflection() -> Result<tonic_reflection::server::Builder<'static>, ServeError> {
    Ok([
        NODE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
    .into_iter()
    .fold(
        tonic_reflection::server::Builder::configure(),
        tonic_reflection::server::Builder::register_encoded_file_descriptor_set,
    ))
}

/// Tells the health service how the node stands, until the service is to end, and then no more.
async fn say_health(node: &Node, reporter: &HealthReporter, mut drained: watch::Receiver<()>) {
    let mut statuses = node.statuses();
    let serving = |is: bool| if is { ServingStatus::Serving } else { ServingStatus::NotServing };
    loop {
        let admits = serving(node.admits().is_ok());
        for name in ["", SERVICE_NAME] {
            reporter.set_service_status(name, admits).await;
        }
        reporter.set_service_status(CONTROL_PLANE, serving(node.status().is_ready())).await;
        tokio::select! {
            Ok(()) = statuses.changed() => {}
            () = tokio::time::sleep(HEALTH) => {}
            _ = drained.changed() => std::future::pending().await,
        }
    }
}
