//! Tollgate.
pub mod cli;
pub mod config;
pub mod domain;
pub mod proto;
pub mod server;
pub mod state;
pub mod store;
pub mod telemetry;
pub mod watch;
