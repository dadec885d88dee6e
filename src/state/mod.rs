//! The state.
mod head;
pub use head::{Chain, ChainRow, Head, Op};
