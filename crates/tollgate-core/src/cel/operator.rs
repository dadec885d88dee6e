//! Operators between operands, and how tightly they bind. Those that bind alike are read from the left.

use super::node::{Arithmetic, Comparison};
use super::tree::Binary;

/// How tightly the conditional binds, which is less than all other operators do.
pub(super) const CONDITIONAL: u8 = 1;

/// What an operator between operands makes of them.
pub(super) enum Infix {
    Choose,
    And,
    Or,
    Binary(Binary),
}

/// The operator, and how tightly it binds.
pub(super) fn infix(written: &str) -> Option<(u8, Infix)> {
    let arithmetic = |it| Infix::Binary(Binary::Arithmetic(it));
    let compare = |it| Infix::Binary(Binary::Compare(it));
    Some(match written {
        "?" => (CONDITIONAL, Infix::Choose),
        "||" => (2, Infix::Or),
        "&&" => (3, Infix::And),
        "==" => (4, compare(Comparison::Equal)),
        "!=" => (4, compare(Comparison::NotEqual)),
        "<" => (4, compare(Comparison::Less)),
        "<=" => (4, compare(Comparison::LessOrEqual)),
        ">" => (4, compare(Comparison::Greater)),
        ">=" => (4, compare(Comparison::GreaterOrEqual)),
        "in" => (4, Infix::Binary(Binary::In)),
        "+" => (5, arithmetic(Arithmetic::Add)),
        "-" => (5, arithmetic(Arithmetic::Subtract)),
        "*" => (6, arithmetic(Arithmetic::Multiply)),
        "/" => (6, arithmetic(Arithmetic::Divide)),
        "%" => (6, arithmetic(Arithmetic::Modulo)),
        _ => return None,
    })
}
