//! Access tokens: who may call. They are credentials of this service's callers; no decision reads them, and no node needs to
//! know them.

use std::sync::Arc;

use rand::Rng as _;

use super::{Sha256Hash, Stored, Timestamp};

/// The rights of the holder of an access token (`api` has the methods).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads.
    Viewer,
    /// What a data-plane node needs.
    Node,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Viewer, Self::Node];

    /// The role's name, as it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Viewer => "viewer",
            Self::Node => "node",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// An access token as it is kept: never its value. Once made, it changes only by being revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Unique among those that are not revoked, and without `/`.
    pub name: Arc<str>,
    /// The rights of its holder.
    pub role: Role,
    /// The one node that its holder speaks for; only of NODE tokens.
    pub node_id: Option<Arc<str>>,
    /// SHA-256 of its value.
    pub sha256: Sha256Hash,
    /// Who made it.
    pub created_by: Arc<str>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Its end, if it was revoked.
    pub revoked: Option<Revocation>,
}

/// The end of an access token that was revoked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// When it was revoked.
    pub at: Timestamp,
    /// The caller that revoked it.
    pub by: Arc<str>,
}

impl Token {
    /// The beginning of every value, so that none is ever mistaken for a virtual key.
    pub const PREFIX: &'static str = "tg_";
    /// Random characters after the prefix: 62^43 is over 2^255.
    const RANDOM_CHARACTERS: usize = 43;
    /// The shortest value that an operator may choose, prefix included.
    pub const MIN_CHOSEN: usize = 35;

    /// A new value, from the operating system's random source.
    pub fn generate_value() -> String {
        let random = rand::TryRngCore::unwrap_err(rand::rngs::OsRng);
        let characters = random.sample_iter(rand::distr::Alphanumeric).map(char::from);
        Self::PREFIX.chars().chain(characters.take(Self::RANDOM_CHARACTERS)).collect()
    }

    /// Whether a value that an operator chose is one: the prefix, then at least 32 letters, digits, `_` or `-`.
    pub fn is_chosen_value(value: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        value.starts_with(Self::PREFIX) && (Self::MIN_CHOSEN..=512).contains(&value.len()) && value.bytes().all(allowed)
    }

    /// Whether it is good for calls at `now`.
    pub fn works_at(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at)
    }

    /// Whether it is a way in that stays: an ADMIN token that is not revoked and never expires.
    pub fn is_lasting_admin(&self) -> bool {
        self.role == Role::Admin && self.expires_at.is_none() && self.revoked.is_none()
    }
}

impl Stored<Token> {
    /// How its holder appears in the audit trail: name and id, because a name may be given again.
    pub fn actor(&self) -> String {
        format!("{}/{}", self.resource.name, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_random_and_carry_the_prefix() {
        let value = Token::generate_value();
        assert_eq!((value.len(), &value[..3]), (46, "tg_"));
        assert!(Token::is_chosen_value(&value));
        assert_ne!(Token::generate_value(), value);
    }

    #[test]
    fn chosen_values_must_be_long_and_printable() {
        let long = "x".repeat(32);
        assert!(Token::is_chosen_value(&format!("tg_{long}")));
        for bad in [long.clone(), "tg_short".to_owned(), format!("tg_{long} "), format!("tg_{long}é"), String::new()] {
            assert!(!Token::is_chosen_value(&bad), "{bad:?}");
        }
    }
}
