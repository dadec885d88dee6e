//! The services that Envoy asks, so that traffic of the APIs of OpenAI and Anthropic is governed without any code at the
//! gateway (`docs/gateways.md`).
//!
//! [`kind`] knows requests by their paths, [`body`] reads and changes them, [`meter`] reads their answers, and [`flights`]
//! says what ends an admission: they wait for nothing and know nothing of Envoy. [`processor`], [`access_log`] and
//! [`authorization`] speak to Envoy.

mod access_log;
mod admit;
mod authorization;
mod body;
mod denial;
mod dimensions;
mod flights;
mod kind;
mod message;
mod meter;
mod processor;
mod scan;
mod tokens;

/// The messages and services of Envoy that are used here.
#[expect(
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::enum_variant_names,
    reason = "generated code, with the names of Envoy"
)]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/envoy/services.rs"));
}

use std::sync::Arc;

use tonic::service::Routes;

pub(crate) use flights::Ended;

use crate::node::Node;
use flights::Flights;
use proto::envoy::service::accesslog::v3::access_log_service_server::AccessLogServiceServer;
use proto::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use proto::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;

/// The largest message of Envoy, in bytes: a body of a request with images, and what stands around it.
const LARGEST: usize = 64 << 20;

/// All that the services share.
#[derive(Clone)]
pub(crate) struct Envoy(Arc<Shared>);

struct Shared {
    node: Arc<Node>,
    flights: Flights,
    ended: Arc<Ended>,
}

impl Envoy {
    pub(crate) fn new(node: Arc<Node>, ended: Arc<Ended>) -> Self {
        Self(Arc::new(Shared { node, flights: Flights::default(), ended }))
    }

    /// Adds the services to others.
    pub(crate) fn serve(self, routes: Routes) -> Routes {
        routes
            .add_service(ExternalProcessorServer::new(self.clone()).max_decoding_message_size(LARGEST))
            .add_service(AuthorizationServer::new(self.clone()).max_decoding_message_size(LARGEST))
            .add_service(AccessLogServiceServer::new(self).max_decoding_message_size(LARGEST))
    }
}
