//! Laws and cases of the core, by what it exports.

mod decision;
mod wire;
