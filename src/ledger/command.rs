//! What is submitted to the ledger.

use bytes::Bytes;

use crate::domain::{Error, Timestamp};
use crate::state::{Context, Decision, State};

/// Who calls, and what is known of the call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who calls: name and id of its token, as `ops/0190…`, or `anonymous`.
    pub actor: String,
    /// From where.
    pub peer: String,
    /// The method, as `tollgate.v1.TeamService/UpdateTeam`.
    pub method: &'static str,
    /// The caller's id of the request, or empty.
    pub request_id: String,
    /// Hash of the request's content; looked at only beside a request id.
    pub fingerprint: [u8; 32],
    /// Decide and answer, but change nothing.
    pub validate_only: bool,
}

impl Call {
    /// A call of `method` by nobody in particular.
    pub fn of(method: &'static str) -> Self {
        Self {
            actor: String::new(),
            peer: String::new(),
            method,
            request_id: String::new(),
            fingerprint: [0; 32],
            validate_only: false,
        }
    }
}

type Decide = dyn Fn(&State, &mut Context<'_>) -> Result<Decision, Error> + Send;
type Render = dyn Fn(&State, &Decision, Timestamp) -> Vec<u8> + Send;

/// A command: a pure decision, and how to answer it.
pub struct Command {
    /// Decides on the state that the command meets.
    pub decide: Box<Decide>,
    /// The encoded answer, from the state after, the decision, and its time. It holds no secret: it may be kept.
    pub answer: Box<Render>,
}

/// The answer to a command.
#[derive(Debug)]
pub struct Answer {
    /// The encoded answer.
    pub response: Bytes,
    /// Whether it is the answer to an earlier call with the same request id.
    pub replayed: bool,
}
