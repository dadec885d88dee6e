//! Amounts and times, as the API has them.

use jiff::Timestamp;

/// The largest amount that is brought along: more does not fit into nano-dollars.
const MOST: f64 = 9.2e9;

/// US dollars in nano-dollars; nothing below 0.
pub(super) fn nano_usd(usd: f64) -> i64 {
    (usd.clamp(0.0, MOST) * 1e9).round_ties_even() as i64
}

/// A time of the API.
pub(super) fn moment(time: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

/// SHA-256 in 64 hexadecimal digits.
pub(super) fn hash(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|hash| hash.len() == 32)
}
