//! The laws that `api.md` gives to every kind of resource ("Common shapes", "Errors"), each tried on each kind.

mod laws;
mod lists;
pub(crate) mod subject;
mod together;
mod writes;
