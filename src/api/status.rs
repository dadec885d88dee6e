//! The one mapping from errors to gRPC statuses (`docs/design/api.md §3`).

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt as _};

use crate::domain::{Error, ResourceKey};
use crate::proto::v1::ErrorReason;

/// What `google.rpc.ErrorInfo.domain` says.
const DOMAIN: &str = "tollgate";
/// The most that details may have: many clients refuse trailers of more than 8 KiB, base64 included, and then show
/// nothing at all.
const MAX_DETAILS: usize = 5_000;
/// How many faults of a request its message names; all of them are in the details.
const MAX_LISTED: usize = 5;

/// The status of `error`. The cause of an internal error is logged under `call_id` and not shown.
pub(crate) fn of(error: Error, call_id: &str) -> Status {
    let text = error.to_string();
    match error {
        Error::Invalid(violations) => {
            let shown: Vec<FieldViolation> = bounded(
                violations.iter().map(|violation| FieldViolation::new(&violation.field, &violation.description)),
                |violation| violation.field.len() + violation.description.len(),
                |left| FieldViolation::new("", format!("and {left} more violations")),
            );
            let text = listed(text, violations.iter().map(|it| format!("{}: {}", it.field, it.description)));
            let mut details = info(ErrorReason::InvalidField, []);
            details.set_bad_request(shown);
            status(Code::InvalidArgument, text, details)
        }
        Error::PageToken => {
            let text = format!("{text}; send the next_page_token of the page before, with the same filters");
            let mut details = info(ErrorReason::InvalidPageToken, []);
            details.add_bad_request_violation("page_token", &text);
            status(Code::InvalidArgument, text, details)
        }
        Error::RequestIdReused => {
            let text = format!("{text}; make a new UUID for each call");
            let mut details = info(ErrorReason::RequestIdReused, []);
            details.add_bad_request_violation("request_id", &text);
            status(Code::InvalidArgument, text, details)
        }
        Error::NotFound { kind, ref id } => {
            let mut details = info(ErrorReason::NotFound, [("kind", kind.name().to_owned()), ("id", cut(id))]);
            details.set_resource_info(resource_type(kind.name()), cut(id), "", "does not exist");
            status(Code::NotFound, format!("{kind} {:?} does not exist", cut(id)), details)
        }
        Error::RevisionMismatch { ref key, expected, actual } => {
            let text = format!("{text}; read it again and repeat the change on what you read");
            let metadata = [
                ("kind", key.kind.name().to_owned()),
                ("id", cut(&key.id)),
                ("expected", expected.to_string()),
                ("actual", actual.to_string()),
            ];
            status(Code::Aborted, text, info(ErrorReason::RevisionMismatch, metadata))
        }
        Error::MissingReferences(missing) => {
            let describe = |reference: &crate::domain::Reference| {
                let hint = reference.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
                format!("{} {:?} does not exist{hint}", reference.what, cut(&reference.id))
            };
            let text = listed(text, missing.iter().map(|it| format!("{}: {}", it.field, describe(it))));
            let shown = bounded(
                missing.iter().map(|reference| {
                    let subject = format!("{}/{}", reference.field, cut(&reference.id));
                    PreconditionViolation::new("REFERENCE", subject, describe(reference))
                }),
                |violation| violation.subject.len() + violation.description.len() + violation.r#type.len(),
                |left| PreconditionViolation::new("REFERENCE", "", format!("and {left} more")),
            );
            let mut details = info(ErrorReason::ReferenceNotFound, []);
            details.set_precondition_failure(shown);
            status(Code::FailedPrecondition, text, details)
        }
        Error::InUse { what, users, total } => {
            let shown = bounded(
                users
                    .iter()
                    .map(|user| PreconditionViolation::new("IN_USE", user.to_string(), format!("{user} names {what}"))),
                |violation| violation.subject.len() + violation.description.len(),
                |left| PreconditionViolation::new("IN_USE", "", format!("and {left} more")),
            );
            let text = format!("{what} is named by {total} resource(s); change or delete these first");
            let mut details = info(ErrorReason::ResourceInUse, [("users", total.to_string())]);
            details.set_precondition_failure(shown);
            status(Code::FailedPrecondition, text, details)
        }
        Error::HasChildren { kind, ref id, teams, keys } => {
            let text = format!(
                "{text}; say in children what becomes of them: CHILDREN_DETACH, CHILDREN_DEACTIVATE or CHILDREN_DELETE"
            );
            let metadata = [("teams", teams.to_string()), ("virtual_keys", keys.to_string())];
            let mut details = info(ErrorReason::HasChildren, metadata);
            details.add_precondition_failure_violation("HAS_CHILDREN", format!("{kind} {:?}", cut(id)), &text);
            status(Code::FailedPrecondition, text, details)
        }
        Error::ChangeTooLarge { what, count, limit } => {
            let text = format!(
                "{text}; first move or delete what belongs to it page by page: list with its id as the filter, then update or \
                 delete each"
            );
            let metadata = [("count", count.to_string()), ("limit", limit.to_string())];
            let mut details = info(ErrorReason::ChangeTooLarge, metadata);
            details.add_precondition_failure_violation("CHANGE_TOO_LARGE", what, &text);
            status(Code::FailedPrecondition, text, details)
        }
        Error::NamesClash { ref what, ref names, total } => {
            let shown = bounded(
                names.iter().map(|(name, holder)| {
                    let text = format!("{:?} is the name of {} already", cut(name), shown_key(holder));
                    PreconditionViolation::new("NAMES_CLASH", cut(name), text)
                }),
                |violation| violation.subject.len() + violation.description.len(),
                |left| PreconditionViolation::new("NAMES_CLASH", "", format!("and {left} more")),
            );
            let text = format!("without {what}, {total} name(s) would be taken already; rename or delete these first");
            let text = listed(text, shown.iter().map(|it| it.description.clone()));
            let mut details = info(ErrorReason::NamesClash, [("names", total.to_string())]);
            details.set_precondition_failure(shown);
            status(Code::FailedPrecondition, text, details)
        }
        Error::InChange { index, error } => {
            let inner = of(*error, call_id);
            let mut details = inner.get_error_details();
            if let Some(mut info) = details.error_info().cloned() {
                info.metadata.insert("change".to_owned(), index.to_string());
                details.set_error_info(info.reason, info.domain, info.metadata);
            }
            status(inner.code(), format!("changes[{index}]: {}", inner.message()), details)
        }
        Error::Forgotten { revision, first } => {
            let text = format!("{text}; what is older was removed by the retention of the audit trail");
            let mut details = info(
                ErrorReason::RevisionForgotten,
                [("revision", revision.to_string()), ("first", first.to_string())],
            );
            details.add_precondition_failure_violation("REVISION_FORGOTTEN", revision.to_string(), &text);
            status(Code::FailedPrecondition, text, details)
        }
        Error::ManagedElsewhere { ref key, ref managed_by } => {
            let text = format!(
                "{text}; change it there, apply it as {managed_by:?}, or take it over (take_over, --take-over)"
            );
            let metadata =
                [("kind", key.kind.name().to_owned()), ("id", cut(&key.id)), ("managed_by", cut(managed_by))];
            let mut details = info(ErrorReason::ManagedElsewhere, metadata);
            details.add_precondition_failure_violation("MANAGED_ELSEWHERE", shown_key(key), &text);
            status(Code::FailedPrecondition, text, details)
        }
        Error::BuiltIn(ref id) => {
            let mut details = info(ErrorReason::BuiltIn, [("id", cut(id))]);
            let subject = format!("provider {id}");
            details.add_precondition_failure_violation("BUILT_IN", subject, "is built in and cannot be deleted");
            status(Code::FailedPrecondition, text, details)
        }
        Error::AlreadyExists { field, holder } => {
            let text = format!("{field} is taken by {}", shown_key(&holder));
            let mut details = info(ErrorReason::AlreadyExists, [("field", field.clone())]);
            details.set_resource_info(resource_type(holder.kind.name()), cut(&holder.id), "", format!("holds {field}"));
            status(Code::AlreadyExists, text, details)
        }
        Error::NoNode(ref which) => {
            let mut details = info(ErrorReason::NotFound, [("kind", "node".to_owned()), ("id", cut(which))]);
            details.set_resource_info(resource_type("node"), cut(which), "", "does not exist");
            status(Code::NotFound, text, details)
        }
        Error::NodeNotRegistered { ref node_id, incarnation } => {
            let metadata = [("node_id", cut(node_id)), ("incarnation", incarnation.to_string())];
            let mut details = info(ErrorReason::NodeNotRegistered, metadata);
            details.add_precondition_failure_violation("NODE_NOT_REGISTERED", cut(node_id), &text);
            status(Code::FailedPrecondition, text, details)
        }
        Error::NoLimit(ref id) => {
            let mut details = info(ErrorReason::NotFound, [("kind", "limit".to_owned()), ("id", cut(id))]);
            details.set_resource_info(resource_type("limit"), cut(id), "", "does not exist");
            status(Code::NotFound, format!("limit {:?} does not exist", cut(id)), details)
        }
        Error::NoLastingAdmin(why) => {
            let mut details = info(ErrorReason::AdminTokenRequired, []);
            details.add_precondition_failure_violation("ADMIN_TOKEN", "token", why);
            status(Code::FailedPrecondition, text, details)
        }
        Error::Unauthenticated(_) => status(Code::Unauthenticated, text, info(ErrorReason::Unauthenticated, [])),
        Error::PermissionDenied(_) => status(Code::PermissionDenied, text, info(ErrorReason::PermissionDenied, [])),
        Error::Overloaded { what, retry_after } => {
            status(Code::ResourceExhausted, what, retry(ErrorReason::Overloaded, retry_after))
        }
        Error::Unavailable { what, retry_after } => {
            status(Code::Unavailable, what, retry(ErrorReason::Unavailable, retry_after))
        }
        Error::NotCurrent { retry_after } => {
            status(Code::Unavailable, text, retry(ErrorReason::ReplicaNotCurrent, retry_after))
        }
        Error::Malformed(_) => status(Code::InvalidArgument, text, info(ErrorReason::MalformedMessage, [])),
        Error::TooLarge(_) => status(Code::ResourceExhausted, text, info(ErrorReason::TooLarge, [])),
        Error::Unimplemented(_) => status(Code::Unimplemented, text, info(ErrorReason::Unimplemented, [])),
        Error::NotServed(_) => status(Code::NotFound, text, info(ErrorReason::NotFound, [])),
        Error::Late => status(Code::DeadlineExceeded, text, info(ErrorReason::DeadlineExceeded, [])),
        Error::Internal(cause) => {
            tracing::error!(call.id = call_id, error = %cause, "internal error");
            let details = info(ErrorReason::Internal, [("request_id", call_id.to_owned())]);
            status(Code::Internal, "internal error; the server's log has the cause".to_owned(), details)
        }
    }
}

fn status(code: Code, text: String, details: ErrorDetails) -> Status {
    // The message travels in a header, percent-encoded.
    let text: String = if text.len() > 1_024 { cut_at(&text, 1_024) } else { text };
    Status::with_error_details(code, text, details)
}

fn info<const N: usize>(reason: ErrorReason, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(reason.as_str_name(), DOMAIN, metadata)
}

fn retry(reason: ErrorReason, after: Duration) -> ErrorDetails {
    let mut details = info(reason, []);
    details.set_retry_info(Some(after));
    details
}

fn resource_type(kind: &str) -> String {
    format!("tollgate.v1/{kind}")
}

fn shown_key(key: &ResourceKey) -> String {
    format!("{} {:?}", key.kind, cut(&key.id))
}

/// A message that names the first of `faults`, for clients that show no details; alone, a fault needs no introduction.
fn listed(introduction: String, faults: impl ExactSizeIterator<Item = String>) -> String {
    let left = faults.len().saturating_sub(MAX_LISTED);
    let alone = faults.len() == 1;
    let shown = faults.take(MAX_LISTED).collect::<Vec<_>>().join("; ");
    match left {
        0 if alone => shown,
        0 => format!("{introduction}: {shown}"),
        _ => format!("{introduction}: {shown}; and {left} more"),
    }
}

/// What a client sent, short enough to be sent back.
fn cut(text: &str) -> String {
    if text.len() > 200 { cut_at(text, 200) } else { text.to_owned() }
}

fn cut_at(text: &str, max: usize) -> String {
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// As many of `items` as fit, and `rest` for those that do not.
fn bounded<T>(items: impl Iterator<Item = T>, len: impl Fn(&T) -> usize, rest: impl Fn(usize) -> T) -> Vec<T> {
    let mut bytes = 0;
    let mut shown = Vec::new();
    let mut left = 0;
    for item in items {
        bytes += len(&item) + 8;
        if left == 0 && bytes <= MAX_DETAILS {
            shown.push(item);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        shown.push(rest(left));
    }
    shown
}
