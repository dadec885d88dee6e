//! Worlds and messages at random, for the tests and benchmarks of Tollgate.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

pub mod anything;
pub mod valid;
pub mod world;
