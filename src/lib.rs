//! Tollgate: a gRPC control plane for the governance of LLM gateways.
//!
//! A functional core in an imperative shell. The core is a crate of its own, [`tollgate_core`], which nodes share: the
//! resources, conditions, decisions, and the client's end of the change stream. Here is the server around it. Nothing
//! points up:
//!
//! ```text
//! main → cli → server → api ──→ ledger ──→ store ──→ state ──→ core
//!                        └────→ watch ──────────────→ state
//! ```
//!
//! - [`state`]: all that a server knows at one revision, and the pure functions that decide what becomes of it.
//! - [`store`]: everything that knows SQL. [`ledger`]: the only way to change anything; it decides, persists, publishes.
//! - [`usage`]: batches of usage, counted against the limits that they touch.
//! - [`watch`]: published states as streams by revision.
//! - [`webhooks`]: alerts, noticed and sent.
//! - [`access`]: tokens, and who may call with them.
//! - [`archive`]: a whole store as a file, out and in.
//! - [`api`]: the services. `http`: other ways to them. [`server`]: connections. [`cli`]: the commands. [`settings`]: what all of these can be told.

pub mod access;
pub mod api;
pub mod archive;
pub mod cli;
mod http;
pub mod ledger;
mod price_table;
pub mod proto;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
#[cfg(not(feature = "seeded-bugs"))]
#[expect(unreachable_pub, reason = "only test builds export it")]
mod seeded;
pub mod server;
pub mod settings;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod usage;
pub mod watch;
pub mod webhooks;

pub use tollgate_core::{cel, config, counters, credit, decision, domain, reducer, wire};
