//! `tollgate plan`, `apply`, `rollback` and `diff`: many resources in one revision, and what that changes.

pub(super) mod apply;
mod call;
mod compare;
pub(super) mod diff;
mod owned;
mod parts;
mod planned;
pub(super) mod rollback;
#[cfg(test)]
mod tests;
mod told;

pub(super) use self::call::{PATIENCE, apply, as_they_are};
