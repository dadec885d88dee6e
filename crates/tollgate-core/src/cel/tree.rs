//! The tree of an expression as it is written, before names and types are checked.
//!
//! Its terms are a list and name each other by index, so that a tree as deep as the text is long, such as that of
//! `1 + 1 + …`, is made and dropped without recursion.

use super::node::{Arithmetic, Comparison};

/// Which term of a list of terms.
pub(super) type Id = usize;

/// A term of the text.
#[derive(Debug)]
pub(super) struct Term<'a> {
    /// Where it is for a reader, in bytes: at the operator, or at the name of a function or field.
    pub(super) place: usize,
    pub(super) form: Form<'a>,
}

/// A form of terms.
#[derive(Debug)]
pub(super) enum Form<'a> {
    /// Refused already: its fault is noted.
    Refused,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    Name(&'a str),
    List(Vec<Id>),
    Map(Vec<(Id, Id)>),
    Not(Id),
    Negate(Id),
    /// Operands of a chain of `&&`.
    And(Vec<Id>),
    /// Operands of a chain of `||`.
    Or(Vec<Id>),
    /// Condition, value if it holds, value if it does not.
    Choose([Id; 3]),
    /// An operator, as it is written, and its operands.
    Binary(Binary, &'a str, [Id; 2]),
    Field(Id, &'a str),
    /// Container and key.
    Index([Id; 2]),
    Call {
        /// Before the dot, if there is one.
        target: Option<Id>,
        name: &'a str,
        arguments: Vec<Id>,
    },
}

/// An operator between two operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Binary {
    Arithmetic(Arithmetic),
    Compare(Comparison),
    In,
}
