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
    let caller = caller(&request).map_err(|error| statuses.status(error))?;
    let mut message = request.into_inner();
    let (request_id, validate_only) = idempotency(&mut message);
    let fingerprint = if request_id.is_empty() { [0; 32] } else { *blake3::hash(&message.encode_to_vec()).as_bytes() };
    let call = caller.call(method, &request_id, fingerprint, validate_only);
    let call = call.map_err(|error| statuses.status(error))?;
    Ok((call, statuses, message))
}

/// A caller: its principal, and its network address.
pub(super) struct Calling {
    pub(super) principal: Principal,
    peer: String,
}

/// The caller that makes this request.
///
/// # Errors
/// `Internal` if the server has not found out.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Calling, Error> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address().to_string()).unwrap_or_default();
    Ok(Calling { principal: principal(request)?, peer })
}

impl Calling {
    /// A call of `method` with content of this `fingerprint`.
    ///
    /// # Errors
    /// `Invalid` if the id of the request is none.
    pub(super) fn call(
        &self,
        method: &'static str,
        request_id: &str,
        fingerprint: [u8; 32],
        validate_only: bool,
    ) -> Result<Call, Error> {
        let mut violations = Violations::new();
        let id = uuid::Uuid::try_parse(request_id).map(|id| id.to_string());
        if !request_id.is_empty() && id.is_err() {
            violations.add(Path::root("request_id"), "is no UUID; send a new one for each call, or none");
        }
        violations.or(())?;
        // A call that only validates changes nothing, so there is nothing to remember.
        let request_id = id.ok().filter(|_| !validate_only).unwrap_or_default();
        let (actor, peer) = (self.principal.actor().to_string(), self.peer.clone());
        Ok(Call { actor, peer, method, request_id, fingerprint, validate_only })
    }
}
