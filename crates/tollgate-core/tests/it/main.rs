//! Laws and cases of the core, by what it exports.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod calendars;
mod credit;
mod decision;
mod models;
mod price;
mod wire;
