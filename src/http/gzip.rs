//! gzip, in requests and answers.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::HeaderValue;
use tonic::Status;

use super::inner::{BodyLimit, malformed};
use crate::api;
use crate::domain::Error;

/// Shorter answers gain nothing by being packed.
const WORTH: usize = 1024;

/// The name of this coding.
pub(super) const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// How the bytes of a request are coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Coding {
    /// As they are.
    Identity,
    /// By gzip.
    Gzip,
}

impl Coding {
    /// The coding of a name; without one, nothing is packed.
    ///
    /// # Errors
    ///
    /// UNIMPLEMENTED for what this server does not know.
    pub(super) fn of(name: Option<&[u8]>) -> Result<Self, Status> {
        match name {
            None | Some(b"" | b"identity") => Ok(Self::Identity),
            Some(b"gzip") => Ok(Self::Gzip),
            Some(other) => {
                let other = String::from_utf8_lossy(other.get(..64).unwrap_or(other)).into_owned();
                let why = format!("compression {other:?} is not known to this server; it knows gzip and identity");
                Err(api::status(Error::Unimplemented(why), ""))
            }
        }
    }

    /// The bytes before they were packed: no more than the limit, whatever they would become.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED beyond the limit, INVALID_ARGUMENT if they are not of this coding.
    pub(super) fn unpack(self, bytes: Bytes, limit: &BodyLimit) -> Result<Bytes, Status> {
        match self {
            Self::Identity => Ok(bytes),
            Self::Gzip => {
                let max = limit.bytes();
                let mut unpacked = Vec::new();
                let beyond = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
                let read = MultiGzDecoder::new(bytes.as_ref()).take(beyond).read_to_end(&mut unpacked);
                read.map_err(|_| malformed("the request says that it is compressed with gzip, and is not"))?;
                if unpacked.len() > max { Err(limit.exceeded()) } else { Ok(unpacked.into()) }
            }
        }
    }
}

/// Whether whoever sent this list of codings takes gzip.
pub(super) fn is_accepted<'a>(lists: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    let lists = lists.into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let weight = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        is_gzip && weight.is_none_or(|it| it.trim().parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

/// The bytes packed; `None` if that is not worth it.
pub(super) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < WORTH {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_http_has_them() {
        let takes = |list: &str| is_accepted(&[list.parse().unwrap()]);
        for list in ["gzip", "br, gzip", "identity;q=0.5,GZIP;q=0.1", "deflate , gzip ; q=1.0"] {
            assert!(takes(list), "{list}");
        }
        for list in ["", "br", "gzip;q=0", "gzip; q=0.0", "gzipped", "*"] {
            assert!(!takes(list), "{list}");
        }
    }
}
