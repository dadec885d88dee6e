//! The server: listens, takes calls through one stack, and stops in order. `cli::serve` and the tests call it.
//!
//! ```text
//! accept   connections, HTTP/1 and HTTP/2, shutdown
//!   front    what is no gRPC call goes to the routes of HTTP, which call as gRPC does, or gets a text
//!     (gRPC-Web, if on)
//!       calls    id, log line, guard, who calls and whether they may, limits, deadline, panics
//!         routes   the services, from compose
//! ```
//!
//! gRPC-Web is outside of `calls`, so that these see gRPC in either case, and inside of `front`, because it answers
//! what it does not know with an empty 400.

mod abuse;
mod accept;
mod calls;
mod complaints;
mod compose;
mod details;
mod error;
mod front;
mod guard;
mod io;
mod limits;
mod log;
mod metrics;
mod observe;
mod status;
#[cfg(test)]
mod tests;
mod tls;
mod traces;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

use self::abuse::{Abuse, Connections};
use self::accept::{Entrance, Places};
use self::calls::{Calls, Rules};
pub use self::error::ServerError;
use self::front::{Front, Others};
use self::guard::Guard;
use self::limits::Limits;
use self::metrics::{CallMetrics, ConnectionMetrics, RequestMetrics};
use self::observe::Observers;
pub use self::tls::TlsError;
use self::tls::{Reload, Tls};
use self::traces::Traces;
pub use self::traces::TracesError;
use crate::api::Auth;
use crate::http::{Http, Inner, Origins};
use crate::ledger::Clock;
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::settings::{Settings, TransportSettings};
use crate::telemetry::START;
use crate::watch::Currency;

/// Binds `listen`, a socket address or a name with a port, to the first of its addresses that can be had. Port 0 stands
/// for any free one.
///
/// # Errors
///
/// It is no address, or cannot be had.
pub async fn bind(listen: &str) -> Result<TcpListener, ServerError> {
    bind_for("--listen", listen).await
}

/// Binds the address from which metrics are read.
///
/// # Errors
///
/// It is no address, or cannot be had.
pub async fn bind_metrics(listen: &str) -> Result<TcpListener, ServerError> {
    bind_for("--metrics-listen", listen).await
}

/// Binds what `flag` says.
async fn bind_for(flag: &'static str, listen: &str) -> Result<TcpListener, ServerError> {
    TcpListener::bind(listen).await.map_err(|source| match source.kind() {
        // It cannot be read. A name that nobody knows now may be known later.
        std::io::ErrorKind::InvalidInput => ServerError::Address { flag, listen: listen.to_owned(), source },
        _ => ServerError::Listen { flag, listen: listen.to_owned(), source },
    })
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For calls.
    pub calls: TcpListener,
    /// For whoever reads metrics.
    pub metrics: Option<TcpListener>,
    /// Who is to hear that calls are answered.
    pub ready: Option<oneshot::Sender<Serving>>,
}

/// A server that answers calls.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Whether the store never had a token, so that only callers on this machine are served.
    pub virgin: bool,
}

impl From<TcpListener> for Listeners {
    fn from(calls: TcpListener) -> Self {
        Self { calls, metrics: None, ready: None }
    }
}

/// Runs a server on `listeners` until `shutdown`, and ends it in order: streams get a GoAway, open calls get their
/// grace, and all tasks have ended when this returns.
///
/// # Errors
///
/// The parts cannot be put together, the listener can be reached from other machines though nobody would be
/// authenticated, or the ready file cannot be written.
pub async fn run(
    listeners: impl Into<Listeners>,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    run_by(listeners, settings, Clock::system(), shutdown).await
}

/// As [`run`], by another clock: for simulations.
///
/// # Errors
///
/// As [`run`].
pub async fn run_by(
    listeners: impl Into<Listeners>,
    settings: Settings,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let Settings { database, ready_file, mut transport, watch, retention, spend, credit, access, webhooks } = settings;
    let Listeners { calls: listener, metrics: metrics_listener, ready } = listeners.into();
    let certificates = transport.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let tls = transport.tls.take().map(Tls::load).transpose()?;
    let traces = transport.otlp_endpoint.take().map(|endpoint| Traces::start(&endpoint)).transpose()?;
    let address = listener.local_addr().map_err(|source| ServerError::Listen {
        flag: "--listen",
        listen: "the given socket".to_owned(),
        source,
    })?;
    let insecure = access.insecure;
    let drain = CancellationToken::new();
    let composed = compose::compose(
        &database,
        watch,
        compose::Kept { retention, spend, credit, replica: replica(address).into(), webhooks },
        access,
        certificates,
        clock,
        drain.clone(),
    );
    let parts = composed.await?;
    let (routes, health, auth) = (parts.routes.clone(), parts.health.clone(), parts.auth.clone());
    let currency = parts.currency.clone();
    if insecure {
        tracing::warn!("--insecure: authentication is OFF, everybody who reaches {address} is an administrator");
    } else if auth.has_never_had_tokens() {
        if !address.ip().to_canonical().is_loopback() {
            drain.cancel();
            parts.close().await;
            return Err(ServerError::NotLoopback { address });
        }
        tracing::info!(
            target: START,
            "the store has no tokens: every caller is an administrator, so only callers on this machine are served, \
             by a loopback name"
        );
        if std::mem::take(&mut transport.grpc_web) {
            tracing::warn!("gRPC-Web stays off: make a token, then start again");
        }
        if !std::mem::take(&mut transport.allow_origins).is_empty() {
            tracing::warn!("no pages of other origins are served: make a token, then start again");
        }
    }
    if tls.is_none() && !address.ip().to_canonical().is_loopback() {
        tracing::warn!(
            "without TLS at {address}, which other machines may reach: unless a proxy in front of it encrypts, whoever is on \
             the way reads tokens and keys"
        );
    }
    if let Some(path) = &ready_file {
        announce(path, &address.to_string()).map_err(|source| ServerError::ReadyFile { path: path.clone(), source })?;
    }
    let metrics_address = metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok());
    tracing::info!(target: START, { server.addr = %address, metrics.addr = metrics_address.map(tracing::field::display), server.grpc_web = transport.grpc_web, server.tls = tls.is_some() }, "serving");

    if let Some(ready) = ready {
        // Nobody may be waiting for it.
        let _ = ready.send(Serving { address, tls: tls.is_some(), virgin: auth.has_never_had_tokens() });
    }

    let over = std::sync::OnceLock::new();
    let shutdown = async {
        tokio::select! {
            () = shutdown => {}
            // Nothing else is held by the cell yet.
            why = parts.over() => drop(over.set(why)),
        }
        // Load balancers that watch health hear of it before connections begin to close.
        health.set_service_status("", ServingStatus::NotServing).await;
    };
    let calls = CallMetrics::new()?;
    let (connections, requests) = (ConnectionMetrics::default(), RequestMetrics::new());
    let mut registry = metrics::registry();
    calls.register(&mut registry);
    connections.register(&mut registry);
    requests.register(&mut registry);
    parts.register_metrics(&mut registry);
    let reading = async {
        match metrics_listener {
            Some(listener) => metrics::listen(listener, registry).await,
            None => std::future::pending().await,
        }
    };
    let observers = Observers::new(calls, traces.clone(), Some(parts.head()));
    let service = Service { routes, auth, currency, connections, requests, observers };
    let served = tokio::select! {
        served = serve_with(listener, tls, service, transport, drain, shutdown) => served,
        never = reading => match never {},
    };
    parts.close().await;
    if let Some(traces) = traces {
        traces.finish().await;
    }
    if let Some(path) = &ready_file
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(error = %error, "cannot remove the ready file");
    }
    tracing::info!("stopped");
    match over.into_inner() {
        Some(why) => Err(ServerError::Over(why)),
        None => served,
    }
}

/// What is served, for whom, and what counts it.
struct Service {
    routes: Routes,
    auth: Auth,
    currency: Currency,
    connections: ConnectionMetrics,
    requests: RequestMetrics,
    observers: Observers,
}

/// Serves `routes` on `listener` until `shutdown`; then cancels `drain` and waits for open calls, at most for the grace
/// period. Streams that take no notice of `drain` are ended with UNAVAILABLE a second later.
///
/// # Errors
///
/// [`ServerError::Tls`] if there are certificate files and they cannot be used; [`ServerError::Descriptors`], which no
/// build that passed its tests has.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    auth: Auth,
    mut transport: TransportSettings,
    drain: CancellationToken,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let tls = transport.tls.take().map(Tls::load).transpose()?;
    let observers = Observers::new(CallMetrics::new()?, None, None);
    let currency = Currency::new(|| std::time::Duration::ZERO);
    let service = Service {
        routes,
        auth,
        currency,
        connections: ConnectionMetrics::default(),
        requests: RequestMetrics::new(),
        observers,
    };
    serve_with(listener, tls, service, transport, drain, shutdown).await
}

async fn serve_with(
    listener: TcpListener,
    tls: Option<(Tls, Reload)>,
    service: Service,
    transport: TransportSettings,
    drain: CancellationToken,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let limits = Limits::new(&transport)?;
    let TransportSettings {
        grpc_web,
        allow_origins,
        tls: _,
        otlp_endpoint: _,
        log_calls,
        max_connections,
        max_connections_per_address,
        max_calls: _,
        max_calls_per_caller: _,
        max_streams: _,
        max_streams_per_caller: _,
        shutdown_grace,
    } = transport;
    let (tls, reload) = tls.unzip();
    let Service { routes, auth, currency, connections, requests, observers } = service;
    let origins = Origins::new(&allow_origins, grpc_web);
    let guard = Guard { grpc_web, origins: origins.clone() };
    let rules = Rules { guard, abuse: Abuse::new(), limits, auth, currency, observers, log_calls };
    let calls = Calls::new(routes, rules, drain.clone());
    let places = Places { all: max_connections, of_address: Connections::new(max_connections_per_address) };
    let has_tls = tls.is_some();
    let entrance = Entrance { tls, connections };
    let http = Http::new(Inner::new(calls.clone()), &DESCRIPTOR_SETS);
    let others = Arc::new(Others { http, origins, requests, grpc_web, tls: has_tls });
    let accepting = async {
        if grpc_web {
            let inner = tower::Layer::layer(&GrpcWebLayer::new(), calls);
            let front = Front { inner, others };
            accept::accept(listener, entrance, front, places, shutdown_grace, drain, shutdown).await;
        } else {
            let front = Front { inner: calls, others };
            accept::accept(listener, entrance, front, places, shutdown_grace, drain, shutdown).await;
        }
    };
    let following = async {
        match reload {
            Some(reload) => reload.follow().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = accepting => {}
        () = following => {}
    }
    Ok(())
}

/// The services that every gRPC server should have: reflection (v1 and v1alpha) and health, which says SERVING for the
/// whole server. Add the others to the builder.
///
/// # Errors
///
/// The descriptors in this binary are broken.
pub fn base_routes() -> Result<(RoutesBuilder, HealthReporter), ServerError> {
    let reflection = || {
        DESCRIPTOR_SETS.into_iter().fold(
            tonic_reflection::server::Builder::configure(),
            tonic_reflection::server::Builder::register_encoded_file_descriptor_set,
        )
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(reflection().build_v1()?)
        // What grpcurl up to 1.8 and Python's grpcio-reflection speak.
        .add_service(reflection().build_v1alpha()?)
        .add_service(health);
    Ok((routes, reporter))
}

/// The descriptors of all that is served, and of what its errors carry.
pub(crate) static DESCRIPTOR_SETS: [&[u8]; 5] = [
    FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// Writes an address into the file at `path`, whole or not at all.
pub(crate) fn announce(path: &Path, address: &str) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, format!("{address}\n"))?;
    std::fs::rename(&draft, path)
}

/// The name by which people tell this server from others of its database: machine and port.
fn replica(address: SocketAddr) -> String {
    let named =
        ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter().find_map(|it| std::fs::read_to_string(it).ok());
    let named = named.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    format!("{}:{}", named.unwrap_or_else(|| address.ip().to_string()), address.port())
}
