//! Symbols of the text, and what is refused before the parser sees it: what is too long or has too many operands, brackets that do
//! not match, and those that are nested too deeply, over which the parser recurses.

use super::text::Text;
use super::{MAX_BYTES, MAX_NESTING, MAX_NODES};

/// A symbol of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Symbol {
    pub(super) kind: Kind,
    /// Where it starts and ends, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Kinds of symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Operator,
}

/// Takes the text apart, and notes what is wrong with it. The parser may see the text if nothing is.
pub(super) fn symbols(text: &mut Text<'_>) -> Vec<Symbol> {
    if text.source.len() > MAX_BYTES {
        let length = text.source.len();
        let message =
            format!("the expression has {length} bytes, and at most {MAX_BYTES} are allowed: split it into rules");
        text.fault(0, message);
        return Vec::new();
    }
    let mut symbols = Vec::new();
    let mut at = 0;
    while let Some(symbol) = next(text, &mut at) {
        symbols.push(symbol);
    }
    limits(text, &symbols);
    symbols
}

/// The next symbol. What is wrong is noted and skipped.
fn next(text: &mut Text<'_>, at: &mut usize) -> Option<Symbol> {
    loop {
        let rest = text.source.get(*at..)?;
        let first = rest.chars().next()?;
        let start = *at;
        let (kind, length) = match first {
            ' ' | '\t' | '\r' | '\n' | '\u{c}' => (None, 1),
            '/' if rest.starts_with("//") => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' | '\'' => (Some(Kind::Text), string(text, start, 0)),
            _ if prefix(rest).is_some() => (Some(Kind::Text), prefixed(text, start, rest)),
            '0'..='9' => (Some(Kind::Number), number(text, start, rest)),
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                (Some(Kind::Number), number(text, start, rest))
            }
            'a'..='z' | 'A'..='Z' | '_' => (Some(Kind::Word), run(rest, |c| c.is_ascii_alphanumeric() || c == '_')),
            '(' | '[' | '{' => (Some(Kind::Open), 1),
            ')' | ']' | '}' => (Some(Kind::Close), 1),
            _ => (Some(Kind::Operator), operator(text, start, rest)),
        };
        *at += length;
        if let Some(kind) = kind {
            return Some(Symbol { kind, start, end: *at });
        }
    }
}

/// Bytes at the start of which all characters are such.
fn run(text: &str, such: impl Fn(char) -> bool) -> usize {
    text.find(|c| !such(c)).unwrap_or(text.len())
}

fn operator(text: &mut Text<'_>, start: usize, rest: &str) -> usize {
    const OPERATORS: [&str; 18] =
        ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ","];
    if let Some(operator) = OPERATORS.iter().find(|it| rest.starts_with(**it)) {
        return operator.len();
    }
    let first = rest.chars().next().unwrap_or_default();
    let message = match first {
        '=' => "`=` is no operator: write `==` to compare".to_owned(),
        '&' => "`&` is no operator: write `&&`".to_owned(),
        '|' => "`|` is no operator: write `||`".to_owned(),
        '`' => "names are not quoted: write `headers[\"x-team\"]` for a key that is no name".to_owned(),
        _ => format!("unexpected character {first:?}: text goes between double quotes"),
    };
    text.fault(start, message);
    first.len_utf8()
}

fn number(text: &mut Text<'_>, start: usize, rest: &str) -> usize {
    let hex = rest.strip_prefix("0x").map_or(0, |digits| run(digits, |c| c.is_ascii_hexdigit()));
    let mut length = if hex > 0 { 2 + hex } else { run(rest, |c| c.is_ascii_digit()) };
    let digits = |from: usize| rest.get(from..).map_or(0, |it| run(it, |c| c.is_ascii_digit()));
    if hex == 0 {
        if rest[length..].starts_with('.') && digits(length + 1) > 0 {
            length += 1 + digits(length + 1);
        }
        if rest[length..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
            if digits(length + 1 + sign) > 0 {
                length += 1 + sign + digits(length + 1 + sign);
            }
        }
    }
    if rest[length..].starts_with(['u', 'U']) {
        text.fault(start, "there are no unsigned numbers: leave out the `u`");
        length += 1;
    }
    length
}

/// The prefix of a string, raw or of bytes.
fn prefix(rest: &str) -> Option<&str> {
    let length = run(rest, |c| matches!(c, 'r' | 'R' | 'b' | 'B'));
    let prefix = rest.get(..length).filter(|it| (1..=2).contains(&it.len()))?;
    rest[length..].starts_with(['"', '\'']).then_some(prefix)
}

fn prefixed(text: &mut Text<'_>, start: usize, rest: &str) -> usize {
    let prefix = prefix(rest).unwrap_or_default();
    if !prefix.eq_ignore_ascii_case("r") {
        text.fault(start, "there are no bytes: write a string, without the prefix");
    }
    string(text, start, prefix.len())
}

/// The length of the string literal at `start`, with a prefix of that length.
fn string(text: &mut Text<'_>, start: usize, prefix: usize) -> usize {
    let literal = text.source.get(start + prefix..).unwrap_or_default();
    let quote = literal.get(..1).unwrap_or_default();
    let triple = quote.repeat(3);
    let long = literal.starts_with(&triple);
    let quote = if long { &triple } else { quote };
    let mut at = quote.len();
    while let Some(rest) = literal.get(at..).filter(|it| !it.is_empty()) {
        if rest.starts_with(quote) {
            return prefix + at + quote.len();
        }
        at += match rest.chars().next() {
            Some('\n' | '\r') if !long => break,
            Some('\\') if prefix == 0 => escape(text, start + at, rest),
            Some(other) => other.len_utf8(),
            None => break,
        };
    }
    text.fault(start, format!("the string is never closed: end it with {quote} on the same line"));
    // What follows was meant to be text, so nothing more is found in it.
    text.source.len() - start
}

/// The length of the escape that `rest` starts with.
fn escape(text: &mut Text<'_>, start: usize, rest: &str) -> usize {
    // At the end of the text, the string is not closed, which is noted for itself.
    let Some(kind) = rest[1..].chars().next() else { return 1 };
    let digits = match kind {
        'x' | 'X' => 2,
        'u' => 4,
        'U' => 8,
        '0'..='3' => {
            let octal = rest.get(1..4).is_some_and(|it| it.chars().all(|c| ('0'..='7').contains(&c)));
            if !octal {
                text.fault(start, "an octal escape has three digits, as in \\101");
            }
            return if octal { 4 } else { 2 };
        }
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => return 2,
        _ => {
            text.fault(start, "unknown escape: write `\\\\` for a backslash, or r\"…\" for text without escapes");
            return 1;
        }
    };
    let hex = rest.get(2..2 + digits).and_then(|it| u32::from_str_radix(it, 16).ok());
    if hex.and_then(char::from_u32).is_none() {
        text.fault(start, format!("\\{kind} takes the {digits} hexadecimal digits of a character"));
        return 2;
    }
    2 + digits
}

/// Notes which limits are exceeded, and which brackets do not match.
fn limits(text: &mut Text<'_>, symbols: &[Symbol]) {
    let (mut operands, mut deep) = (0, false);
    let mut open: Vec<Symbol> = Vec::new();
    for symbol in symbols {
        let written = text.source.get(symbol.start..symbol.end).unwrap_or_default();
        match symbol.kind {
            Kind::Word | Kind::Number | Kind::Text => {
                operands += 1;
                if operands == MAX_NODES + 1 {
                    text.fault(symbol.start, format!("more than {MAX_NODES} nodes: split the expression into rules"));
                }
            }
            Kind::Operator => {}
            Kind::Open => open.push(*symbol),
            Kind::Close => close(text, &mut open, symbol.start, written),
        }
        if open.len() > MAX_NESTING && !std::mem::replace(&mut deep, true) {
            text.fault(symbol.start, too_deep());
        }
    }
    for symbol in open {
        let bracket = text.source.get(symbol.start..symbol.end).unwrap_or_default();
        text.fault(symbol.start, format!("`{bracket}` is never closed: write `{}`", closing(bracket)));
    }
}

/// What is said of an expression that is nested too deeply.
pub(super) fn too_deep() -> String {
    format!("nested deeper than {MAX_NESTING}: split the expression into rules")
}

fn closing(bracket: &str) -> &'static str {
    match bracket {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}

fn close(text: &mut Text<'_>, open: &mut Vec<Symbol>, at: usize, written: &str) {
    let Some(last) = open.last() else {
        return text.fault(at, format!("`{written}` closes nothing: leave it out"));
    };
    let expected = closing(text.source.get(last.start..last.end).unwrap_or_default());
    if expected != written {
        text.fault(at, format!("`{written}` where `{expected}` is due"));
    }
    open.pop();
}
