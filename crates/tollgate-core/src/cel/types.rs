//! The types of expressions.

use std::fmt;

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    String,
    Timestamp,
    List(Box<Type>),
    /// A map; its keys are strings.
    Map(Box<Type>),
    /// Any type: of the elements of `[]`, and of what was refused already, so that it is not refused again.
    Any,
}

impl Type {
    /// A list of this.
    pub(super) fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    /// Whether this is that type, or may be.
    pub(super) fn is(&self, other: &Self) -> bool {
        *self == Self::Any || self == other
    }

    /// Whether this is a number, or may be.
    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Any)
    }

    /// The type of what may be this or that, unless they do not go together.
    pub(super) fn join(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, kind) | (kind, Self::Any) => Some(kind.clone()),
            (Self::List(one), Self::List(two)) => one.join(two).map(Self::list),
            (Self::Map(one), Self::Map(two)) => one.join(two).map(|it| Self::Map(Box::new(it))),
            _ => (self == other).then(|| self.clone()),
        }
    }

    /// Whether values of the two can be equal. Numbers of both kinds can.
    pub(super) fn equates(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(one), Self::List(two)) | (Self::Map(one), Self::Map(two)) => one.equates(two),
            _ => (self.is_number() && other.is_number()) || self.join(other).is_some(),
        }
    }

    /// Whether values of the two have an order.
    pub(super) fn orders(&self, other: &Self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
            && !matches!(other, Self::List(_) | Self::Map(_))
            && self.equates(other)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written(f, 2)
    }
}

impl Type {
    /// Writes so many levels of the type: a type may be as deep as the expression.
    fn written(&self, f: &mut fmt::Formatter<'_>, levels: u8) -> fmt::Result {
        let (opening, inner) = match self {
            Self::Bool => return f.write_str("bool"),
            Self::Int => return f.write_str("int"),
            Self::Double => return f.write_str("double"),
            Self::String => return f.write_str("string"),
            Self::Timestamp => return f.write_str("timestamp"),
            Self::Any => return f.write_str("any"),
            Self::List(element) => ("list(", element),
            Self::Map(value) => ("map(string, ", value),
        };
        f.write_str(opening)?;
        match levels.checked_sub(1) {
            Some(levels) => inner.written(f, levels)?,
            None => f.write_str("…")?,
        }
        f.write_str(")")
    }
}
