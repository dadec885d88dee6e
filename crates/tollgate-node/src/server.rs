//! The control plane that a client talks to.

use tonic::Status;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// A connection that shows an access token with every call, if there is one.
pub type Server = InterceptedService<Channel, Bearer>;

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
