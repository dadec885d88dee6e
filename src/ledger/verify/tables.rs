//! The contents of the tables, for a comparison with what a server has in memory.

use std::collections::HashMap;

use prost::Message as _;

use crate::config::Config;
use crate::counters::{CounterKey, dimensions};
use crate::domain::{AnyResource, ResourceKey, Timestamp};
use crate::wire::{self, Form};

/// The contents of the tables, as far as streams show them.
#[derive(Default, Debug)]
pub struct Tables {
    /// Each resource.
    pub resources: HashMap<ResourceKey, Rendered>,
    /// The current window of each limit.
    pub windows: Vec<CounterKey>,
}

/// A resource as streams bring it: a checksum of its encoding.
#[derive(Clone, Copy, Debug)]
pub struct Rendered {
    /// On a stream with hashes of keys.
    pub with_hashes: blake3::Hash,
    /// On a stream of a VIEWER.
    pub without_hashes: blake3::Hash,
}

impl Rendered {
    fn of(any: &AnyResource) -> Self {
        let mut resource = wire::render_any(any, Form::Stream);
        let with_hashes = blake3::hash(&resource.encode_to_vec());
        wire::strip_hashes(&mut resource);
        Self { with_hashes, without_hashes: blake3::hash(&resource.encode_to_vec()) }
    }
}

impl Tables {
    /// Takes the next resource. Its windows follow the calendars of `config`, and it is `now`.
    pub(super) fn take(&mut self, any: &AnyResource, config: &Config, now: Timestamp) {
        self.resources.insert(any.key(), Rendered::of(any));
        self.windows.extend(dimensions(any, config.calendar(any)).iter().map(|limit| limit.counter(now)));
    }
}
