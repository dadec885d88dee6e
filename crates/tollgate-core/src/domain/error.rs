//! Why a command was refused. `api::status` maps each to a gRPC status, in one place.

use std::sync::Arc;
use std::time::Duration;

use super::{Kind, ResourceKey, Violations};

/// A resource, or a part of one, that was named and does not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The field that names it, as the client wrote it.
    pub field: String,
    /// The kind of the resource that is named, or that has the part.
    pub kind: Kind,
    /// What is named, as `team` or `provider key`.
    pub what: &'static str,
    /// The id that does not exist.
    pub id: String,
    /// What to do about it, if that is not obvious.
    pub hint: Option<String>,
}

/// Why a command was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong; all that is wrong with it.
    #[error("the request has {} invalid field(s)", .0.iter().count())]
    Invalid(Violations),
    /// The page token is not of this method with these filters.
    #[error("the page token is not of this method with these filters")]
    PageToken,
    /// The request id was used for other content.
    #[error("request_id was used within 24 hours for a request with other content")]
    RequestIdReused,
    /// No such resource.
    #[error("{kind} {id:?} does not exist")]
    NotFound {
        /// Its kind.
        kind: Kind,
        /// The id that was asked for.
        id: Arc<str>,
    },
    /// The resource has another revision than the caller expects.
    #[error("{key} is at revision {actual}, not {expected}")]
    RevisionMismatch {
        /// The resource.
        key: ResourceKey,
        /// What the caller sent.
        expected: i64,
        /// What is stored.
        actual: i64,
    },
    /// Things that the request names do not exist; all of them.
    #[error("{} thing(s) that the request names do not exist", .0.len())]
    MissingReferences(Vec<Reference>),
    /// Others still name the resource, or a part of it.
    #[error("{what} is in use by {total} resource(s)")]
    InUse {
        /// What was to go, as `provider "acme"`.
        what: String,
        /// The first users, at most 20.
        users: Vec<ResourceKey>,
        /// How many there are.
        total: usize,
    },
    /// The resource has teams or keys, and nothing was said of them.
    #[error("the {kind} {id:?} has {teams} team(s) and {keys} virtual key(s)")]
    HasChildren {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: Arc<str>,
        /// How many teams it has.
        teams: usize,
        /// How many keys it has directly.
        keys: usize,
    },
    /// One call would change more resources than one revision may.
    #[error("deleting {what} changes {count} resources; one call changes at most {limit}")]
    ChangeTooLarge {
        /// What was to go, as `the team "0190…"`.
        what: String,
        /// How many resources would change.
        count: usize,
        /// How many may.
        limit: usize,
    },
    /// Names of what would lose its parent are taken where it goes.
    #[error("{total} name(s) would clash without {what}")]
    NamesClash {
        /// The parent that was to go, as `the team "0190…"`.
        what: String,
        /// The first names, each with the resource that has it already.
        names: Vec<(Box<str>, ResourceKey)>,
        /// How many there are.
        total: usize,
    },
    /// One of many changes is refused.
    #[error("changes[{index}]: {error}")]
    InChange {
        /// The place of the change.
        index: usize,
        /// The reason.
        error: Box<Error>,
    },
    /// The log does not reach back to a revision.
    #[error("revision {revision} is before revision {first}, the first that can be returned to")]
    Forgotten {
        /// The revision that was asked for.
        revision: i64,
        /// The first that the log reaches back to.
        first: i64,
    },
    /// Another source manages the resource.
    #[error("{key} is managed by {managed_by:?}")]
    ManagedElsewhere {
        /// The resource.
        key: ResourceKey,
        /// The source.
        managed_by: Box<str>,
    },
    /// A built-in provider cannot be deleted.
    #[error("provider {0:?} is built in and cannot be deleted")]
    BuiltIn(Arc<str>),
    /// A name, value or identity is taken.
    #[error("the {field} is taken by {holder}")]
    AlreadyExists {
        /// The field, as the client wrote it.
        field: String,
        /// Who has it.
        holder: ResourceKey,
    },
    /// No such node, or not this incarnation of it.
    #[error("there is no such node: {0}")]
    NoNode(String),
    /// The caller did not register this incarnation of the node, or it was closed.
    #[error(
        "incarnation {incarnation} of node {node_id:?} was never registered in this store by this caller; call RegisterNode"
    )]
    NodeNotRegistered {
        /// The node.
        node_id: Box<str>,
        /// The incarnation.
        incarnation: i64,
    },
    /// No such limit.
    #[error("there is no limit {0:?}")]
    NoLimit(Arc<str>),
    /// No ADMIN token would be left, or there, that does not expire.
    #[error("there must always be an ADMIN token that does not expire: {0}")]
    NoLastingAdmin(&'static str),
    /// No credentials, or unknown ones.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The caller may not do this.
    #[error("{0}")]
    PermissionDenied(String),
    /// Too much at once.
    #[error("{what}")]
    Overloaded {
        /// What there is too much of.
        what: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It cannot be done now.
    #[error("{what}")]
    Unavailable {
        /// Why, without anything of the driver.
        what: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// This replica lacks what others wrote, or may.
    #[error("this replica cannot follow the database, and serves nothing until it can; use another one")]
    NotCurrent {
        /// When to try again, if there is no other replica.
        retry_after: Duration,
    },
    /// The bytes of the request are no message of the method.
    #[error("the request cannot be read as a message of this method: {0}")]
    Malformed(String),
    /// A message, or the metadata, exceed their limit.
    #[error("{0}")]
    TooLarge(String),
    /// The server has no such method, or does not read this compression.
    #[error("{0}")]
    Unimplemented(String),
    /// The server serves nothing of that name.
    #[error("{0}")]
    NotServed(String),
    /// The call took longer than its deadline.
    #[error("the call took longer than its deadline")]
    Late,
    /// A fault of ours. The text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}
