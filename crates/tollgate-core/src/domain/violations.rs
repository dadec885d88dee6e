//! Everything that is wrong with a request, at once, each with its path as the client wrote it.

use std::fmt::{self, Write as _};

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The field, as `virtual_key.provider_configs[0].weight`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub description: String,
}

/// All that is wrong so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(&mut self, field: impl fmt::Display, description: impl Into<String>) {
        self.0.push(Violation { field: field.to_string(), description: description.into() });
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Violation> {
        self.0.iter()
    }

    /// Keeps those of which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&Violation) -> bool) {
        self.0.retain(keep);
    }

    /// Takes over those of `other`.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// `Ok(value)` if nothing is wrong.
    ///
    /// # Errors
    /// All violations otherwise.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

/// A path to a field, kept on the stack and written only when something is wrong.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The path of a field of the request.
    pub const fn root(field: &'a str) -> Self {
        Self { parent: None, step: Step::Field(field) }
    }

    /// The path of a field of this message.
    pub const fn field(&'a self, field: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Field(field) }
    }

    /// The path of an element of this list.
    pub const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }

    /// The path of an entry of this map.
    pub const fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Field(field) if self.parent.is_some() => write!(f, ".{field}"),
            Step::Field(field) => f.write_str(field),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                f.write_str("[\"")?;
                for character in key.chars().take(64) {
                    f.write_char(if character.is_control() { '\u{fffd}' } else { character })?;
                }
                f.write_str("\"]")
            }
        }
    }
}
