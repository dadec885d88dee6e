//! Tollgate: a gRPC control plane for the governance of LLM gateways.
pub mod api;
pub mod cli;
pub mod config;
pub mod domain;
pub mod proto;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
pub mod ledger;
pub mod server;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod watch;
pub mod wire;
