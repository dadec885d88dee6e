//! `tollgate get`, `describe`, `create`, `update`, `edit`, `delete`, `rotate` and `lookup`: resources by kind and name.

pub(super) mod api;
pub(super) mod columns;
pub(super) mod delete;
pub(super) mod describe;
pub(super) mod edit;
pub(super) mod fields;
pub(super) mod find;
pub(super) mod get;
pub(super) mod key;
pub(super) mod place;
pub(super) mod secrets;
pub(super) mod shown;
pub(super) mod subject;
pub(super) mod write;
