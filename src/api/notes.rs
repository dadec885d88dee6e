//! What a handler notes about its call for logs and traces.

use std::sync::{Arc, OnceLock};

use tonic::Request;

/// Filled in by handlers, read by the transport when the call ends. It is in the request's extensions.
#[derive(Clone, Default, Debug)]
pub struct CallNotes {
    node_id: Arc<OnceLock<Box<str>>>,
}

impl CallNotes {
    /// Those of a request.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// The call is a node's. The first note counts. To be called once the id is known to be well-formed.
    pub(super) fn node(&self, node_id: &str) {
        if !node_id.is_empty() {
            self.node_id.get_or_init(|| node_id.into());
        }
    }

    /// The node, if the call is one's.
    pub fn node_id(&self) -> Option<&str> {
        self.node_id.get().map(AsRef::as_ref)
    }
}
