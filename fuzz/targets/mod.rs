//! What is fuzzed, and what must hold for any input. Used by `fuzz_targets/` (cargo-fuzz, guided by coverage) and by
//! `tests/it/fuzz.rs` (the same targets on seeds and mutations of them, in every run of the tests).
//!
//! The targets of the service go through the front door: a server with its connections, limits and store, in this
//! process. Whatever is sent, it answers with a status that says whose fault it is; INTERNAL or UNKNOWN, which is what a
//! panic becomes, is a fault of the server. The others call the parser itself.

mod connect;
mod pure;
mod seeds;
mod server;
pub(crate) mod service;

pub(crate) use connect::connect;
pub(crate) use pure::{cel, certificate_uri, duration, export_line, token, watch_message};
pub(crate) use seeds::requests;
pub(crate) use server::Rig;
pub(crate) use service::{credentials, mask, page_token, request, resume_token};
