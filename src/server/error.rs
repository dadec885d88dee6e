//! Why a server does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{TlsError, TracesError};
use crate::ledger::Over;
use crate::store::StoreError;

/// Why the server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The database cannot be opened or read.
    #[error("cannot use --database: {0}")]
    Store(#[from] StoreError),
    /// The address to listen on is no address.
    #[error("{flag} {listen:?} is no address to listen on; it is written as 127.0.0.1:50051 or localhost:50051")]
    Address {
        /// The flag.
        flag: &'static str,
        /// What was given.
        listen: String,
        /// Why not.
        source: io::Error,
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
    #[error("cannot listen on {listen} ({flag})")]
    Listen {
        /// The flag.
        flag: &'static str,
        /// What was given.
        listen: String,
        /// Why not.
        source: io::Error,
    },
    /// A certificate file cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Spans cannot be sent.
    #[error(transparent)]
    Traces(#[from] TracesError),
    /// The ready file cannot be written.
    #[error("cannot write {} (--ready-file)", path.display())]
    ReadyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process had to end.
    #[error(transparent)]
    Over(#[from] Over),
    /// The default prices in this binary cannot be read.
    #[error("the default prices in this binary are broken: {0}")]
    Prices(String),
    /// The descriptors in this binary do not decode.
    #[error("the descriptors in this binary are broken")]
    Descriptors(#[from] prost::DecodeError),
    /// The descriptors in this binary cannot be served.
    #[error("the descriptors in this binary are broken")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl ServerError {
    /// Whether it is about a setting, so that trying again does not help.
    pub fn is_setting(&self) -> bool {
        match self {
            Self::Store(error) => error.is_setting(),
            Self::Address { .. } | Self::NotLoopback { .. } | Self::Tls(_) | Self::Traces(_) => true,
            Self::Listen { .. }
            | Self::ReadyFile { .. }
            | Self::Over(_)
            | Self::Prices(_)
            | Self::Descriptors(_)
            | Self::Reflection(_) => false,
        }
    }

    /// Whether the database contradicts itself, which is proven.
    pub fn is_corruption(&self) -> bool {
        matches!(self, Self::Over(Over::Corrupt(_)) | Self::Store(StoreError::Corrupt { .. }))
    }
}
