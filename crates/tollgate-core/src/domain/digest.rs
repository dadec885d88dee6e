//! By what a copy of the configuration is proved.

use sha2::{Digest as _, Sha256};

/// What one resource adds to the sum of its kind: the first 8 bytes, big-endian, of SHA-256 of the ASCII string
/// `<kind number>/<id>/<revision>`.
pub fn resource_digest(kind_number: i32, id: &str, revision: i64) -> u64 {
    let hash: [u8; 32] = Sha256::digest(format!("{kind_number}/{id}/{revision}")).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
