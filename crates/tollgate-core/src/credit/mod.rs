//! Credit: how many nodes share one hard limit and never exceed it (`docs/design/credit.md`).
//!
//! A node admits a request only while it holds credit for what the request may use, and the server never grants more than is
//! left. Both sides are state machines without clocks and without I/O, and this module holds both:
//!
//! - [`Book`]: the server's rows. Each method takes one message or event and answers with an [`Outcome`]: the rows to write
//!   in the same transaction, and the directives to send once that transaction is committed. A book is cheap to clone: apply
//!   an event to a clone, and keep the clone only if the commit succeeds.
//! - [`Desk`]: what one replica remembers beside the book and may forget: wants that wait, and who asked lately.
//! - [`Purse`]: the credit of one incarnation of a node.
//!
//! The two sides share three numbers per limit, window and incarnation ([`Account`]). All three are cumulative, so that a
//! message that is lost, repeated or late does no harm.

mod account;
mod book;
mod desk;
mod held;
mod hello;
mod message;
mod pool;
mod purse;
mod review;
mod rows;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use book::{Answer, Book, Change, NodeRow, Outcome};
pub use desk::Desk;
pub use message::{Credit, Directive, Hello, Report, Returned, Stated, Used, Want};
pub use pool::{PoolRow, Terms};
pub use purse::{Demand, Now, Purse, Reservation, Short};
pub use rows::RowKey;
