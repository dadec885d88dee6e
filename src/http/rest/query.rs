//! The parameters of requests.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, Kind, Value};

use super::operations::{Act, Operation};
use super::shapes::choices;
use crate::domain::{Path, Violations};

/// The rows that may be left out of a list. Lists are read from their beginning, so more would be read for nothing.
pub(crate) const MAX_OFFSET: usize = 10_000;
/// The rows of a page that does not say how many.
const DEFAULT_LIMIT: usize = 25;
/// The rows of the largest page.
pub(crate) const MAX_LIMIT: usize = 1_000;

/// The rows of a list that are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Range {
    /// Their number; all if there is none.
    pub(super) limit: Option<usize>,
    /// The number of rows that are left out before them.
    pub(super) offset: usize,
}

/// Puts the parameters of a query into the request of a method, and tells which rows are asked for.
pub(super) fn read(
    operation: &Operation,
    query: &str,
    request: &mut DynamicMessage,
    violations: &mut Violations,
) -> Range {
    let mut range = Range::default();
    let known: Vec<&str> = parameters(operation).collect();
    let mut given: Vec<Cow<'_, str>> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let shown: String = name.chars().filter(|it| !it.is_control()).take(64).collect();
        let path = Path::root(&shown);
        if violations.iter().len() > 100 {
            break;
        }
        if !known.contains(&&*name) {
            let text = match known.as_slice() {
                [] => "is no parameter; there are none here".to_owned(),
                known => format!("is no parameter; the parameters are {}", known.join(", ")),
            };
            violations.add(path, text);
            continue;
        }
        if given.contains(&name) {
            violations.add(path, "is given twice");
            continue;
        }
        match &*name {
            "limit" => range.limit = number(&value, usize::MAX, &path, violations),
            "offset" => range.offset = number(&value, MAX_OFFSET, &path, violations).unwrap_or_default(),
            _ => field(&name, &value, request, &path, violations),
        }
        given.push(name);
    }
    range.limit = range.limit.map(|limit| if limit == 0 { DEFAULT_LIMIT } else { limit.min(MAX_LIMIT) });
    range
}

/// The parameters of an operation, but for that in its path.
pub(crate) fn parameters(operation: &Operation) -> impl Iterator<Item = &'static str> {
    let (own, filters): (&[&str], &[&'static str]) = match operation.act {
        Act::List(filters) => (&["limit", "offset", "from_memory"], filters),
        Act::Get => (&["from_memory"], &[]),
        Act::Create | Act::Update | Act::Delete | Act::Quota => (&[], &[]),
    };
    let own: Vec<&'static str> = ["limit", "offset", "from_memory"].into_iter().filter(|it| own.contains(it)).collect();
    own.into_iter().chain(filters.iter().copied())
}

fn number(text: &str, max: usize, path: &Path<'_>, violations: &mut Violations) -> Option<usize> {
    let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number {
        violations.add(path, "is no number of at least 0");
        return None;
    }
    // More than there is room for is more than any limit.
    let number = text.parse().unwrap_or(usize::MAX);
    if number > max {
        violations.add(path, format!("is {text}; must be at most {max}"));
        return None;
    }
    Some(number)
}

fn field(name: &str, text: &str, request: &mut DynamicMessage, path: &Path<'_>, violations: &mut Violations) {
    let Some(field) = prost_reflect::ReflectMessage::descriptor(request).get_field_by_name(name) else { return };
    let value = match field.kind() {
        Kind::Bool => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => {
                violations.add(path, "must be true or false");
                None
            }
        },
        Kind::Enum(of) => {
            let found = choices(&of).find(|(name, _)| name == text);
            if found.is_none() {
                let known = choices(&of).map(|(name, _)| name).collect::<Vec<_>>().join(", ");
                violations.add(path, format!("must be one of {known}"));
            }
            found.map(|(_, number)| Value::EnumNumber(number))
        }
        _ => Some(Value::String(text.to_owned())),
    };
    if let Some(value) = value {
        request.set_field(&field, value);
    }
}
