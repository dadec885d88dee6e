//! Values while an expression is evaluated.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;

use jiff::Timestamp;

use super::Inputs;
use super::node::Variable;

/// A value. Cloning one copies no list, no map and no text, so that it costs the same whatever its size.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Words<'a>),
    Time(Timestamp),
    List(Rc<[Value<'a>]>),
    Map(Rc<BTreeMap<Rc<str>, Value<'a>>>),
    /// Headers or parameters.
    Pairs(&'a BTreeMap<String, String>),
}

/// A text: of the request or the expression, or one that was made.
#[derive(Clone, Debug)]
pub(super) enum Words<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

impl Deref for Words<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> Value<'a> {
    /// The value of a variable.
    pub(super) fn of(variable: Variable, inputs: &'a Inputs<'a>) -> Self {
        match variable {
            Variable::Model => Self::text(inputs.model),
            Variable::Provider => Self::text(inputs.provider),
            Variable::RequestType => Self::text(inputs.request_type),
            Variable::Headers => Self::Pairs(inputs.headers),
            Variable::Params => Self::Pairs(inputs.params),
            Variable::VirtualKeyId => Self::text(inputs.virtual_key_id),
            Variable::VirtualKeyName => Self::text(inputs.virtual_key_name),
            Variable::TeamId => Self::text(inputs.team_id),
            Variable::TeamName => Self::text(inputs.team_name),
            Variable::CustomerId => Self::text(inputs.customer_id),
            Variable::CustomerName => Self::text(inputs.customer_name),
            Variable::ContextLength => Self::Int(inputs.context_length),
            Variable::Stream => Self::Bool(inputs.stream),
            Variable::Now => Self::Time(inputs.now),
            Variable::BudgetUsed => Self::Double(inputs.budget_used),
            Variable::TokensUsed => Self::Double(inputs.tokens_used),
            Variable::Request => Self::Double(inputs.request),
        }
    }

    /// A text that was made.
    pub(super) fn made(text: String) -> Self {
        Self::Text(Words::Made(text.into()))
    }

    /// A text that is there already.
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Words::Borrowed(text))
    }

    /// The value of a key, in a map. The keys of headers and parameters have no case.
    pub(super) fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Map(map) => map.get(key).cloned(),
            Self::Pairs(pairs) if key.chars().all(|c| c.is_ascii() && !c.is_ascii_uppercase()) => {
                pairs.get(key).map(|it| Self::text(it))
            }
            Self::Pairs(pairs) => pairs.get(&key.to_lowercase()).map(|it| Self::text(it)),
            _ => None,
        }
    }

    /// How many elements or entries there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Pairs(pairs) => pairs.len(),
            _ => 0,
        }
    }

    /// What a comprehension goes through: elements, or keys.
    pub(super) fn elements(&self) -> Vec<Value<'a>> {
        match self {
            Self::List(list) => list.to_vec(),
            Self::Map(map) => map.keys().map(|it| Self::Text(Words::Made(Rc::clone(it)))).collect(),
            Self::Pairs(pairs) => pairs.keys().map(|it| Self::text(it)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The order of two values; none of NaN, and of values that have no order.
pub(super) fn order(one: &Value<'_>, two: &Value<'_>) -> Option<Ordering> {
    match (one, two) {
        (Value::Int(one), Value::Int(two)) => Some(one.cmp(two)),
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        (Value::Text(one), Value::Text(two)) => Some((**one).cmp(&**two)),
        (Value::Time(one), Value::Time(two)) => Some(one.cmp(two)),
        _ => number(one)?.partial_cmp(&number(two)?),
    }
}

/// A number as a double: the language compares an int with a double that way.
fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Int(it) => Some(to_double(*it)),
        Value::Double(it) => Some(*it),
        _ => None,
    }
}

/// The nearest double.
#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
pub(super) fn to_double(it: i64) -> f64 {
    it as f64
}

/// The integer part, if it has 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the fraction is to go, and the range is checked")]
pub(super) fn to_int(it: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    (it > -END && it < END).then_some(it as i64)
}
