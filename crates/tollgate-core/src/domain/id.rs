//! Typed ids.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

/// Id of a resource of type `R`: a UUIDv7 in text made by the server, or the name for kinds whose name is their id.
/// Cloning shares the text, so that memory holds each id once.
pub struct Id<R>(Arc<str>, PhantomData<fn() -> R>);

impl<R> Id<R> {
    /// Takes `text` as an id.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into(), PhantomData)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl<R> Clone for Id<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

impl<R> PartialEq for Id<R> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<R> Eq for Id<R> {}

impl<R> PartialOrd for Id<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R> Ord for Id<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl<R> Hash for Id<R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<R> Borrow<str> for Id<R> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<R> fmt::Display for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<R> fmt::Debug for Id<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Id of a budget or rate limit. There are several a key, and many are looked up: so there is no pointer to follow, because
/// looking up is mostly waiting for memory. The server makes them, as UUIDs in lower case; anything else is kept as the text
/// that it is. They are ordered as their texts are.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum LimitId {
    /// A UUID.
    Uuid([u8; 16]),
    /// Any other text.
    Text(Arc<str>),
}

impl From<&str> for LimitId {
    fn from(text: &str) -> Self {
        match uuid::Uuid::try_parse(text) {
            // Only what comes back letter by letter.
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()) == text => {
                Self::Uuid(uuid.into_bytes())
            }
            Ok(_) | Err(_) => Self::Text(text.into()),
        }
    }
}

impl LimitId {
    /// No id: that of a limit which has none yet.
    pub fn none() -> Self {
        Self::Text(Arc::default())
    }

    /// Whether it is no id.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }
}

impl PartialOrd for LimitId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LimitId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            // Their texts have the same form, in which digits come before letters.
            (Self::Uuid(one), Self::Uuid(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.to_string().cmp(&other.to_string()),
        }
    }
}

impl fmt::Display for LimitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(bytes) => {
                let mut text = uuid::Uuid::encode_buffer();
                f.write_str(uuid::Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut text))
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for LimitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_limits_are_the_texts_that_they_were_and_in_their_order() {
        let mut texts = [
            "01a3185c-5000-7926-86bf-eb57188612bc",
            "01A3185C-5000-7926-86BF-EB57188612BC",
            "01a3185c50007926 86bfeb57188612bc",
            "01a3185c-5000-7926-86bf-eb57188612b",
            "f0000000-0000-0000-0000-000000000000",
            "9",
            "budget",
            "",
        ];
        let mut ids = texts.map(LimitId::from);
        texts.sort_unstable();
        ids.sort();
        assert_eq!(ids.each_ref().map(ToString::to_string), texts);
        let uuids = ids.iter().filter(|id| matches!(id, LimitId::Uuid(_)));
        assert_eq!(uuids.count(), 2);
        assert!(ids[0].is_none() && ids[0] == LimitId::none() && !ids[1].is_none());
    }
}
