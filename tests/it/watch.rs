//! The laws of the change stream (`WatchConfig`), against a real server over real connections.

pub(crate) mod api;
mod begin;
mod compaction;
mod flow;
mod history;
mod keys;
pub(crate) mod rig;
mod seeded;
mod world;
pub(crate) mod writes;
