//! The statuses with which the transport itself refuses calls, before any service sees them.

use std::time::Duration;

use tonic::{Code, Status};

use crate::api::{self, CallId};
use crate::domain::Error;

/// When to come back after having been one too many.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The caller may not do this.
pub(super) fn permission_denied(message: impl Into<String>) -> Status {
    api::status(Error::PermissionDenied(message.into()), "")
}

/// The caller's token is not good any more.
pub(super) fn lapsed() -> Status {
    api::status(Error::Unauthenticated("the token was revoked or has expired, or authentication was turned on"), "")
}

/// Too much at once.
pub(super) fn overloaded(message: impl Into<String>) -> Status {
    api::status(Error::Overloaded { what: message.into(), retry_after: RETRY_AFTER }, "")
}

/// The replica cannot follow the database.
pub(super) fn not_current() -> Status {
    api::status(Error::NotCurrent { retry_after: RETRY_AFTER }, "")
}

/// More bytes than are taken.
pub(super) fn too_large(message: impl Into<String>) -> Status {
    api::status(Error::TooLarge(message.into()), "")
}

/// The call took longer than it may.
pub(super) fn late() -> Status {
    api::status(Error::Late, "")
}

/// The server stops.
pub(super) fn shutting_down() -> Status {
    let what = "the server is shutting down".to_owned();
    api::status(Error::Unavailable { what, retry_after: RETRY_AFTER }, "")
}

/// A fault of ours; the log has the cause under this call's id.
pub(super) fn internal(id: &CallId) -> Status {
    api::status(Error::Internal("a handler panicked".to_owned()), id.as_str())
}

/// The name of a status code as in the gRPC specification.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
