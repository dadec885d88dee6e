//! The laws that `docs/design/api.md §§2, 3` gives to every kind of resource, each tried on each kind.

pub(crate) mod laws;
mod lists;
pub(crate) mod subject;
mod together;
mod writes;
