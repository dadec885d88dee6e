//! The change stream: what both of its ends share, and the fold that makes a copy of it.
//!
//! [`Reducer`] is the client's end: nodes, `tollgate watch` and the tests fold the stream with it. It is pure, so it
//! runs wherever a node runs.
//!
//! The server's end: [`Watch`] begins streams, [`Follower`] is one. Writers never wait for watchers: a stream is a
//! cursor into the latest published state, and has no queue.

mod currency;
pub mod digest;
mod encode;
mod filter;
mod hub;
mod open;
mod reducer;
mod stream;
#[cfg(test)]
mod tests;
mod token;
mod usage;

pub use currency::Currency;
pub use filter::{Filter, KindSet};
pub use hub::{CatchUp, Subscription, Watch};
pub use stream::Follower;

pub use reducer::{Progress, ProtocolError, Reducer, ResourceChange, StateReader, Summary, Usage, View};
pub use usage::Now;

/// One or more [`WatchConfigResponse`](crate::proto::v1::WatchConfigResponse) as gRPC sends them, each after its length: encoded
/// once, shared by all streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame(pub bytes::Bytes);
