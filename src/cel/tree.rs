//! The tree that the parser makes of an expression: its shape, with nothing known of names and types.

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    /// Where it is, for a reader, as an offset in bytes: at the operator, or at the name of a function or field.
    pub(super) at: usize,
    /// How many trees stand in one another from here on, this one included.
    pub(super) depth: usize,
    pub(super) expr: Expr<'a>,
}

/// What a part of an expression is.
#[derive(Debug)]
pub(super) enum Expr<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    /// A name, with the dot before it if there is one.
    Name(&'a str),
    Field(Box<Tree<'a>>, &'a str),
    Index(Box<[Tree<'a>; 2]>),
    Unary(Unary, Box<Tree<'a>>),
    Binary(Binary, Box<[Tree<'a>; 2]>),
    Choose(Box<[Tree<'a>; 3]>),
    /// A call of a function by its name, perhaps of something.
    Call(&'a str, Option<Box<Tree<'a>>>, Vec<Tree<'a>>),
    List(Vec<Tree<'a>>),
    Map(Vec<[Tree<'a>; 2]>),
}

/// An operator before its operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unary {
    Not,
    Negate,
}

/// An operator between its operands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Binary {
    Or,
    And,
    In,
    Compare(super::node::Comparison),
    Arithmetic(super::node::Arithmetic),
}
