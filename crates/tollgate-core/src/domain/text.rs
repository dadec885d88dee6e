//! Free data that resources carry.

use std::collections::BTreeMap;

/// Labels, for people and filters.
pub type Labels = BTreeMap<Box<str>, Box<str>>;

/// A structure of free data, like a JSON object. Numbers are finite.
pub type Struct = BTreeMap<String, StructValue>;

/// A value in a [`Struct`].
#[derive(Clone, PartialEq, Debug)]
pub enum StructValue {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// Text.
    String(String),
    /// Values in order.
    List(Vec<StructValue>),
    /// A structure.
    Struct(Struct),
}
