//! The statuses with which the transport itself refuses calls, before any service sees them.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::CallId;
use crate::proto::v1::ErrorReason;

/// What `google.rpc.ErrorInfo.domain` says.
const DOMAIN: &str = "tollgate";
/// When to come back after having been one too many.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The caller may not do this.
pub(super) fn permission_denied(message: impl Into<String>) -> Status {
    status(
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
        message,
        None,
        HashMap::new(),
    )
}

/// Too much at once.
pub(super) fn overloaded(message: impl Into<String>) -> Status {
    status(
        Code::ResourceExhausted,
        ErrorReason::Overloaded,
        message,
        Some(RETRY_AFTER),
        HashMap::new(),
    )
}

/// The server stops.
pub(super) fn shutting_down() -> Status {
    let message = "the server is shutting down";
    status(
        Code::Unavailable,
        ErrorReason::Unavailable,
        message,
        Some(RETRY_AFTER),
        HashMap::new(),
    )
}

/// A fault of ours; the log has the cause under this call's id.
pub(super) fn internal(id: &CallId) -> Status {
    let metadata = HashMap::from([("request_id".to_owned(), id.to_string())]);
    status(
        Code::Internal,
        ErrorReason::Internal,
        "internal error; the server's log has the cause",
        None,
        metadata,
    )
}

fn status(
    code: Code,
    reason: ErrorReason,
    message: impl Into<String>,
    retry_after: Option<Duration>,
    metadata: HashMap<String, String>,
) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str_name(), DOMAIN, metadata);
    if retry_after.is_some() {
        details.set_retry_info(retry_after);
    }
    Status::with_error_details(code, message, details)
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
