//! Who calls.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::domain::{Role, Stored, Token};

/// Who calls, as far as it was authenticated. It is in the extensions of every request that needs a caller.
#[derive(Clone)]
pub struct Principal {
    actor: Arc<str>,
    role: Role,
    node_id: Option<Arc<str>>,
    /// Whose incarnations it may go on with.
    owner: Arc<str>,
    lapse: CancellationToken,
}

impl Principal {
    /// The name of callers while authentication is off. No token can have it.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Whoever calls while authentication is off: an administrator, until `lapse`.
    pub(super) fn anonymous(lapse: CancellationToken) -> Self {
        Self { actor: Self::ANONYMOUS.into(), role: Role::Admin, node_id: None, owner: "".into(), lapse }
    }

    /// The holder of a token, until `lapse`.
    pub(super) fn of_token(token: &Stored<Token>, lapse: CancellationToken) -> Self {
        let Token { role, node_id, .. } = &token.resource;
        let owner = node_id.as_deref().map_or_else(|| token.id.to_string(), of_node);
        Self { actor: token.actor().into(), role: *role, node_id: node_id.clone(), owner: owner.into(), lapse }
    }

    /// The holder of a certificate that names a role and, for nodes, the one node that it speaks for. In the audit trail
    /// `name` stands after `certificate:` and the role, which no token's name begins with. The connection ends before
    /// the rights do.
    pub fn of_certificate(name: &str, role: Role, node_id: Option<&str>) -> Self {
        let actor: Arc<str> = format!("certificate:{}/{name}", role.name()).into();
        let owner = node_id.map_or_else(|| Arc::clone(&actor), |node_id| of_node(node_id).into());
        Self { actor, role, node_id: node_id.map(Into::into), owner, lapse: CancellationToken::new() }
    }

    /// How the caller appears in the audit trail: name and id of its token, as `ops/0190…`; or [`Self::ANONYMOUS`]. It
    /// is also what `request_id`s are scoped to.
    pub fn actor(&self) -> &Arc<str> {
        &self.actor
    }

    /// Whether it is known who calls, and not only that everybody may.
    pub fn is_authenticated(&self) -> bool {
        self.actor.as_ref() != Self::ANONYMOUS
    }

    /// What it may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The one node that it speaks for, if it is bound to one.
    pub fn node_id(&self) -> Option<&str> {
        self.node_id.as_deref()
    }

    /// Who owns the incarnations that it registers: its node if it is bound to one, whatever its token is then, so that
    /// tokens can be changed under a running node; else the token. Empty for anonymous callers.
    pub fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// Cancelled once its rights have changed: the token was revoked or has expired, or authentication was turned on.
    /// Its streams are to end then.
    pub fn lapse(&self) -> &CancellationToken {
        &self.lapse
    }
}

fn of_node(node_id: &str) -> String {
    format!("node:{node_id}")
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({} {})", self.role.name(), self.actor)
    }
}
