//! The server's end of the change stream; the client's is [`reducer`](crate::reducer).
//!
//! [`Watch`] begins streams, [`WatchStream`] is one. Writers never wait for watchers: a stream is a
//! cursor into the latest published state, and has no queue.

mod currency;
mod encode;
mod filter;
mod hub;
mod open;
mod stream;
#[cfg(test)]
mod tests;
mod token;
mod usage;

pub use currency::Currency;
pub use filter::{Filter, KindSet};
pub use hub::{CatchUp, Subscription, Watch};
pub use stream::WatchStream;
pub use usage::Now;

/// One or more [`WatchConfigResponse`](crate::proto::v1::WatchConfigResponse) as gRPC sends them, each after its length: encoded
/// once, shared by all streams.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame(pub bytes::Bytes);
