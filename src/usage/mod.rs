//! Usage: what nodes report, counted against every limit that it touches, exactly once (`docs/design/usage.md`).
//!
//! | file | what |
//! |---|---|
//! | `count` | one entry of a batch |
//! | `prepare` | a whole batch, before its turn |
//! | `spend` | the sums of all that was counted, by hour |
//!
//! Which counters an entry moves is for [`tollgate_core::usage`] to say. The ledger's task counts, because whose limits
//! apply, resets and moved windows must not change meanwhile. A batch and its number are written in one transaction, and
//! acknowledged after it.

mod count;
mod prepare;
mod spend;

pub use count::count;
pub use prepare::Prepared;
pub use spend::{HOUR_MICROS, SpendAmounts, SpendCalendar, SpendCell, SpendSeries, SpendTally, SpendZone, hour};
pub use tollgate_core::usage::{
    Amount, Assigned, Entry, Fault, FormerKey, FormerKeys, REMEMBERED, Refusal, assign_late, is_over, is_past,
};
