//! Frames: messages of the stream as bytes. Each resource is encoded once per version; batches splice those bytes.

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::stream::duration;
use super::token::Token;
use super::{Filter, Frame};
use crate::domain::{Kind, Timestamp};
use crate::proto::v1;
use crate::proto::v1::watch_config_response::Event;
use crate::state::{Mark, Marked, State};
use crate::wire::{self, Form};

/// The most that a fragment holds, unless one resource alone is larger. It is about what a stream has on its way at a time,
/// and goes from there through the processor's cache.
pub(super) const MAX_FRAGMENT: usize = 64 * 1024;
/// Batches larger than this are neither made as a whole nor kept: few streams are that far behind by the same distance.
pub(super) const LARGE: usize = 256 * 1024;
/// The length of what gRPC sends before a message.
const PREFIX: usize = 5;
/// What a frame adds to its resources at most.
const FRAME_OVERHEAD: usize = 256;
const UPSERTS: u32 = 3;
const REMOVES: u32 = 4;
const BATCH: u32 = 2;

/// A message as a frame.
pub(super) fn frame(event: Event) -> Frame {
    let message = v1::WatchConfigResponse { event: Some(event) };
    let len = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + len);
    put_prefix(len, &mut bytes);
    message.encode_raw(&mut bytes);
    Frame(bytes.freeze())
}

/// What gRPC sends before a message: that it is not compressed, and its length.
fn put_prefix(len: usize, bytes: &mut BytesMut) {
    bytes.put_u8(0);
    // A frame is far below 4 GiB, unless one resource is above.
    bytes.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
}

/// The encoded entry of a batch: an upsert, or a removal. The one with hashes is kept; few streams are without.
pub(super) fn entry(marked: &Marked, hashes: bool) -> Bytes {
    match &marked.mark {
        Mark::Upsert(slot) if !hashes && wire::has_hashes(slot.resource.kind()) => {
            let mut resource = wire::render_any(&slot.resource, Form::Stream);
            wire::strip_hashes(&mut resource);
            field(UPSERTS, &resource)
        }
        Mark::Upsert(slot) => {
            let make = || field(UPSERTS, &wire::render_any(&slot.resource, Form::Stream));
            slot.encoded.get_or_init(make).clone()
        }
        Mark::Remove(key) => field(REMOVES, &wire::resource_key(key)),
    }
}

/// A message as a field of a batch: tag, length, content.
fn field(tag: u32, message: &impl prost::Message) -> Bytes {
    let len = message.encoded_len();
    let mut bytes = Vec::with_capacity(len + 8);
    encode_key(tag, WireType::LengthDelimited, &mut bytes);
    encode_varint(len as u64, &mut bytes);
    message.encode_raw(&mut bytes);
    bytes.into()
}

/// A batch as frames of about [`MAX_FRAGMENT`] at most, each made when it is asked for.
#[derive(Default)]
pub(super) struct Fragments {
    /// The batch without its entries.
    head: v1::ConfigBatch,
    entries: Vec<Bytes>,
    /// How many of them are in frames that were made.
    made: usize,
    /// Goes out at the end of the last frame: what is one goes out in one call.
    after: Frame,
}

impl Fragments {
    /// The fragments of `entries`, and `after` them. `head` is the batch without its entries.
    pub(super) fn new(head: v1::ConfigBatch, entries: Vec<Bytes>, after: Frame) -> Self {
        Self { head, entries, made: 0, after }
    }

    /// All frames at once, unless they are large: then they are to be made as the client takes them.
    ///
    /// # Errors
    /// The fragments.
    pub(super) fn at_once(self) -> Result<Vec<Frame>, Box<Self>> {
        match self.entries.iter().map(Bytes::len).sum::<usize>() > LARGE {
            true => Err(Box::new(self)),
            false => Ok(self.collect()),
        }
    }
}

impl Iterator for Fragments {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        let rest = self.entries.get(self.made..).filter(|rest| !rest.is_empty())?;
        let mut bytes = FRAME_OVERHEAD;
        let fits = rest.iter().take_while(|entry| {
            bytes += entry.len();
            bytes <= MAX_FRAGMENT
        });
        let (fragment, more) = rest.split_at(fits.count().max(1));
        self.made += fragment.len();
        let head = v1::ConfigBatch { more: !more.is_empty(), ..self.head.clone() };
        Some(splice(&head, fragment, if more.is_empty() { &self.after.0 } else { &[] }))
    }
}

fn splice(head: &v1::ConfigBatch, entries: &[Bytes], after: &[u8]) -> Frame {
    let len = head.encoded_len() + entries.iter().map(Bytes::len).sum::<usize>();
    let message = 1 + encoded_len_varint(len as u64) + len;
    let mut bytes = BytesMut::with_capacity(PREFIX + message + after.len());
    put_prefix(message, &mut bytes);
    encode_key(BATCH, WireType::LengthDelimited, &mut bytes);
    encode_varint(len as u64, &mut bytes);
    head.encode_raw(&mut bytes);
    for entry in entries {
        bytes.put_slice(entry);
    }
    bytes.put_slice(after);
    Frame(bytes.freeze())
}

/// What a bookmark says beside its revision.
pub(super) enum Detail {
    /// Nothing: it goes to several streams, at different times.
    Shared,
    /// Digests, how old the server's knowledge is, and its time.
    Own { age: Duration, now: Timestamp, snapshot_end: bool },
}

impl Detail {
    pub(super) fn heartbeat(age: Duration, now: Timestamp) -> Self {
        Self::Own { age, now, snapshot_end: false }
    }
}

/// The bookmark of `state`'s head.
pub(super) fn bookmark(state: &State, filter: Filter, detail: Detail) -> Frame {
    let head = state.head();
    let token = Token::new(head, head.revision, head.chain.prefix(), filter);
    let (digests, age, server_time, snapshot_end) = match detail {
        Detail::Shared => (Vec::new(), None, None, false),
        Detail::Own { age, now, snapshot_end } => {
            let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_streamed() && filter.kinds.has(*kind));
            let digest = |kind| v1::KindDigest { kind: wire::kind(kind).into(), digest: state.config().digest(kind) };
            (kinds.map(digest).collect(), Some(duration(age)), Some(wire::timestamp(now)), snapshot_end)
        }
    };
    frame(Event::Bookmark(v1::Bookmark {
        revision: head.revision,
        resume_token: token.encode(),
        digests,
        snapshot_end,
        age,
        server_time,
    }))
}

#[cfg(test)]
impl Frame {
    /// What it consists of.
    pub(super) fn events(&self) -> Vec<Event> {
        let (mut events, mut rest) = (Vec::new(), self.0.clone());
        while !rest.is_empty() {
            let prefix = rest.split_to(PREFIX);
            let len = u32::from_be_bytes(prefix[1..].try_into().unwrap());
            let message = v1::WatchConfigResponse::decode(rest.split_to(len as usize)).unwrap();
            events.push(message.event.unwrap());
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_a_fragment_is_one_by_itself() {
        let entry = |size: usize| field(REMOVES, &v1::ResourceKey { kind: 1, id: "x".repeat(size) });
        let sizes = [10, 100 * 1024, 20, 30, 250 * 1024, 40 * 1024, 40 * 1024];
        let entries: Vec<Bytes> = sizes.iter().map(|size| entry(*size)).collect();
        let after = frame(Event::GoAway(v1::GoAway::default()));
        let head = v1::ConfigBatch { to_revision: 7, ..Default::default() };
        let frames: Vec<_> = Fragments::new(head, entries, after).collect();
        let mut events: Vec<_> = frames.iter().flat_map(Frame::events).collect();
        assert_eq!(frames.len(), events.len() - 1);
        assert_eq!(events.pop(), Some(Event::GoAway(v1::GoAway::default())));
        let decoded = events.into_iter().map(|event| match event {
            Event::Batch(batch) => batch,
            other => panic!("{other:?}"),
        });
        let fragments: Vec<_> = decoded.collect();
        let found: Vec<Vec<usize>> =
            fragments.iter().map(|batch| batch.removes.iter().map(|key| key.id.len()).collect()).collect();
        let expected: [&[usize]; 6] = [&[10], &[102_400], &[20, 30], &[256_000], &[40_960], &[40_960]];
        assert_eq!(found, expected);
        assert!(fragments.iter().all(|batch| batch.to_revision == 7));
        assert_eq!(fragments.iter().map(|batch| batch.more).collect::<Vec<_>>(), [true, true, true, true, true, false]);
    }

    #[test]
    fn what_is_large_is_not_made_at_once() {
        let batch = |count: usize| {
            let entry = field(REMOVES, &v1::ResourceKey { kind: 1, id: "x".repeat(MAX_FRAGMENT / 2) });
            Fragments::new(v1::ConfigBatch::default(), vec![entry; count], Frame::default())
        };
        let fits = LARGE / (MAX_FRAGMENT / 2) - 1;
        assert_eq!(batch(fits).at_once().map(|frames| frames.len()).ok(), Some(fits));
        let large = batch(fits + 1).at_once().err().unwrap();
        assert_eq!(large.count(), fits + 1);
    }
}
