//! The core of [Tollgate](https://docs.rs/tollgate), which governs LLM gateways: everything that the control plane and
//! the nodes beside gateways have in common.
//!
//! It is pure: no runtime, no sockets, no SQL; what time it is, is an argument. The same code runs in the server, in a node, in tests and in
//! simulations, so that a node decides exactly as the server explains.
//!
//! ```text
//! usage → decision → config → counters → domain → cel      price → domain
//! credit → counters      wire → domain, proto      reducer → proto
//! ```
//!
//! - [`domain`]: the resources, as plain validated types: a value that exists is valid. [`cel`]: the conditions of
//!   routing rules.
//! - [`config`]: all resources at one revision, indexed for decisions. [`counters`]: what was counted against limits.
//! - [`credit`]: how many nodes share one hard limit and never exceed it.
//! - [`decision`]: what becomes of a request, with every reason, and which price applies.
//! - [`price`]: what a request costs at given rates.
//! - [`usage`]: which limits a report of usage counts against.
//! - [`proto`]: the messages of the API. [`wire`]: where messages become domain types, and the reverse.
//! - [`reducer`]: the client's fold of the change stream `WatchConfig`.

pub mod cel;
pub mod config;
pub mod counters;
pub mod credit;
pub mod decision;
pub mod domain;
pub mod price;
pub mod proto;
pub mod reducer;
pub mod usage;
pub mod wire;
