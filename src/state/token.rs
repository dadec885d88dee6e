//! Access tokens: they are made and revoked, and never changed otherwise nor removed, so that the audit trail tells for ever
//! who an actor was.

use std::sync::Arc;

use super::decide::check_revision;
use super::{Change, Context, Decision, State, create};
use crate::domain::{Error, Kind, Resource as _, ResourceKey, Revocation, Stored, Token};

const FIRST: &str = "the first access token must be one";
const LAST: &str = "this access token is the last one; make another before you revoke it";

/// Makes an access token, and enters those of an earlier version into the log if nobody did.
///
/// # Errors
/// `NoLastingAdmin` unless there is, or this is, an ADMIN token that does not expire; `AlreadyExists` if one that is not revoked
/// has the name.
pub fn make_token(state: &State, cx: &mut Context<'_>, token: &Token) -> Result<Decision, Error> {
    if !token.is_lasting_admin() && !state.all::<Token>().any(|other| other.resource.is_lasting_admin()) {
        return Err(Error::NoLastingAdmin(FIRST));
    }
    let mut decision = create(state, cx, None, token)?;
    decision.changes.extend(adoptions(state, cx));
    Ok(decision)
}

/// Makes an access token as [`make_token`] does, if there never was one.
///
/// # Errors
/// As [`make_token`].
pub fn make_first_token(state: &State, cx: &mut Context<'_>, token: &Token) -> Result<Decision, Error> {
    match state.config().count::<Token>() {
        0 => make_token(state, cx, token),
        _ => Ok(Decision::new(no_token(), Vec::new())),
    }
}

/// Revokes the access token `id`, as `by`. One that is revoked already stays as it is.
///
/// # Errors
/// `NotFound`, `RevisionMismatch`; `NoLastingAdmin` if no ADMIN token that does not expire would be left.
pub fn revoke_token(state: &State, cx: &mut Context<'_>, id: &str, expected: i64, by: &str) -> Result<Decision, Error> {
    let before = state.config().get::<Token>(id);
    let before = before.ok_or_else(|| Error::NotFound { kind: Kind::Token, id: id.into() })?;
    check_revision(before, expected)?;
    let (subject, token) = (ResourceKey::of(&before.id), &before.resource);
    if token.revoked.is_some() {
        return Ok(Decision::new(subject, Vec::new()));
    }
    let is_other = |other: &&Arc<Stored<Token>>| other.id != before.id;
    if token.is_lasting_admin() && !state.all::<Token>().filter(is_other).any(|it| it.resource.is_lasting_admin()) {
        return Err(Error::NoLastingAdmin(LAST));
    }
    let revoked = Some(Revocation { at: cx.committed_at, by: by.into() });
    let after = cx.changed(before, Token { revoked, ..token.clone() });
    let change = Change { before: Some(Token::wrap(Arc::clone(before))), after: Some(Token::wrap(after)) };
    Ok(Decision::new(subject, vec![change]))
}

/// Enters the access tokens of an earlier version, which did not log them, into the log: as they are, with the revision in which
/// that is done. That is done once: one without a revision beside others that have one came from elsewhere.
///
/// # Errors
/// None.
pub fn adopt_tokens(state: &State, cx: &mut Context<'_>) -> Result<Decision, Error> {
    let changes = adoptions(state, cx);
    let subject = changes.first().map(Change::key);
    Ok(Decision::new(subject.unwrap_or_else(no_token), changes))
}

/// The subject of a decision that changes nothing.
fn no_token() -> ResourceKey {
    ResourceKey { kind: Kind::Token, id: "".into() }
}

fn adoptions(state: &State, cx: &Context<'_>) -> Vec<Change> {
    if !state.has_unlogged_tokens() {
        return Vec::new();
    }
    let adopt = |before: &Arc<Stored<Token>>| {
        let after = Stored { revision: cx.revision, ..Stored::clone(before) };
        Change { before: Some(Token::wrap(Arc::clone(before))), after: Some(Token::wrap(Arc::new(after))) }
    };
    state.all::<Token>().map(adopt).collect()
}

impl State {
    /// Whether its access tokens are of an earlier version, which did not log them.
    pub fn has_unlogged_tokens(&self) -> bool {
        self.config().count::<Token>() > 0 && self.config().all::<Token>().all(|token| token.revision == 0)
    }

    /// Who the actors with this name of an access token are or were; none if there never was one.
    pub fn actors_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + use<'a> {
        self.config()
            .all::<Token>()
            .filter(move |token| token.resource.name.as_ref() == name)
            .map(|token| token.actor())
    }
}
