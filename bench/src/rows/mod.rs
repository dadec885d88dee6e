//! What is measured: one function per group of rows.

pub(crate) mod decisions;
pub(crate) mod fan_out;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod reads;
pub(crate) mod sizes;
pub(crate) mod stalled;
pub(crate) mod usage;
pub(crate) mod writes;
