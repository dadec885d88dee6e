//! Who may call: tokens, and the principals that they make of callers.
//!
//! [`Registry`] has all tokens in memory: a call is authenticated without a query. [`Tokens`] changes them in the store,
//! and keeps the registry true to it, other replicas' changes included. `api` asks the one and serves the other;
//! `server` runs the task.

mod principal;
mod registry;
#[cfg(test)]
mod tests;
mod tokens;

pub use principal::Principal;
pub use registry::Registry;
pub use tokens::Tokens;
