//! What is known of a call before its message is looked at.

use prost::Message;
use tonic::{Request, Status};

use super::{CallId, Peer, status};
use crate::access::Principal;
use crate::domain::{Error, Path, Violations};
use crate::ledger::Call;

/// Turns errors into the statuses of one call.
#[derive(Clone)]
pub(super) struct Statuses {
    call_id: Option<CallId>,
}

impl Statuses {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        Self { call_id: request.extensions().get::<CallId>().cloned() }
    }

    pub(super) fn status(&self, error: Error) -> Status {
        status::of(error, self.call_id.as_ref().map_or("", CallId::as_str))
    }
}

/// Who calls. The server lets nobody through to a method that asks, without having found out.
///
/// # Errors
/// `Internal` if it has not.
pub(super) fn principal<T>(request: &Request<T>) -> Result<Principal, Error> {
    let found = request.extensions().get::<Principal>().cloned();
    found.ok_or_else(|| Error::Internal("a call came through without a principal".to_owned()))
}

/// That `principal` may speak for this node.
///
/// # Errors
/// `PermissionDenied` if it is bound to another one.
pub(super) fn speaks_for(principal: &Principal, node_id: &str) -> Result<(), Error> {
    match principal.node_id() {
        Some(bound) if bound != node_id => {
            Err(Error::PermissionDenied(format!("this token speaks for node {bound:?} only; node_id names another")))
        }
        Some(_) | None => Ok(()),
    }
}

/// A call that changes something, and its message. `idempotency` takes the request id out of the message, so that the
/// rest of it is the content that a retry must repeat, and tells whether the call is to validate only.
pub(super) fn enter<T: Message>(
    request: Request<T>,
    method: &'static str,
    idempotency: impl FnOnce(&mut T) -> (String, bool),
) -> Result<(Call, Statuses, T), Status> {
    let statuses = Statuses::of(&request);
    let actor = principal(&request).map_err(|error| statuses.status(error))?.actor().to_string();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address().to_string()).unwrap_or_default();
    let mut message = request.into_inner();
    let (request_id, validate_only) = idempotency(&mut message);
    let mut violations = Violations::new();
    let request_id = if request_id.is_empty() {
        request_id
    } else if let Ok(id) = uuid::Uuid::try_parse(&request_id) {
        id.to_string()
    } else {
        violations.add(Path::root("request_id"), "is no UUID; send a new one for each call, or none");
        String::new()
    };
    violations.or(()).map_err(|violations| statuses.status(violations.into()))?;
    let fingerprint = if request_id.is_empty() { [0; 32] } else { *blake3::hash(&message.encode_to_vec()).as_bytes() };
    // What validates only changes nothing, so there is nothing to remember.
    let request_id = if validate_only { String::new() } else { request_id };
    let call = Call { actor, peer, method, request_id, fingerprint, validate_only };
    Ok((call, statuses, message))
}
