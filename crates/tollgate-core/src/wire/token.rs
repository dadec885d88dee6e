//! Access tokens.

use bytes::Bytes;

use super::text::{bounded, parse_timestamp, required_time, timestamp};
use super::virtual_key::parse_hash;
use super::{Form, Wire};
use crate::domain::{Path, Revocation, Role, Sha256Hash, Stored, Timestamp, Token, Violations};
use crate::proto::v1;

const MAX_NAME_CHARACTERS: usize = 128;
const MAX_NODE_ID_CHARACTERS: usize = 128;
/// The longest name of a caller.
const MAX_CALLER_BYTES: usize = 1_024;

impl Wire for Token {
    type Message = v1::Token;
    const OUTPUT_ONLY: &'static [&'static str] = &[
        "id",
        "value",
        "value_sha256",
        "last_used_at",
        "created_at",
        "created_by",
        "revoked_at",
        "revoked_by",
        "revision",
        "updated_at",
    ];
    const IMMUTABLE: &'static [&'static str] = &["name", "role", "node_id", "expires_at"];

    /// The value is not of the message: `access` makes it.
    fn parse(message: v1::Token, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::Token { name, role, node_id, expires_at, .. } = message;
        let name = parse_name(&name, &path.field("name"), violations);
        let role = parse_role(role, &path.field("role"), violations);
        let path_of_node = path.field("node_id");
        let node_id = bounded(&node_id, 4 * MAX_NODE_ID_CHARACTERS, false, &path_of_node, violations);
        if node_id.chars().count() > MAX_NODE_ID_CHARACTERS {
            violations.add(path_of_node, format!("has over {MAX_NODE_ID_CHARACTERS} characters; shorten it"));
        }
        if !node_id.is_empty() && role.is_some_and(|role| role != Role::Node) {
            violations.add(
                path_of_node,
                "is given for a role that is not bound to nodes; leave it out, or make it a ROLE_NODE",
            );
        }
        let expires_at = expires_at.and_then(|time| parse_timestamp(&time, &path.field("expires_at"), violations));
        Some(Self {
            name: name.into(),
            role: role?,
            node_id: Some(node_id).filter(|id| !id.is_empty()).map(Into::into),
            sha256: Sha256Hash([0; 32]),
            created_by: "".into(),
            expires_at,
            revoked: None,
        })
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::Token {
        let Self { name, role, node_id, sha256, created_by, expires_at, revoked } = &stored.resource;
        v1::Token {
            id: stored.id.to_string(),
            name: name.to_string(),
            role: render_role(*role).into(),
            node_id: node_id.as_deref().unwrap_or_default().to_owned(),
            expires_at: expires_at.map(timestamp),
            value: String::new(),
            last_used_at: None,
            created_at: Some(timestamp(stored.created_at)),
            created_by: created_by.to_string(),
            revoked_at: revoked.as_ref().map(|revoked| timestamp(revoked.at)),
            revoked_by: revoked.as_ref().map(|revoked| revoked.by.to_string()).unwrap_or_default(),
            revision: stored.revision,
            updated_at: Some(timestamp(stored.updated_at)),
            value_sha256: match form {
                Form::Log => Bytes::copy_from_slice(&sha256.0),
                Form::Answer(_) | Form::Stream => Bytes::new(),
            },
        }
    }

    fn recall(&mut self, message: &v1::Token, form: Form, path: &Path<'_>, violations: &mut Violations) {
        if form == Form::Stream {
            violations.add(path, "is on the stream, which carries no access tokens");
        }
        self.sha256 = parse_hash(&message.value_sha256, &path.field("value_sha256"), violations);
        let mut caller = |text: &str, field| bounded(text, MAX_CALLER_BYTES, false, &path.field(field), violations);
        self.created_by = caller(&message.created_by, "created_by").into();
        let by = caller(&message.revoked_by, "revoked_by").into();
        self.revoked = message
            .revoked_at
            .map(|at| Revocation { at: required_time(Some(at), &path.field("revoked_at"), violations), by });
    }

    fn times(message: &v1::Token) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::Token) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::Token) -> v1::config_resource::Resource {
        v1::config_resource::Resource::Token(message)
    }
}

/// The access token that a client wants to have at `now`, whose value is still to be made. Output-only fields are ignored.
pub fn parse_token(message: v1::Token, path: &Path<'_>, now: Timestamp, violations: &mut Violations) -> Option<Token> {
    let expires_at = message.expires_at.and_then(|time| Timestamp::from_parts(time.seconds, time.nanos));
    let token = Token::parse(message, path, violations);
    if expires_at.is_some_and(|at| at <= now) {
        violations.add(path.field("expires_at"), "is past; must be in the future, or absent for never");
    }
    token
}

fn parse_name(text: &str, path: &Path<'_>, violations: &mut Violations) -> Box<str> {
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME_CHARACTERS {
        violations.add(path, format!("has {length} characters; must have 1 to {MAX_NAME_CHARACTERS}"));
    }
    if text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        violations.add(path, "contains '/', white space or a control character, which the name of a token may not");
    }
    if ["anonymous", "tollgate"].contains(&text) || text.starts_with("certificate:") {
        violations.add(path, "is reserved: the audit trail names callers without a token so; choose another");
    }
    text.into()
}

fn parse_role(number: i32, path: &Path<'_>, violations: &mut Violations) -> Option<Role> {
    match v1::Role::try_from(number) {
        Ok(v1::Role::Admin) => Some(Role::Admin),
        Ok(v1::Role::Viewer) => Some(Role::Viewer),
        Ok(v1::Role::Node) => Some(Role::Node),
        Ok(v1::Role::Unspecified) | Err(_) => {
            violations.add(path, "is no role; must be ROLE_ADMIN, ROLE_VIEWER or ROLE_NODE");
            None
        }
    }
}

/// The role as the API has it.
pub const fn render_role(role: Role) -> v1::Role {
    match role {
        Role::Admin => v1::Role::Admin,
        Role::Viewer => v1::Role::Viewer,
        Role::Node => v1::Role::Node,
    }
}
