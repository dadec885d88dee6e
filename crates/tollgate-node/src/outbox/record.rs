//! The records of an outbox, and how they lie in its file: each in a frame with its length and its CRC-32, so that a write
//! that was cut is seen.

use prost::Message as _;
use tollgate_core::proto::v1::{CreditKey, CreditUsed, UsageEntry};

/// Bytes before each record: its length and its CRC-32, both little-endian.
const HEAD: usize = 8;
/// The greatest length of a record. Bytes with a greater length in front are no record.
const LONGEST: usize = 64 << 20;

/// Something that happened, in the order in which it happened.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Record {
    #[prost(oneof = "Event", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) event: Option<Event>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Event {
    /// The node registered: what is not acknowledged is numbered anew, from 1.
    #[prost(message, tag = "1")]
    Registered(Registered),
    /// A request was admitted.
    #[prost(message, tag = "2")]
    Admitted(Admitted),
    /// An admission ended, or what it was charged is added to.
    #[prost(message, tag = "3")]
    Closed(Closed),
    /// All entries that were in no batch are in these, which follow each other.
    #[prost(message, tag = "4")]
    Batched(Batched),
    /// The control plane has counted a batch.
    #[prost(message, tag = "5")]
    Acknowledged(Acknowledged),
    /// The node has a session.
    #[prost(message, tag = "6")]
    Session(Session),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Registered {
    #[prost(int64, tag = "1")]
    pub(crate) incarnation: i64,
    #[prost(string, tag = "2")]
    pub(crate) store_id: String,
    #[prost(string, tag = "3")]
    pub(crate) node_id: String,
    /// The number of the next batch: greater than 1 only at the beginning of a file.
    #[prost(int64, tag = "4")]
    pub(crate) next_sequence: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Admitted {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    /// The charge if nobody settles it.
    #[prost(message, optional, tag = "2")]
    pub(crate) estimate: Option<UsageEntry>,
    /// The provider key, and the kind of the request, which decide its price.
    #[prost(string, tag = "3")]
    pub(crate) provider_key_id: String,
    #[prost(string, tag = "4")]
    pub(crate) request_type: String,
    /// The limits that it holds credit for.
    #[prost(message, repeated, tag = "5")]
    pub(crate) credit: Vec<CreditKey>,
    /// Whether its caller said how long the answer is at most.
    #[prost(bool, tag = "10")]
    pub(crate) bounds_output: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Closed {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(enumeration = "How", tag = "2")]
    pub(crate) how: i32,
    /// The usage to count; absent for none.
    #[prost(message, optional, tag = "3")]
    pub(crate) entry: Option<UsageEntry>,
    /// When it expired, if it did: seconds since 1970.
    #[prost(int64, tag = "4")]
    pub(crate) expired_at: i64,
    /// The usage of hard limits that it held no credit for.
    #[prost(message, repeated, tag = "5")]
    pub(crate) uncovered: Vec<CreditUsed>,
}

/// How an admission ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum How {
    /// The gateway said what was used.
    Settled = 0,
    /// The gateway gave it up.
    Abandoned = 1,
    /// Nobody said anything in time, or the node ended before: it was charged at its estimate.
    Expired = 2,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Batched {
    #[prost(message, repeated, tag = "1")]
    pub(crate) batches: Vec<Entries>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<UsageEntry>,
    /// Its incarnation and number, at the beginning of a file; elsewhere they follow from what is before.
    #[prost(message, optional, tag = "2")]
    pub(crate) place: Option<Acknowledged>,
    /// Whether it was acknowledged, at the beginning of a file.
    #[prost(bool, tag = "3")]
    pub(crate) is_acknowledged: bool,
    /// The usage by credit, cumulative, that the control plane books with it.
    #[prost(message, repeated, tag = "4")]
    pub(crate) credit_used: Vec<CreditUsed>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Acknowledged {
    #[prost(int64, tag = "1")]
    pub(crate) incarnation: i64,
    #[prost(int64, tag = "2")]
    pub(crate) sequence: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Session {
    #[prost(int64, tag = "1")]
    pub(crate) session: i64,
    /// All usage by credit, at the beginning of a file.
    #[prost(message, repeated, tag = "2")]
    pub(crate) spent: Vec<Spent>,
    /// When the machine was started, as its system names it.
    #[prost(string, tag = "3")]
    pub(crate) boot_id: String,
}

/// The usage of a limit in a window by credit, cumulative.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Spent {
    #[prost(message, optional, tag = "1")]
    pub(crate) key: Option<CreditKey>,
    #[prost(int64, tag = "2")]
    pub(crate) used: i64,
    /// The part of it that is in batches.
    #[prost(int64, tag = "3")]
    pub(crate) batched: i64,
    /// The part of it that the control plane has acknowledged.
    #[prost(int64, tag = "4")]
    pub(crate) acknowledged: i64,
    /// The part of it that is in no batch and that no credit was held for.
    #[prost(int64, tag = "5")]
    pub(crate) uncovered: i64,
}

impl From<Event> for Record {
    fn from(event: Event) -> Self {
        Self { event: Some(event) }
    }
}

/// Appends a record, in its frame.
pub(crate) fn frame(record: &Record, to: &mut Vec<u8>) {
    let body = record.encode_to_vec();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    to.extend(length.to_le_bytes());
    to.extend(crc32fast::hash(&body).to_le_bytes());
    to.extend(body);
}

/// The records of a file, and how long the part is that they fill: less than the whole where a write was cut.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Record>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some((record, length)) = bytes.get(at..).and_then(first) {
        records.push(record);
        at += length;
    }
    (records, at)
}

fn first(bytes: &[u8]) -> Option<(Record, usize)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    let body = rest.get(..length)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let record = Record::decode(body).ok()?;
    record.event.is_some().then_some((record, HEAD + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_cut_anywhere_has_the_whole_records_before_the_cut() {
        let acknowledged = |sequence| Record::from(Event::Acknowledged(Acknowledged { incarnation: 7, sequence }));
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for sequence in 1..=3 {
            frame(&acknowledged(sequence), &mut bytes);
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let (records, length) = read(&bytes[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!((records.len(), length), (whole, ends[whole]), "cut at {cut}");
        }
        // A byte that is another ends it too.
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            let (records, _) = read(&altered);
            let whole = ends.iter().filter(|end| **end <= at).count() - 1;
            assert_eq!(records.len(), whole, "altered at {at}");
        }
    }
}
