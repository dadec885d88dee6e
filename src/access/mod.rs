//! Access tokens, and the principals that they make of callers.
//!
//! [`Registry`] finds a caller by the value that it shows, without a query. [`Tokens`] makes and revokes access tokens through
//! the ledger, and keeps the registry true to the ledger's state, which has other replicas' changes too. `api` asks the one
//! and serves the other; `server` runs the task.

mod principal;
mod registry;
#[cfg(test)]
mod tests;
mod tokens;

pub use principal::Principal;
pub use registry::Registry;
pub use tokens::{RenderToken, Tokens};
