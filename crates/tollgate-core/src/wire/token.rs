//! Tokens.

use super::text::{bounded, parse_timestamp, timestamp};
use crate::domain::{NewToken, Path, Role, Timestamp, Token, Violations};
use crate::proto::v1;

const MAX_NAME_CHARACTERS: usize = 128;
const MAX_NODE_ID_CHARACTERS: usize = 128;

/// The token that a client wants to have at `now`. Output-only fields are ignored.
pub fn parse_token(
    message: v1::Token,
    path: &Path<'_>,
    now: Timestamp,
    violations: &mut Violations,
) -> Option<NewToken> {
    let v1::Token { name, role, node_id, expires_at, .. } = message;
    let name = parse_name(&name, &path.field("name"), violations);
    let role = parse_role(role, &path.field("role"), violations);
    let path_of_node = path.field("node_id");
    let node_id = bounded(&node_id, 4 * MAX_NODE_ID_CHARACTERS, false, &path_of_node, violations);
    if node_id.chars().count() > MAX_NODE_ID_CHARACTERS {
        violations.add(path_of_node, format!("has over {MAX_NODE_ID_CHARACTERS} characters"));
    }
    if !node_id.is_empty() && role.is_some_and(|role| role != Role::Node) {
        violations
            .add(path_of_node, "is given for a role that is not bound to nodes; leave it out, or make it a ROLE_NODE");
    }
    let path_of_expiry = path.field("expires_at");
    let expires_at = expires_at.and_then(|time| parse_timestamp(&time, &path_of_expiry, violations));
    if expires_at.is_some_and(|at| at <= now) {
        violations.add(path_of_expiry, "is past; must be in the future, or absent for never");
    }
    Some(NewToken { name, role: role?, node_id: Some(node_id).filter(|id| !id.is_empty()), expires_at })
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

/// A token as the API has it, without its value.
pub fn render_token(token: &Token) -> v1::Token {
    let Token { id, name, role, node_id, sha256: _, created_at, created_by, expires_at, revoked, last_used_at } = token;
    v1::Token {
        id: id.to_string(),
        name: name.to_string(),
        role: render_role(*role).into(),
        node_id: node_id.as_deref().unwrap_or_default().to_owned(),
        expires_at: expires_at.map(timestamp),
        value: String::new(),
        last_used_at: last_used_at.map(timestamp),
        created_at: Some(timestamp(*created_at)),
        created_by: created_by.to_string(),
        revoked_at: revoked.as_ref().map(|(at, _)| timestamp(*at)),
        revoked_by: revoked.as_ref().map(|(_, by)| by.to_string()).unwrap_or_default(),
    }
}
