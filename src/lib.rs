//! Tollgate: a gRPC control plane for the governance of LLM gateways.
//!
//! A functional core in an imperative shell. Nothing points up:
//!
//! ```text
//! main → cli → server → api ──→ ledger ──→ store ──→ state ──→ domain ──→ cel
//!                        │          └───→ usage ──→ decision ──→ state
//!                        └────→ watch ──────────────→ state
//! ```
//!
//! - [`cel`]: the conditions of routing rules. [`domain`]: plain validated types; [`state`]: all of them in memory, and the pure functions that decide what becomes
//!   of them. Neither knows of protobuf, SQL or a runtime, so that tests and nodes run them as they are.
//! - [`store`]: everything that knows SQL. [`ledger`]: the only way to change anything; it decides, persists, publishes.
//! - [`decision`]: what becomes of a request, as pure functions over a state; the server explains with them, nodes decide
//!   with them.
//! - [`usage`]: what an entry of a usage report counts against; the ledger counts it.
//! - [`watch`]: published states as streams by revision, and the client's fold of them.
//! - [`access`]: tokens, and who may call with them.
//! - [`archive`]: a whole store as a file, out and in.
//! - [`wire`]: where domain and messages meet. [`api`]: the services. [`server`]: connections. [`cli`]: the commands.

pub mod access;
pub mod api;
pub mod archive;
pub mod cel;
pub mod cli;
pub mod config;
pub mod decision;
pub mod domain;
pub mod ledger;
pub mod proto;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
#[cfg(not(feature = "seeded-bugs"))]
#[expect(unreachable_pub, reason = "only test builds export it")]
mod seeded;
pub mod server;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod usage;
pub mod watch;
pub mod wire;
