//! The values of literals.

use super::tree::Form;

/// The value of a number, or why it has none.
pub(super) fn number(written: &str, negative: bool) -> Result<Form<'static>, &'static str> {
    let sign = if negative { "-" } else { "" };
    let (digits, radix) = written.strip_prefix("0x").map_or((written, 10), |digits| (digits, 16));
    if radix == 16 || digits.bytes().all(|it| it.is_ascii_digit()) {
        return match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
            Ok(it) => Ok(Form::Int(it)),
            Err(_) => Err("the number is too large: integers have 64 bits; write 1e30 for a double"),
        };
    }
    match format!("{sign}{digits}").parse::<f64>() {
        Ok(it) if it.is_finite() => Ok(Form::Double(it)),
        _ => Err("the number is too large: doubles end at 1.8e308"),
    }
}

/// The value of a string literal that the lexer let pass.
pub(super) fn text(written: &str) -> String {
    let literal = written.trim_start_matches(['r', 'R']);
    let raw = literal.len() < written.len();
    let quote = literal.get(..1).unwrap_or_default();
    let length = if literal.len() >= 6 && literal.starts_with(&quote.repeat(3)) { 3 } else { 1 };
    let mut rest = literal.get(length..literal.len() - length).unwrap_or_default();
    let mut text = String::with_capacity(rest.len());
    while let Some(first) = rest.chars().next() {
        let (length, value) = match first {
            '\\' if !raw => {
                let (length, value) = escape(rest);
                (length, value.unwrap_or(first))
            }
            // The end of a line is one character, whatever editor wrote it.
            '\r' => (if rest.starts_with("\r\n") { 2 } else { 1 }, '\n'),
            _ => (first.len_utf8(), first),
        };
        text.push(value);
        rest = rest.get(length..).unwrap_or_default();
    }
    text
}

/// The length of the escape that the text starts with, and the character that it stands for or what is wrong with it.
pub(super) fn escape(text: &str) -> (usize, Result<char, String>) {
    let Some(kind) = text.get(1..).and_then(|it| it.chars().next()) else {
        // The string is not closed, which is noted for itself.
        return (1, Ok('\\'));
    };
    let simple = match kind {
        'x' | 'X' => return hexadecimal(text, kind, 2),
        'u' => return hexadecimal(text, kind, 4),
        'U' => return hexadecimal(text, kind, 8),
        '0'..='3' => {
            let digits = text.get(1..4).filter(|it| it.bytes().all(|it| matches!(it, b'0'..=b'7')));
            let value = digits.and_then(|it| u32::from_str_radix(it, 8).ok()).and_then(char::from_u32);
            return match value {
                Some(value) => (4, Ok(value)),
                None => (2, Err("an octal escape has three digits, as in \\101".to_owned())),
            };
        }
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '"' | '\'' | '\\' | '?' | '`' => kind,
        _ => {
            let message = "unknown escape: write `\\\\` for a backslash, or r\"…\" for text without escapes";
            return (1, Err(message.to_owned()));
        }
    };
    (2, Ok(simple))
}

fn hexadecimal(text: &str, kind: char, digits: usize) -> (usize, Result<char, String>) {
    let written = text.get(2..2 + digits).filter(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
    match written.and_then(|it| u32::from_str_radix(it, 16).ok()).and_then(char::from_u32) {
        Some(value) => (2 + digits, Ok(value)),
        None => (2, Err(format!("\\{kind} takes the {digits} hexadecimal digits of a character"))),
    }
}
