//! Store.
mod group;
pub use group::*;
