//! The systems that are measured side by side, each behind the same few calls.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tempfile::TempDir;
use tokio::time::Instant;
use tollgate::proto::v1;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::keys::{Keys, SIZE, Shape, stamp, stamped};
use crate::process::{self, Place, Process};
use crate::{plain, raw};

/// Connections of a load.
pub(crate) const CONNECTIONS: usize = 8;

pub(crate) const UPDATE: &str = "/tollgate.v1.VirtualKeyService/UpdateVirtualKey";
pub(crate) const LIST: &str = "/tollgate.v1.VirtualKeyService/ListVirtualKeys";
const GET: &str = "/tollgate.v1.VirtualKeyService/GetVirtualKey";
pub(crate) const WATCH_CONFIG: &str = "/tollgate.v1.ConfigService/WatchConfig";
const PUT: &str = "/etcdserverpb.KV/Put";
const RANGE: &str = "/etcdserverpb.KV/Range";
const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// A server of one of the systems.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    system: System,
    clock: Clock,
    _dir: TempDir,
}

enum System {
    Tollgate { keys: Keys, token: OnceLock<String>, _place: Place },
    Etcd,
    Plain,
}

/// Gives stamps, each once, and tells how long ago they were given.
pub(crate) struct Clock {
    origin: Instant,
    last: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), last: AtomicU64::new(0) }
    }

    /// The stamp of `at`: nanoseconds, and one more if it was given already, so that every write changes something.
    pub(crate) fn stamp(&self, at: Instant) -> u64 {
        let stamp = at.saturating_duration_since(self.origin).as_nanos() as u64;
        let next = |last: u64| Some(stamp.max(last + 1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or_default();
        stamp.max(last + 1)
    }

    pub(crate) fn elapsed(&self, stamp: u64) -> Duration {
        self.origin.elapsed().saturating_sub(Duration::from_nanos(stamp))
    }
}

impl Target {
    /// Tollgate on SQLite, with `keys` small keys.
    pub(crate) async fn tollgate(server: &Path, keys: usize) -> Self {
        Self::tollgate_at(Place::sqlite(server), keys).await
    }

    /// Tollgate at `place`, with `keys` small keys.
    pub(crate) async fn tollgate_at(place: Place, keys: usize) -> Self {
        let process = place.start().await;
        let channels = raw::connect(&process.address, CONNECTIONS).await;
        let keys = Keys::create(&channels, Shape::Small, keys).await;
        Self::new("Tollgate", process, System::Tollgate { keys, token: OnceLock::new(), _place: place }, directory())
    }

    pub(crate) async fn etcd(binary: &Path) -> Self {
        let dir = directory();
        Self::new("etcd", process::etcd(binary, dir.path()).await, System::Etcd, dir)
    }

    /// The plain tonic server.
    pub(crate) async fn plain(answer: usize) -> Self {
        let dir = directory();
        Self::new("plain tonic", process::plain(dir.path(), answer).await, System::Plain, dir)
    }

    fn new(name: &'static str, process: Process, system: System, dir: TempDir) -> Self {
        Self { name, process, system, clock: Clock::new(), _dir: dir }
    }

    pub(crate) async fn channels(&self) -> Vec<Channel> {
        raw::connect(&self.process.address, CONNECTIONS).await
    }

    /// Writes key `number`, with a stamp of `at`; it is durable once this is ready (but for the plain server).
    pub(crate) fn write(
        &self,
        channel: Channel,
        number: usize,
        at: Instant,
    ) -> impl Future<Output = ()> + Send + use<> {
        let stamp = self.clock.stamp(at);
        let (path, message) = match &self.system {
            System::Tollgate { keys, .. } => (UPDATE, keys.update(number, stamp).encode_to_vec()),
            System::Etcd => {
                let put = etcd::Put { key: etcd_key(number), value: stamped(stamp, SIZE).into_bytes() };
                (PUT, put.encode_to_vec())
            }
            System::Plain => (plain::PUBLISH, stamped(stamp, SIZE).into_bytes()),
        };
        let call = raw::unary(channel, path, message.into());
        async { drop(call.await.expect("it is written")) }
    }

    /// The call that reads key `number` from memory, and its request.
    pub(crate) fn read(&self, number: usize) -> (&'static str, Bytes) {
        match &self.system {
            System::Tollgate { keys, .. } => {
                let id = keys.ids[number % keys.ids.len()].clone();
                let request = v1::GetVirtualKeyRequest { id, from_memory: true, ..Default::default() };
                (GET, request.encode_to_vec().into())
            }
            System::Etcd => {
                let range = etcd::Range { key: etcd_key(number), serializable: true };
                (RANGE, range.encode_to_vec().into())
            }
            // As many bytes as Tollgate's.
            System::Plain => {
                let request = v1::GetVirtualKeyRequest { id: "7".repeat(36), from_memory: true, ..Default::default() };
                (plain::ECHO, request.encode_to_vec().into())
            }
        }
    }

    /// A stream of all changes from now on.
    pub(crate) async fn watch(&self, channel: Channel) -> Streaming<Bytes> {
        match &self.system {
            System::Tollgate { token, .. } => {
                // Only the first takes a snapshot.
                let resume_token = token.get().cloned().unwrap_or_default();
                let request = v1::WatchConfigRequest { resume_token, ..Default::default() };
                let stream = raw::server_streaming(channel, WATCH_CONFIG, request.encode_to_vec().into()).await;
                let mut stream = stream.expect("it streams");
                loop {
                    let message = stream.message().await.expect("it streams").expect("it begins");
                    if let Some(bookmark) = Delivered::read(&message).bookmark {
                        token.get_or_init(|| bookmark.resume_token);
                        return stream;
                    }
                }
            }
            System::Etcd => {
                // All keys that begin so.
                let create = etcd::Create { key: b"/key/".to_vec(), range_end: b"/key0".to_vec() };
                let request = etcd::Watch { create: Some(create) }.encode_to_vec().into();
                let mut stream = raw::streaming(channel, WATCH, request).await.expect("it streams");
                let created = stream.message().await.expect("it streams").expect("it begins");
                assert!(etcd::Watched::decode(created).is_ok_and(|watched| watched.created), "etcd watches");
                stream
            }
            System::Plain => raw::server_streaming(channel, plain::SUBSCRIBE, Bytes::new()).await.expect("it streams"),
        }
    }

    /// Calls `each` with how long ago each change of `message` was meant to be sent.
    pub(crate) fn delivered(&self, message: Bytes, mut each: impl FnMut(Duration)) {
        let mut one = |text: &[u8]| each(self.clock.elapsed(stamp(text).expect("a stamp")));
        match &self.system {
            System::Tollgate { .. } => {
                let upserts = Delivered::read(&message).batch.unwrap_or_default().upserts;
                upserts.into_iter().filter_map(|upsert| upsert.virtual_key).for_each(|key| one(&key.description));
            }
            System::Etcd => {
                let events = etcd::Watched::decode(message).expect("a watch response").events;
                events.into_iter().filter_map(|event| event.kv).for_each(|kv| one(&kv.value));
            }
            System::Plain => one(&message),
        }
    }
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn etcd_key(number: usize) -> Vec<u8> {
    format!("/key/{number:07}").into_bytes()
}

/// What is read of a `WatchConfigResponse`.
#[derive(Message)]
pub(crate) struct Delivered {
    #[prost(message, optional, tag = "2")]
    pub(crate) batch: Option<Batch>,
    #[prost(message, optional, tag = "3")]
    pub(crate) bookmark: Option<v1::Bookmark>,
}

impl Delivered {
    pub(crate) fn read(message: &Bytes) -> Self {
        Self::decode(message.clone()).expect("a response of WatchConfig")
    }
}

/// What is read of a `ConfigBatch`.
#[derive(Message)]
pub(crate) struct Batch {
    #[prost(message, repeated, tag = "3")]
    pub(crate) upserts: Vec<Upsert>,
}

/// What is read of a `ConfigResource`.
#[derive(Message)]
pub(crate) struct Upsert {
    #[prost(message, optional, tag = "3")]
    pub(crate) virtual_key: Option<Key>,
}

/// What is read of a `VirtualKey`.
#[derive(Message)]
pub(crate) struct Key {
    #[prost(bytes = "bytes", tag = "4")]
    pub(crate) description: Bytes,
}

/// What is said to etcd, and what is read of its answers, by the numbers of its public API.
mod etcd {
    use bytes::Bytes;
    use prost::Message;

    #[derive(Message)]
    pub(super) struct Put {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) value: Vec<u8>,
    }

    #[derive(Message)]
    pub(super) struct Range {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(bool, tag = "7")]
        pub(super) serializable: bool,
    }

    #[derive(Message)]
    pub(super) struct Watch {
        #[prost(message, optional, tag = "1")]
        pub(super) create: Option<Create>,
    }

    #[derive(Message)]
    pub(super) struct Create {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) key: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) range_end: Vec<u8>,
    }

    #[derive(Message)]
    pub(super) struct Watched {
        #[prost(bool, tag = "3")]
        pub(super) created: bool,
        #[prost(message, repeated, tag = "11")]
        pub(super) events: Vec<Event>,
    }

    #[derive(Message)]
    pub(super) struct Event {
        #[prost(message, optional, tag = "2")]
        pub(super) kv: Option<KeyValue>,
    }

    #[derive(Message)]
    pub(super) struct KeyValue {
        #[prost(bytes = "bytes", tag = "5")]
        pub(super) value: Bytes,
    }
}
