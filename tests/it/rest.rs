//! The mirrored API (`docs/design/http.md §5`): each operation by HTTP, what clients of the mirrored gateway rely on, and
//! the document that describes it.

mod client;
mod document;
mod errors;
mod fuzzed;
mod gzip;
mod keys;
mod lists;
mod owners;
mod rules;
