//! Secrets of virtual keys: only their hashes and masks exist beyond the call that made them.

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use super::Timestamp;

/// SHA-256 of a secret. It is no secret by itself, but is kept out of logs all the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hash(pub [u8; 32]);

impl Sha256Hash {
    /// The hash of `secret`.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// From 32 bytes; `None` for another length.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256Hash(…)")
    }
}

/// What is kept of a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Secret {
    /// Its hash.
    pub sha256: Sha256Hash,
    /// What is shown instead of it; fixed when it is made.
    pub mask: Box<str>,
}

impl Secret {
    /// What server-made secrets begin with.
    pub const PREFIX: &'static str = "sk-tg-";
    /// Random characters after the prefix: 62^43 is over 2^255.
    const RANDOM_CHARACTERS: usize = 43;

    /// Makes a secret by a cryptographic generator that the operating system's random source seeds; returns it with what is
    /// to be kept of it.
    pub fn generate() -> (String, Self) {
        // 256 bits of it at once: asked for each character, it costs more than writing the key to the log does.
        let characters = StdRng::from_os_rng().sample_iter(rand::distr::Alphanumeric);
        let mut value = String::with_capacity(Self::PREFIX.len() + Self::RANDOM_CHARACTERS);
        value.push_str(Self::PREFIX);
        value.extend(characters.take(Self::RANDOM_CHARACTERS).map(char::from));
        let random = &value[Self::PREFIX.len()..];
        let mask = format!("{}{}…{}", Self::PREFIX, &random[..4], &random[random.len() - 4..]);
        let sha256 = Sha256Hash::of(&value);
        (value, Self { sha256, mask: mask.into() })
    }

    /// What is to be kept of a secret that the caller chose (ASCII): its mask shows the last four characters if it has
    /// at least 32.
    pub fn imported(value: &str) -> Self {
        let mask = match value.len().checked_sub(4) {
            Some(tail) if value.len() >= 32 && value.is_char_boundary(tail) => format!("…{}", &value[tail..]),
            _ => "…".to_owned(),
        };
        Self { sha256: Sha256Hash::of(value), mask: mask.into() }
    }

    /// A secret of which only the hash is known.
    pub fn hashed(sha256: Sha256Hash) -> Self {
        Self { sha256, mask: "…".into() }
    }
}

/// What is kept of the secret before the last rotation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreviousSecret {
    /// Its hash.
    pub sha256: Sha256Hash,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl PreviousSecret {
    /// The longest time that it works beside its successor: 30 days.
    pub const MAX_GRACE_SECONDS: i64 = 30 * 86_400;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_random_and_their_masks_tell_little() {
        let (value, secret) = Secret::generate();
        assert_eq!(value.len(), 49);
        assert!(value[6..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(secret.mask.as_ref(), format!("sk-tg-{}…{}", &value[6..10], &value[45..]));
        assert_eq!(secret.sha256, Sha256Hash::of(&value));
        assert_ne!(Secret::generate().0, value);
        assert_eq!(Secret::imported("short-but-legal-secret").mask.as_ref(), "…");
        assert_eq!(Secret::imported("a-longer-secret-of-over-32-chars-wxyz").mask.as_ref(), "…wxyz");
    }
}
