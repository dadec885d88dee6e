//! Resume tokens: opaque to clients, checked on every resume.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Filter, KindSet};
use crate::state::Head;

/// What a token says: the client has all of `filter` up to `revision` of this history of this store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Token {
    /// First 16 bytes of the hash of the store's id.
    store: [u8; 16],
    pub(super) revision: i64,
    /// First 8 bytes of the chain at `revision`.
    pub(super) chain: u64,
    pub(super) filter: Filter,
}

/// The first byte of a token.
const WITH_HASHES: u8 = 1;
const WITHOUT_HASHES: u8 = 2;
const BODY: usize = 1 + 16 + 8 + 8 + 4;
const CHECK: usize = 4;

impl Token {
    pub(super) fn new(head: &Head, revision: i64, chain: u64, filter: Filter) -> Self {
        Self { store: store_hash(head), revision, chain, filter }
    }

    pub(super) fn is_of(&self, head: &Head) -> bool {
        self.store == store_hash(head)
    }

    pub(super) fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(BODY + CHECK);
        bytes.push(if self.filter.hashes { WITH_HASHES } else { WITHOUT_HASHES });
        bytes.extend(self.store);
        bytes.extend(self.revision.to_be_bytes());
        bytes.extend(self.chain.to_be_bytes());
        bytes.extend(self.filter.kinds.bits().to_be_bytes());
        let check = check(&bytes);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token; `None` if it is none of ours, or was cut or changed on its way.
    pub(super) fn decode(text: &str) -> Option<Self> {
        // Longer text is not even decoded.
        let bytes = (text.len() <= 2 * (BODY + CHECK)).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
        let bytes: [u8; BODY + CHECK] = bytes.try_into().ok()?;
        let (body, sum) = bytes.split_at(BODY);
        let (form, rest) = body.split_first()?;
        let hashes = match *form {
            WITH_HASHES => true,
            WITHOUT_HASHES => false,
            _ => return None,
        };
        let (store, rest) = rest.split_first_chunk::<16>()?;
        let (revision, rest) = rest.split_first_chunk::<8>()?;
        let (chain, rest) = rest.split_first_chunk::<8>()?;
        let kinds = KindSet::from_bits(u32::from_be_bytes(rest.try_into().ok()?));
        (sum == check(body)).then(|| Self {
            store: *store,
            revision: i64::from_be_bytes(*revision),
            chain: u64::from_be_bytes(*chain),
            filter: Filter { kinds, hashes },
        })
    }
}

fn store_hash(head: &Head) -> [u8; 16] {
    let hash = blake3::hash(head.store_id.as_bytes());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn check(body: &[u8]) -> [u8; CHECK] {
    blake3::hash(body).as_bytes().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Kind, Timestamp};
    use crate::state::Chain;

    #[test]
    fn tokens_survive_their_way_and_nothing_else_does() {
        let head = Head {
            store_id: "a".into(),
            revision: 7,
            chain: Chain([3; 32]),
            committed_at: Timestamp::EPOCH,
            compacted_revision: 0,
            compacted_chain: Chain::ORIGIN,
            last_config_id: 0,
        };
        let kinds = KindSet::of([Kind::Team]);
        let [token, bare] =
            [true, false].map(|hashes| Token::new(&head, 7, head.chain.prefix(), Filter { kinds, hashes }));
        assert_eq!(Token::decode(&bare.encode()), Some(bare));
        let text = token.encode();
        assert_eq!(Token::decode(&text), Some(token.clone()));
        assert!(token.is_of(&head));
        assert!(!token.is_of(&Head { store_id: "b".into(), ..head }));
        for index in 0..text.len() {
            let mut broken = text.clone().into_bytes();
            broken[index] = if broken[index] == b'A' { b'B' } else { b'A' };
            assert_ne!(Token::decode(&String::from_utf8(broken).unwrap()), Some(token.clone()));
            assert_eq!(Token::decode(&text[..index]), None);
        }
        assert_eq!(Token::decode("not a token"), None);
        assert_eq!(Token::decode(&"A".repeat(100_000)), None);
    }
}
