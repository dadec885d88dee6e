//! Usage: what nodes report, counted against every limit that it touches, exactly once (`usage.md`).
//!
//! | file | what |
//! |---|---|
//! | `count` | one entry: which counters of which windows it moves; pure |
//! | `prepare` | the same of a whole batch, before its turn |
//!
//! The ledger's task counts, because whose limits apply, resets and moved windows must not change meanwhile. A batch and
//! its number are written in one transaction, and acknowledged after it.

mod count;
mod prepare;

pub use count::{Entry, FormerKeys, REMEMBERED, Refusal, count, is_over, is_past};
pub use prepare::Prepared;
