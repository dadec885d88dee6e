//! Details for the statuses of others. tonic, which reads the messages, and the standard services say in words what is
//! wrong; clients are promised a reason that programs understand too, and that a fault of theirs is not called one of
//! the server.

use http::HeaderMap;
use tonic::{Code, Status};

use super::log::code;
use crate::api;
use crate::domain::Error;

/// Completes the status in header or trailer fields, if there is one that has no details.
pub(super) fn complete(fields: &mut HeaderMap) {
    if code(fields).is_none_or(|code| code == Code::Ok) {
        return;
    }
    if let Some(status) = Status::from_header_map(fields).filter(|status| status.details().is_empty())
        && let Some(error) = error(&status)
    {
        // It fails only if the message is no header value; then what was there stays.
        drop(api::status(error, "").add_header(fields));
    }
}

/// The error that a status without details stands for. All that the services of this server refuse has details.
fn error(status: &Status) -> Option<Error> {
    let text = status.message().to_owned();
    match status.code() {
        // tonic calls so whatever it cannot read; what it sends cannot fail so, since there is no limit to it.
        Code::Internal | Code::Unknown | Code::InvalidArgument => Some(Error::Malformed(text)),
        Code::OutOfRange | Code::ResourceExhausted => Some(Error::TooLarge(text)),
        Code::Unimplemented if text.is_empty() => {
            Some(Error::Unimplemented("the server has no such method".to_owned()))
        }
        Code::Unimplemented => Some(Error::Unimplemented(text)),
        Code::NotFound => Some(Error::NotServed(text)),
        Code::DeadlineExceeded => Some(Error::Late),
        Code::Ok
        | Code::Cancelled
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => None,
    }
}
