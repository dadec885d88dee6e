//! Conditions on requests: CEL expressions, checked when written and bounded when evaluated.
//!
//! An expression comes from whoever may write rules and is evaluated on every request, so neither may do harm, and
//! neither needs more than the thread of the caller:
//!
//! 1. `lexer` takes the text apart, `literal` reads its strings and numbers.
//! 2. `parse` makes a `tree` of the symbols, within limits to brackets and operators in one another.
//! 3. `check` checks names, types and functions, reports every fault with its position, and makes a `node` tree. `pattern`
//!    and `request_type` find what a new expression may not have, and so does `fold`, which finds what is never true.
//! 4. `eval` walks that tree over borrowed inputs and counts its steps.
//!
//! Tests hold the language against the crate `cel`, which reads the same text.
//!
//! The module is pure: it knows neither the state nor the wire.

mod check;
mod clock;
mod eval;
mod fold;
mod functions;
mod lexer;
mod literal;
mod node;
mod operator;
mod parse;
mod pattern;
mod request_type;
mod text;
mod tree;
mod types;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use check::Checked;
use jiff::Timestamp;
use node::{Node, Variable};
pub use request_type::REQUEST_TYPES;
use text::Text;

/// Length of an expression at most, in bytes.
pub const MAX_BYTES: usize = 4096;
/// Nodes (names, literals, operators, calls) of an expression at most.
pub const MAX_NODES: usize = 500;
/// Nesting of an expression at most: of brackets, and of operators and calls in one another.
pub const MAX_NESTING: usize = 32;
/// Faults reported of one expression at most.
pub const MAX_FAULTS: usize = 20;
/// Steps of one evaluation at most. A node evaluated is one step; so is a stretch of text that is read or copied.
pub const MAX_STEPS: u32 = 10_000;

/// Where in an expression a fault is, both from 1. Columns count characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Something wrong in an expression: what, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where.
    pub position: Position,
    /// The fault and its remedy.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.position;
        write!(f, "line {line}, column {column}: {}", self.message)
    }
}

impl std::error::Error for Fault {}

/// A checked expression, cheap to clone.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    root: Node,
    names: BTreeSet<&'static str>,
    reads_usage: bool,
}

/// What an expression is evaluated over. Variables it does not name ([`Expression::names`]) may be left at their
/// default, which is empty.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// `model`: the model asked for.
    pub model: &'a str,
    /// `provider`: the provider asked for.
    pub provider: &'a str,
    /// `request_type`: the kind of the request.
    pub request_type: &'a str,
    /// `headers`: header values by name; names are lower case ([`str::to_lowercase`]).
    pub headers: &'a BTreeMap<String, String>,
    /// `params`: query parameters by name; names are lower case ([`str::to_lowercase`]).
    pub params: &'a BTreeMap<String, String>,
    /// `virtual_key_id`.
    pub virtual_key_id: &'a str,
    /// `virtual_key_name`.
    pub virtual_key_name: &'a str,
    /// `team_id`.
    pub team_id: &'a str,
    /// `team_name`.
    pub team_name: &'a str,
    /// `customer_id`.
    pub customer_id: &'a str,
    /// `customer_name`.
    pub customer_name: &'a str,
    /// `context_length`: how many input tokens are expected; 0 for unknown.
    pub context_length: i64,
    /// `stream`: whether a streamed answer is asked for.
    pub stream: bool,
    /// `now`: when the request is made.
    pub now: Timestamp,
    /// `budget_used`: percent of the budget that is spent.
    pub budget_used: f64,
    /// `tokens_used`: percent of the token limit that is used.
    pub tokens_used: f64,
    /// `request`: percent of the request limit that is used.
    pub request: f64,
}

impl Default for Inputs<'_> {
    fn default() -> Self {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        Self {
            model: "",
            provider: "",
            request_type: "",
            headers: &NONE,
            params: &NONE,
            virtual_key_id: "",
            virtual_key_name: "",
            team_id: "",
            team_name: "",
            customer_id: "",
            customer_name: "",
            context_length: 0,
            stream: false,
            now: Timestamp::UNIX_EPOCH,
            budget_used: 0.0,
            tokens_used: 0.0,
            request: 0.0,
        }
    }
}

impl Expression {
    /// Checks an expression, new or stored. An empty one is always true.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in the order of the text; at most [`MAX_FAULTS`] faults.
    pub fn compile(source: &str) -> Result<Self, Vec<Fault>> {
        let Checked { root, variables, objections: _ } = tree_of(source)?;
        let names: BTreeSet<_> = variables.into_iter().map(Variable::name).collect();
        let usage = [Variable::BudgetUsed, Variable::TokensUsed, Variable::Request];
        let reads_usage = usage.iter().any(|variable| names.contains(variable.name()));
        Ok(Self(Arc::new(Compiled { source: source.into(), root, names, reads_usage })))
    }

    /// Faults for which a new expression is refused, though stored ones may have them: comparisons that are never true, and
    /// patterns that RE2 does not take. In the order of the text; at most [`MAX_FAULTS`] of them.
    pub fn objections(&self) -> Vec<Fault> {
        let mut found = tree_of(self.source()).map_or_else(|faults| faults, |checked| checked.objections);
        if found.is_empty() && fold::never_true(&self.0.root) {
            let message = "the expression is never true, whatever is asked: change it, or disable the rule".to_owned();
            found.push(Fault { position: Position { line: 1, column: 1 }, message });
        }
        found
    }

    /// Whether the inputs match. Takes at most [`MAX_STEPS`] steps and never panics.
    ///
    /// # Errors
    ///
    /// Why the expression has no value for these inputs, such as a key that is not there. That is no match.
    pub fn matches(&self, inputs: &Inputs<'_>) -> Result<bool, String> {
        eval::matches(&self.0.root, inputs)
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The variables that the expression names.
    pub fn names(&self) -> &BTreeSet<&'static str> {
        &self.0.names
    }

    /// Whether the expression names usage: `budget_used`, `tokens_used` or `request`.
    pub fn reads_usage(&self) -> bool {
        self.0.reads_usage
    }
}

fn tree_of(source: &str) -> Result<Checked, Vec<Fault>> {
    let mut text = Text::new(source);
    let symbols = lexer::symbols(&mut text);
    if text.is_faulty() {
        return Err(text.into_faults());
    }
    if symbols.is_empty() {
        return Ok(Checked { root: Node::Bool(true), variables: BTreeSet::new(), objections: Vec::new() });
    }
    match parse::parse(&mut text, &symbols) {
        Some((terms, root)) => check::check(text, &symbols, &terms, root),
        None => Err(text.into_faults()),
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source()).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expression {}
