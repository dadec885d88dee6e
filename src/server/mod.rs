//! The server: listens, takes calls through one stack, and stops in order. `cli::serve` and the tests call it.
//!
//! ```text
//! accept   connections, HTTP/1 and HTTP/2, shutdown
//!   front    what is no gRPC call gets a text
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
mod compose;
mod front;
mod guard;
mod io;
mod limits;
mod log;
mod status;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, lookup_host};
use tokio_util::sync::CancellationToken;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tonic_web::GrpcWebLayer;

use self::abuse::Connections;
use self::accept::Places;
use self::calls::Calls;
use self::front::Front;
use self::guard::Guard;
use self::limits::Limits;
pub use self::tls::TlsError;
use self::tls::{Reload, Tls};
use crate::api::Auth;
use crate::config::{Settings, TransportSettings};
use crate::ledger::Clock;
use crate::proto::FILE_DESCRIPTOR_SET;

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database cannot be opened or read.
    #[error("cannot use --database: {0}")]
    Store(#[from] crate::store::StoreError),
    /// The address to listen on is no address.
    #[error("--listen {listen:?} is no address to listen on; it is written as 127.0.0.1:50051 or localhost:50051")]
    Address {
        /// What was given.
        listen: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The address can be reached from other machines, and there is no authentication.
    #[error(
        "--listen {address} can be reached from other machines, and the store never had a token: whoever reaches the \
         server would be an administrator. Make a token first (`tollgate token create --database … --role admin`, or \
         TOLLGATE_BOOTSTRAP_TOKEN), or listen on 127.0.0.1 only; --insecure serves everybody"
    )]
    NotLoopback {
        /// What was given.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen} (--listen)")]
    Listen {
        /// What was given.
        listen: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ready file cannot be written.
    #[error("cannot write {} (--ready-file)", path.display())]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The descriptors in this binary do not decode.
    #[error("the descriptors in this binary are broken")]
    Descriptors(#[from] prost::DecodeError),
    /// The descriptors in this binary cannot be served.
    #[error("the descriptors in this binary are broken")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Binds `listen`, a socket address or a name with a port, to the first of its addresses that can be had. Port 0 stands
/// for any free one.
///
/// # Errors
///
/// It is no address, or cannot be had.
pub async fn bind(listen: &str) -> Result<TcpListener, ServerError> {
    let addresses: Vec<SocketAddr> = match lookup_host(listen).await {
        Ok(addresses) => addresses.collect(),
        Err(source) => {
            return Err(ServerError::Address { listen: listen.to_owned(), source });
        }
    };
    TcpListener::bind(addresses.as_slice())
        .await
        .map_err(|source| ServerError::Listen { listen: listen.to_owned(), source })
}

/// Runs a server on `listener` until `shutdown`, and ends it in order: streams get a GoAway, open calls get their
/// grace, and all tasks have ended when this returns.
///
/// # Errors
///
/// The parts cannot be put together, the listener can be reached from other machines though nobody would be
/// authenticated, or the ready file cannot be written.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    run_by(listener, settings, Clock::system(), shutdown).await
}

/// As [`run`], by another clock: for simulations.
///
/// # Errors
///
/// As [`run`].
pub async fn run_by(
    listener: TcpListener,
    settings: Settings,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let Settings { database, ready_file, mut transport, watch, retention, access } = settings;
    let certificates = transport.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let tls = transport.tls.take().map(Tls::load).transpose()?;
    let address = listener
        .local_addr()
        .map_err(|source| ServerError::Listen { listen: "the given socket".to_owned(), source })?;
    let insecure = access.insecure;
    let drain = CancellationToken::new();
    let composed = compose::compose(&database, watch, retention, access, certificates, clock, drain.clone());
    let parts = composed.await?;
    let (routes, health, auth) = (parts.routes.clone(), parts.health.clone(), parts.auth.clone());
    if insecure {
        tracing::warn!("--insecure: authentication is OFF, everybody who reaches {address} is an administrator");
    } else if auth.is_virgin() {
        if !address.ip().to_canonical().is_loopback() {
            drain.cancel();
            parts.close().await;
            return Err(ServerError::NotLoopback { address });
        }
        tracing::info!(
            "the store has no tokens: every caller is an administrator, so only callers on this machine are served, \
             by a loopback name"
        );
        if std::mem::take(&mut transport.grpc_web) {
            tracing::warn!("gRPC-Web stays off: make a token, then start again");
        }
    }
    if let Some(path) = &ready_file {
        announce(path, address).map_err(|source| ServerError::ReadyFile { path: path.clone(), source })?;
    }
    tracing::info!(server.addr = %address, server.grpc_web = transport.grpc_web, server.tls = tls.is_some(), "serving");

    let shutdown = async {
        shutdown.await;
        // Load balancers that watch health hear of it before connections begin to close.
        health.set_service_status("", ServingStatus::NotServing).await;
    };
    let served = serve_with(listener, tls, routes, auth, transport, drain, shutdown).await;
    parts.close().await;
    if let Some(path) = &ready_file
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::warn!(error = %error, "cannot remove the ready file");
    }
    tracing::info!("stopped");
    served
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
    serve_with(listener, tls, routes, auth, transport, drain, shutdown).await
}

async fn serve_with(
    listener: TcpListener,
    tls: Option<(Tls, Reload)>,
    routes: Routes,
    auth: Auth,
    transport: TransportSettings,
    drain: CancellationToken,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let limits = Limits::new(&transport)?;
    let TransportSettings {
        grpc_web,
        tls: _,
        max_connections,
        max_connections_per_address,
        max_calls: _,
        max_calls_per_caller: _,
        max_streams: _,
        max_streams_per_caller: _,
        shutdown_grace,
    } = transport;
    let (tls, reload) = tls.unzip();
    let calls = Calls::new(routes, Guard { grpc_web }, auth, limits, drain.clone());
    let places = Places { all: max_connections, of_address: Connections::new(max_connections_per_address) };
    let has_tls = tls.is_some();
    let accepting = async {
        if grpc_web {
            let inner = tower::Layer::layer(&GrpcWebLayer::new(), calls);
            let front = Front { inner, grpc_web, tls: has_tls };
            accept::accept(listener, tls, front, places, shutdown_grace, drain, shutdown).await;
        } else {
            let front = Front { inner: calls, grpc_web, tls: has_tls };
            accept::accept(listener, tls, front, places, shutdown_grace, drain, shutdown).await;
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
        descriptor_sets().into_iter().fold(
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
fn descriptor_sets() -> [&'static [u8]; 5] {
    [
        FILE_DESCRIPTOR_SET,
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ]
}

/// Writes the address into the file at `path`, whole or not at all.
fn announce(path: &Path, address: SocketAddr) -> std::io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, format!("{address}\n"))?;
    std::fs::rename(&draft, path)
}
