//! Routing rules (`docs/design/semantics.md §7`).

use super::{Id, Provider, Scope, Struct};
use crate::cel::Expression;

/// A rule that sends requests to other providers and models.
#[derive(Clone, PartialEq, Debug)]
pub struct RoutingRule {
    /// Name, unique within the scope.
    pub name: Box<str>,
    /// For people; may be empty.
    pub description: Box<str>,
    /// Whether it is looked at.
    pub enabled: bool,
    /// When it matches.
    pub expression: Expression,
    /// Where a matching request goes; at least one.
    pub targets: Vec<RoutingTarget>,
    /// Where to turn if the target fails, in order.
    pub fallbacks: Vec<Fallback>,
    /// For whom it is.
    pub scope: Scope,
    /// Order within the scope, lower first; unique within it.
    pub priority: i32,
    /// Whether evaluation starts over with what it produced.
    pub chain_rule: bool,
    /// Free data of a rule editor.
    pub query: Option<Struct>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

/// One place where a matching request may go. What is `None` is kept from the request.
#[derive(Clone, PartialEq, Debug)]
pub struct RoutingTarget {
    /// The provider; there is one if there is a key.
    pub provider: Option<Id<Provider>>,
    /// The model.
    pub model: Option<Box<str>>,
    /// The provider key.
    pub key_id: Option<Box<str>>,
    /// Share of the requests: more than 0, finite.
    pub weight: f64,
}

/// Where to turn if a target fails.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fallback {
    /// The provider.
    pub provider: Id<Provider>,
    /// The model; empty: that of the request.
    pub model: Box<str>,
}
