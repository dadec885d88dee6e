//! The methods by the Connect protocol, as bytes and by the clients that people have.

mod clients;
mod pages;
mod rules;
mod slow;
mod streams;
pub(crate) mod support;
mod unary;
