//! Evaluation: a walk over the tree that counts its steps.
//!
//! Tests hold it against the evaluation of the crate `cel`, which could not be used: it cannot be stopped, copies what it
//! reads, and builds a context for every request.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::node::{Arithmetic, Comparison, Fold, FoldKind, Node, Search, Target};
use super::value::{Value, Words, order, to_double, to_int};
use super::{Inputs, MAX_STEPS};

/// Bytes of text read or copied that are one step.
const STEP_BYTES: usize = 64;
/// Bytes of text, times bytes of the pattern, that are one step of a search. A search is fast as a rule; but some patterns
/// make it visit every state at every byte, and states take bytes.
const SEARCH_STEP: usize = 1 << 16;

type Evaluated<'a> = Result<Value<'a>, String>;

/// Evaluates a tree that yields a bool.
pub(super) fn matches(root: &Node, inputs: &Inputs<'_>) -> Result<bool, String> {
    Walk { inputs, element: None, left: MAX_STEPS }.truth(root)
}

struct Walk<'a> {
    inputs: &'a Inputs<'a>,
    element: Option<Value<'a>>,
    /// Steps that are left.
    left: u32,
}

impl<'a> Walk<'a> {
    /// Takes steps. Once there are too few, every node fails, so that no operator makes the failure good.
    fn step(&mut self, steps: usize) -> Result<(), String> {
        self.left = u32::try_from(steps).map_or(0, |steps| self.left.saturating_sub(steps));
        if self.left == 0 { Err(format!("the evaluation takes more than {MAX_STEPS} steps")) } else { Ok(()) }
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, String> {
        match self.value(node)? {
            Value::Bool(it) => Ok(it),
            _ => Err(mistyped()),
        }
    }

    fn text(&mut self, node: &'a Node) -> Result<Words<'a>, String> {
        match self.value(node)? {
            Value::Text(it) => Ok(it),
            _ => Err(mistyped()),
        }
    }

    fn value(&mut self, node: &'a Node) -> Evaluated<'a> {
        self.step(1)?;
        Ok(match node {
            Node::Bool(it) => Value::Bool(*it),
            Node::Int(it) => Value::Int(*it),
            Node::Double(it) => Value::Double(*it),
            Node::Text(it) => Value::text(it),
            Node::Time(it) => Value::Time(*it),
            Node::Variable(variable) => Value::of(*variable, self.inputs),
            Node::Element => self.element.clone().ok_or_else(mistyped)?,
            Node::List(nodes) => {
                Value::List(nodes.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>()?.into())
            }
            Node::Map(entries) => self.map(entries)?,
            Node::Not(node) => Value::Bool(!self.truth(node)?),
            Node::Negate(node) => match self.value(node)? {
                Value::Int(it) => Value::Int(it.checked_neg().ok_or_else(overflow)?),
                Value::Double(it) => Value::Double(-it),
                _ => return Err(mistyped()),
            },
            // The result of one operand can make good the failure of another.
            Node::And(nodes) => Value::Bool(self.decide(nodes, false)?),
            Node::Or(nodes) => Value::Bool(self.decide(nodes, true)?),
            Node::Choose(nodes) => {
                let [condition, yes, no] = &**nodes;
                let chosen = if self.truth(condition)? { yes } else { no };
                self.value(chosen)?
            }
            Node::Arithmetic(operator, nodes) => {
                let (left, right) = (self.value(&nodes[0])?, self.value(&nodes[1])?);
                self.arithmetic(*operator, left, right)?
            }
            Node::Compare(comparison, nodes) => {
                let (left, right) = (self.value(&nodes[0])?, self.value(&nodes[1])?);
                Value::Bool(self.compare(*comparison, &left, &right)?)
            }
            Node::In(nodes) => Value::Bool(self.within(&nodes[0], &nodes[1])?),
            Node::Index(nodes) => self.index(&nodes[0], &nodes[1])?,
            Node::Size(node) => Value::Int(self.size(node)?),
            Node::Search(search, nodes) => {
                let (text, part) = (self.text(&nodes[0])?, self.text(&nodes[1])?);
                self.step((text.len() + part.len()) / STEP_BYTES)?;
                Value::Bool(match search {
                    Search::StartsWith => text.starts_with(&*part),
                    Search::EndsWith => text.ends_with(&*part),
                    Search::Contains => text.contains(&*part),
                })
            }
            Node::Matches(node, pattern) => {
                let text = self.text(node)?;
                self.step(text.len().saturating_mul(pattern.bytes) / SEARCH_STEP)?;
                Value::Bool(pattern.regex.is_match(&text))
            }
            Node::Convert(target, node) => {
                let value = self.value(node)?;
                self.convert(*target, value)?
            }
            Node::Clock(part, node, zone) => match self.value(node)? {
                Value::Time(at) => Value::Int(part.of(zone.to_datetime(at))),
                _ => return Err(mistyped()),
            },
            Node::Fold(fold) => self.fold(fold)?,
        })
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Evaluated<'a> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = self.text(key)?;
            self.step(key.len() / STEP_BYTES)?;
            let value = self.value(value)?;
            if let Some(_twice) = map.insert((*key).into(), value) {
                return Err("a map has a key twice".to_owned());
            }
        }
        Ok(Value::Map(map.into()))
    }

    /// `&&` and `||`: whether an operand yields what decides.
    fn decide(&mut self, nodes: &'a [Node], decisive: bool) -> Result<bool, String> {
        let mut decided = Ok(!decisive);
        for node in nodes {
            match self.truth(node) {
                Ok(it) if it == decisive => return Ok(decisive),
                Ok(_) => {}
                failure => decided = failure,
            }
        }
        decided
    }

    fn arithmetic(&mut self, operator: Arithmetic, left: Value<'a>, right: Value<'a>) -> Evaluated<'a> {
        use Arithmetic::{Add, Divide, Modulo, Multiply, Subtract};
        Ok(match (left, right) {
            (Value::Int(left), Value::Int(right)) => {
                if matches!(operator, Divide | Modulo) && right == 0 {
                    return Err("a division by zero".to_owned());
                }
                let result = match operator {
                    Add => left.checked_add(right),
                    Subtract => left.checked_sub(right),
                    Multiply => left.checked_mul(right),
                    Divide => left.checked_div(right),
                    Modulo => left.checked_rem(right),
                };
                Value::Int(result.ok_or_else(overflow)?)
            }
            (Value::Double(left), Value::Double(right)) => Value::Double(match operator {
                Add => left + right,
                Subtract => left - right,
                Multiply => left * right,
                Divide => left / right,
                Modulo => return Err(mistyped()),
            }),
            (Value::Text(left), Value::Text(right)) if operator == Add => {
                self.step((left.len() + right.len()) / STEP_BYTES)?;
                Value::made([&*left, &*right].concat())
            }
            (Value::List(left), Value::List(right)) if operator == Add => {
                self.step(left.len() + right.len())?;
                Value::List(left.iter().chain(right.iter()).cloned().collect())
            }
            _ => return Err(mistyped()),
        })
    }

    fn compare(&mut self, comparison: Comparison, left: &Value<'a>, right: &Value<'a>) -> Result<bool, String> {
        match comparison {
            Comparison::Equal => return self.equal(left, right),
            Comparison::NotEqual => return self.equal(left, right).map(|it| !it),
            _ => {}
        }
        self.read(left, right)?;
        let order = order(left, right).ok_or("a comparison of what has no order")?;
        Ok(match comparison {
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        })
    }

    /// Takes the steps of comparing two texts.
    fn read(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<(), String> {
        match (left, right) {
            (Value::Text(left), Value::Text(right)) => self.step(left.len().min(right.len()) / STEP_BYTES),
            _ => Ok(()),
        }
    }

    fn equal(&mut self, left: &Value<'a>, right: &Value<'a>) -> Result<bool, String> {
        match (left, right) {
            (Value::List(one), Value::List(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for (one, two) in one.iter().zip(two.iter()) {
                    self.step(1)?;
                    if !self.equal(one, two)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Map(_) | Value::Pairs(_), Value::Map(_) | Value::Pairs(_)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                self.step(left.len())?;
                for key in left.elements() {
                    let Value::Text(key) = key else { return Ok(false) };
                    let (Some(one), Some(two)) = (left.get(&key), right.get(&key)) else { return Ok(false) };
                    if !self.equal(&one, &two)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => {
                self.read(left, right)?;
                Ok(order(left, right) == Some(Ordering::Equal))
            }
        }
    }

    fn within(&mut self, element: &'a Node, container: &'a Node) -> Result<bool, String> {
        let element = self.value(element)?;
        // A list of literals, which is what mostly follows `in`, is gone through as it stands.
        if let Node::List(nodes) = container
            && nodes.iter().all(|it| matches!(it, Node::Text(_) | Node::Int(_) | Node::Double(_)))
        {
            for node in nodes {
                let other = self.value(node)?;
                if self.equal(&element, &other)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let container = self.value(container)?;
        match &container {
            Value::List(list) => {
                for other in list.iter() {
                    self.step(1)?;
                    if self.equal(&element, other)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            _ => match element {
                Value::Text(key) => {
                    self.step(key.len() / STEP_BYTES)?;
                    Ok(container.get(&key).is_some())
                }
                _ => Err(mistyped()),
            },
        }
    }

    fn index(&mut self, container: &'a Node, key: &'a Node) -> Evaluated<'a> {
        let container = self.value(container)?;
        match (&container, self.value(key)?) {
            (Value::List(list), Value::Int(at)) => {
                let found = usize::try_from(at).ok().and_then(|at| list.get(at)).cloned();
                found.ok_or_else(|| format!("no element {at}"))
            }
            (_, Value::Text(key)) => {
                self.step(key.len() / STEP_BYTES)?;
                container.get(&key).ok_or_else(|| format!("no key {}", shown(&key)))
            }
            _ => Err(mistyped()),
        }
    }

    fn size(&mut self, node: &'a Node) -> Result<i64, String> {
        let value = self.value(node)?;
        let size = match &value {
            Value::Text(text) => {
                self.step(text.len() / STEP_BYTES)?;
                text.chars().count()
            }
            _ => value.len(),
        };
        i64::try_from(size).map_err(|_| overflow())
    }

    fn convert(&mut self, target: Target, value: Value<'a>) -> Evaluated<'a> {
        if let Value::Text(text) = &value {
            self.step(text.len() / STEP_BYTES)?;
        }
        Ok(match (target, value) {
            (Target::Int, Value::Text(text)) => {
                Value::Int(text.parse().map_err(|_| format!("{} is no int", shown(&text)))?)
            }
            (Target::Double, Value::Text(text)) => {
                Value::Double(text.parse().map_err(|_| format!("{} is no double", shown(&text)))?)
            }
            (Target::Int, Value::Double(it)) => Value::Int(to_int(it).ok_or_else(overflow)?),
            (Target::Double, Value::Int(it)) => Value::Double(to_double(it)),
            (Target::String, Value::Int(it)) => Value::made(it.to_string()),
            (Target::String, Value::Double(it)) => {
                let text = it.to_string();
                self.step(text.len() / STEP_BYTES)?;
                Value::made(text)
            }
            (_, value) => value,
        })
    }

    fn fold(&mut self, fold: &'a Fold) -> Evaluated<'a> {
        let range = self.value(&fold.range)?;
        self.step(range.len())?;
        let mut mapped = Vec::new();
        let mut found = 0_usize;
        // In `all` and `exists`, an element that decides makes good the failure of another.
        let mut failure = None;
        for element in range.elements() {
            self.element = Some(element);
            if let Some(filter) = &fold.filter
                && !self.truth(filter)?
            {
                continue;
            }
            if fold.kind == FoldKind::Map {
                mapped.push(self.value(&fold.body)?);
                continue;
            }
            match (fold.kind, self.truth(&fold.body)) {
                (FoldKind::All, Ok(false)) => return Ok(Value::Bool(false)),
                (FoldKind::Exists, Ok(true)) => return Ok(Value::Bool(true)),
                (FoldKind::ExistsOne, Err(error)) => return Err(error),
                (_, Err(error)) if self.left == 0 => return Err(error),
                (_, Err(error)) => failure = Some(error),
                (_, Ok(met)) => found += usize::from(met),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        Ok(match fold.kind {
            FoldKind::All => Value::Bool(true),
            FoldKind::Exists => Value::Bool(false),
            FoldKind::ExistsOne => Value::Bool(found == 1),
            FoldKind::Map => Value::List(mapped.into()),
        })
    }
}

fn overflow() -> String {
    "a number overflows".to_owned()
}

/// What types are checked to exclude.
fn mistyped() -> String {
    "an operand of the wrong type".to_owned()
}

/// A text of the request, cut to what a message can hold.
fn shown(text: &str) -> String {
    const CHARACTERS: usize = 64;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
