//! What the transport tells the services of a call, through the request's extensions.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Identity of a call: a UUIDv7 that the server made. It is in the request's extensions, in every line that is logged
/// while the call is served, and in the answer's `x-request-id`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallId(Arc<str>);

impl CallId {
    /// A new one.
    pub(crate) fn make() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The network address of the caller. It is in the request's extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer(SocketAddr);

impl Peer {
    /// IPv4 addresses that a socket for both families shows as IPv6 are IPv4 addresses.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
