//! The checked tree.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clock::Part;
use super::pattern::Pattern;
use super::types::Type;

/// A variable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Variable {
    Model,
    Provider,
    RequestType,
    Headers,
    Params,
    VirtualKeyId,
    VirtualKeyName,
    TeamId,
    TeamName,
    CustomerId,
    CustomerName,
    ContextLength,
    Stream,
    Now,
    BudgetUsed,
    TokensUsed,
    Request,
}

impl Variable {
    /// All variables, in the order in which messages list them.
    pub(super) const ALL: [Self; 17] = [
        Self::Model,
        Self::Provider,
        Self::RequestType,
        Self::Headers,
        Self::Params,
        Self::VirtualKeyId,
        Self::VirtualKeyName,
        Self::TeamId,
        Self::TeamName,
        Self::CustomerId,
        Self::CustomerName,
        Self::ContextLength,
        Self::Stream,
        Self::Now,
        Self::BudgetUsed,
        Self::TokensUsed,
        Self::Request,
    ];

    /// As expressions write it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::RequestType => "request_type",
            Self::Headers => "headers",
            Self::Params => "params",
            Self::VirtualKeyId => "virtual_key_id",
            Self::VirtualKeyName => "virtual_key_name",
            Self::TeamId => "team_id",
            Self::TeamName => "team_name",
            Self::CustomerId => "customer_id",
            Self::CustomerName => "customer_name",
            Self::ContextLength => "context_length",
            Self::Stream => "stream",
            Self::Now => "now",
            Self::BudgetUsed => "budget_used",
            Self::TokensUsed => "tokens_used",
            Self::Request => "request",
        }
    }

    /// The variable of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Its type.
    pub(super) fn kind(self) -> Type {
        match self {
            Self::Headers | Self::Params => Type::Map(Box::new(Type::String)),
            Self::BudgetUsed | Self::TokensUsed | Self::Request => Type::Double,
            Self::ContextLength => Type::Int,
            Self::Stream => Type::Bool,
            Self::Now => Type::Timestamp,
            Self::Model
            | Self::Provider
            | Self::RequestType
            | Self::VirtualKeyId
            | Self::VirtualKeyName
            | Self::TeamId
            | Self::TeamName
            | Self::CustomerId
            | Self::CustomerName => Type::String,
        }
    }
}

/// A node. Types are checked: an operand is what the operator takes.
#[derive(Debug)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Box<str>),
    Time(Timestamp),
    Variable(Variable),
    /// The element of the comprehension around. There is one at most, because comprehensions do not nest.
    Element,
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Choose(Box<[Node; 3]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Index(Box<[Node; 2]>),
    Size(Box<Node>),
    Search(Search, Box<[Node; 2]>),
    Matches(Box<Node>, Box<Pattern>),
    Convert(Target, Box<Node>),
    /// A part of a time, by the clocks of a time zone.
    Clock(Part, Box<Node>, TimeZone),
    Fold(Box<Fold>),
}

impl Node {
    /// Adds the variables that it reads.
    pub(super) fn variables(&self, read: &mut BTreeSet<Variable>) {
        match self {
            Self::Bool(_) | Self::Int(_) | Self::Double(_) | Self::Text(_) | Self::Time(_) | Self::Element => {}
            Self::Variable(variable) => drop(read.insert(*variable)),
            Self::List(nodes) | Self::And(nodes) | Self::Or(nodes) => {
                nodes.iter().for_each(|node| node.variables(read));
            }
            Self::Map(entries) => {
                entries.iter().flat_map(|(key, value)| [key, value]).for_each(|it| it.variables(read))
            }
            Self::Not(node)
            | Self::Negate(node)
            | Self::Size(node)
            | Self::Matches(node, _)
            | Self::Convert(_, node)
            | Self::Clock(_, node, _) => node.variables(read),
            Self::Choose(nodes) => nodes.iter().for_each(|node| node.variables(read)),
            Self::Arithmetic(_, nodes)
            | Self::Compare(_, nodes)
            | Self::In(nodes)
            | Self::Index(nodes)
            | Self::Search(_, nodes) => nodes.iter().for_each(|node| node.variables(read)),
            Self::Fold(fold) => {
                let Fold { kind: _, range, filter, body } = &**fold;
                [Some(range), filter.as_ref(), Some(body)].into_iter().flatten().for_each(|it| it.variables(read));
            }
        }
    }
}

/// An operator on numbers; `Add` also joins strings and lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A search of a string in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

/// What a conversion makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    Int,
    Double,
    String,
}

/// A comprehension.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) kind: FoldKind,
    /// What is gone through: the elements of a list, the keys of a map.
    pub(super) range: Node,
    /// What elements must meet, in `map` with three arguments and in `filter`.
    pub(super) filter: Option<Node>,
    /// What is done with an element.
    pub(super) body: Node,
}

/// Which comprehension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, and `filter` as the map of an element to itself.
    Map,
}
