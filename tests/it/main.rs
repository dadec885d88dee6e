//! The integration tests: one binary, through the front door.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod access;
mod altered;
mod apply;
mod architecture;
mod bad_input;
mod cases;
mod chain;
mod cli;
mod connect;
mod contract;
mod crash;
mod credit;
mod decisions;
mod documentation;
mod engine;
mod faults;
mod fuzz;
mod governance;
mod hierarchy;
mod journey;
mod limits;
mod log;
mod metrics;
mod models;
mod node;
mod operations;
mod prices;
mod process;
mod provider_keys;
mod proxy;
mod reconciliation;
mod replicas;
mod rest;
mod retention;
mod settings;
mod start;
mod tls;
mod traces;
mod transfer;
mod usage;
mod vectors;
mod watch;
mod webhooks;
mod wire;
