//! Pages (AIP-158): sizes, and tokens that are good for one method with one set of filters.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;

use crate::domain::{Error, Path, Timestamp, Violations};
use crate::state::Facet;

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 1_000;
/// A page ends here whatever its size, so that the default limit of clients (4 MiB) holds with room.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;
const MAX_TOKEN: usize = 8 * 1024;
const FILTER: usize = 16;

/// How many a page is to hold.
///
/// # Errors
/// `Invalid` if negative.
pub(super) fn size(page_size: i32) -> Result<usize, Error> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => {
            let mut violations = Violations::new();
            let text = format!("is {page_size}; must be 0 for the default of {DEFAULT_SIZE}, or from 1 to {MAX_SIZE}");
            violations.add(Path::root("page_size"), text);
            Err(violations.into())
        }
    }
}

/// The method and filters that a token is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Scope([u8; FILTER]);

impl Scope {
    /// `filters` is the request without page size, page token, view and source.
    pub(super) fn new(method: &str, filters: &impl Message) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(method.as_bytes()).update(&[0]).update(&filters.encode_to_vec());
        Self(hasher.finalize().as_bytes().first_chunk().copied().unwrap_or_default())
    }

    /// The token of a page that ended with the item with this order and id.
    pub(super) fn token(self, order: i64, id: &str) -> String {
        let mut bytes = Vec::with_capacity(FILTER + 8 + id.len() + 4);
        bytes.extend(self.0);
        bytes.extend(order.to_be_bytes());
        bytes.extend(id.as_bytes());
        let check = check(&bytes);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Where a page with this token starts: after the item with this order and id.
    ///
    /// # Errors
    /// `PageToken` if it is not of this method with these filters.
    pub(super) fn read(self, token: &str) -> Result<Option<(i64, Arc<str>)>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        self.parse(token).map(Some).ok_or(Error::PageToken)
    }

    /// As [`Self::read`], for items in the order of their creation.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_created(self, token: &str) -> Result<Option<(Timestamp, Arc<str>)>, Error> {
        Ok(self.read(token)?.map(|(order, id)| (Timestamp::from_micros(order), id)))
    }

    fn parse(self, token: &str) -> Option<(i64, Arc<str>)> {
        let bytes = (token.len() <= MAX_TOKEN).then(|| URL_SAFE_NO_PAD.decode(token).ok()).flatten()?;
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let (filter, rest) = body.split_first_chunk::<FILTER>()?;
        let (order, id) = rest.split_first_chunk::<8>()?;
        let id = std::str::from_utf8(id).ok()?;
        (*sum == check(body) && *filter == self.0).then(|| (i64::from_be_bytes(*order), id.into()))
    }
}

fn check(body: &[u8]) -> [u8; 4] {
    blake3::hash(body).as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The facet of a filter by the source that manages.
pub(super) fn managed_facet(managed_by: String) -> Option<Facet> {
    (!managed_by.is_empty()).then(|| Facet::ManagedBy(managed_by.into()))
}

/// The facets of a filter by labels.
pub(super) fn label_facets(labels: std::collections::BTreeMap<String, String>) -> Vec<Facet> {
    labels.into_iter().map(|(key, value)| Facet::Label(key.into(), value.into())).collect()
}
