//! The control plane that a client talks to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// A connection that shows an access token with every call, if there is one.
pub type Server = InterceptedService<Channel, Bearer>;

/// The servers of one control plane: one is talked to, and when it fails, the next. Clones move on together.
#[derive(Clone)]
pub struct Servers {
    all: Arc<[Server]>,
    at: Arc<AtomicUsize>,
}

impl Servers {
    /// Begins with `first`.
    pub fn new(first: Server, others: impl IntoIterator<Item = Server>) -> Self {
        Self { all: std::iter::once(first).chain(others).collect(), at: Arc::default() }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// The one to talk to, and its place.
    pub(crate) fn current(&self) -> (usize, Server) {
        let at = self.at.load(Ordering::Relaxed) % self.all.len();
        (at, self.all[at].clone())
    }

    /// The one at this place failed: the next is talked to, unless somebody has moved on already.
    pub(crate) fn failed(&self, at: usize) {
        let next = (at + 1) % self.all.len();
        // Somebody else has moved on.
        let _ = self.at.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl From<Server> for Servers {
    fn from(server: Server) -> Self {
        Self::new(server, [])
    }
}

/// Shows an access token.
#[derive(Clone)]
pub struct Bearer(Option<AsciiMetadataValue>);

/// The access token has characters that no access token has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the access token has characters that no access token has")]
pub struct NoAccessToken;

impl Bearer {
    /// Shows this access token; `None` shows none.
    ///
    /// # Errors
    ///
    /// [`NoAccessToken`].
    pub fn new(access_token: Option<&str>) -> Result<Self, NoAccessToken> {
        let value = |token: &str| {
            let mut value: AsciiMetadataValue = format!("Bearer {token}").parse().map_err(|_| NoAccessToken)?;
            value.set_sensitive(true);
            Ok(value)
        };
        access_token.map(value).transpose().map(Self)
    }

    /// The channel, with the access token.
    pub fn on(self, channel: Channel) -> Server {
        InterceptedService::new(channel, self)
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// What went wrong, with all that led to it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
