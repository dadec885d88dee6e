//! Who may call: tokens and roles, safe defaults, secrets, and what strangers may do.

mod abuse;
mod attack;
mod audit;
mod canary;
mod defaults;
pub(crate) mod lapse;
mod matrix;
mod service;
pub(crate) mod support;
mod viewer;
