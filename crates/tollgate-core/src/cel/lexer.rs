//! Symbols of the text.

use super::MAX_BYTES;
use super::literal::escape;
use super::text::Text;

/// A symbol of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Symbol<'a> {
    pub(super) kind: Kind,
    /// Where it starts, in bytes.
    pub(super) start: usize,
    pub(super) written: &'a str,
}

impl Symbol<'_> {
    /// Whether it is a bracket that closes.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.written, ")" | "]" | "}")
    }
}

/// Kinds of symbols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    /// An operator, a bracket, a separator.
    Sign,
}

/// Takes the text apart, and notes what is wrong with it. The parser sees them if nothing is.
pub(super) fn symbols<'a>(text: &mut Text<'a>) -> Vec<Symbol<'a>> {
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
    symbols
}

/// The next symbol. What is wrong is noted and skipped.
fn next<'a>(text: &mut Text<'a>, at: &mut usize) -> Option<Symbol<'a>> {
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
            _ => (Some(Kind::Sign), sign(text, start, rest)),
        };
        *at += length;
        if let Some(kind) = kind {
            return Some(Symbol { kind, start, written: text.source.get(start..*at)? });
        }
    }
}

/// Bytes at the start of which all characters are such.
fn run(text: &str, such: impl Fn(char) -> bool) -> usize {
    text.find(|c| !such(c)).unwrap_or(text.len())
}

fn sign(text: &mut Text<'_>, start: usize, rest: &str) -> usize {
    const SIGNS: [&str; 24] = [
        "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")", "[",
        "]", "{", "}",
    ];
    if let Some(sign) = SIGNS.iter().find(|it| rest.starts_with(**it)) {
        return sign.len();
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
            Some('\\') if prefix == 0 => {
                let (length, value) = escape(rest);
                if let Err(message) = value {
                    text.fault(start + at, message);
                }
                length
            }
            Some(other) => other.len_utf8(),
            None => break,
        };
    }
    text.fault(start, format!("the string is never closed: end it with {quote} on the same line"));
    // What follows was meant to be text, so nothing more is found in it.
    text.source.len() - start
}
