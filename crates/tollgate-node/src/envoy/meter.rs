//! The meter of answers: it reads what an answer used as it goes by, and delays and keeps nothing of it.

use std::io::{self, Write};

use flate2::write::MultiGzDecoder;

use super::kind::Kind;
use super::scan::Scanner;
use super::tokens::Tokens;

/// What the head of an answer says of its body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) content_type: &'a str,
    pub(super) content_encoding: &'a str,
}

/// What was read of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Reading {
    pub(super) status: u16,
    /// The usage that it told.
    pub(super) tokens: Tokens,
    /// Bytes of its text so far; `None` if it is no stream, or cannot be read.
    pub(super) text: Option<i64>,
    /// Whether it came to its end.
    pub(super) is_whole: bool,
}

/// See the module.
pub(super) struct Meter {
    status: u16,
    body: Body,
    tokens: Tokens,
    is_whole: bool,
}

enum Body {
    Plain(Text),
    Gzip(Box<MultiGzDecoder<Text>>),
    /// In an encoding that is not known, or none at all of those that it should be in.
    Unreadable,
}

enum Text {
    Json(Scanner),
    Events(Events),
}

impl Meter {
    /// A meter of the answer to a request of this kind.
    pub(super) fn new(kind: Kind, head: Head<'_>) -> Self {
        let is = |text: &str, name: &str| text.trim().eq_ignore_ascii_case(name);
        let content_type = head.content_type.split(';').next().unwrap_or_default();
        let scanner = Scanner::new(kind.text_key());
        let text = if is(content_type, "text/event-stream") {
            Text::Events(Events::new(scanner))
        } else {
            Text::Json(scanner)
        };
        let body = match head.content_encoding {
            plain if is(plain, "") || is(plain, "identity") => Body::Plain(text),
            gzip if is(gzip, "gzip") || is(gzip, "x-gzip") => Body::Gzip(Box::new(MultiGzDecoder::new(text))),
            _ => Body::Unreadable,
        };
        Self { status: head.status, body, tokens: Tokens::default(), is_whole: false }
    }

    /// Reads the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        let read = match &mut self.body {
            Body::Plain(text) => text.write_all(piece),
            Body::Gzip(decoder) => decoder.write_all(piece).and_then(|()| decoder.flush()),
            Body::Unreadable => Ok(()),
        };
        if let Some(text) = self.body.text() {
            for usage in text.scanner().take_found() {
                self.tokens.note(Tokens::read(&usage));
            }
        }
        if read.is_err() {
            self.body = Body::Unreadable;
        }
    }

    /// Notes that the answer came to its end.
    pub(super) fn end(&mut self) {
        self.is_whole = true;
    }

    pub(super) fn reading(&mut self) -> Reading {
        let text = match self.body.text() {
            Some(Text::Events(events)) => Some(i64::try_from(events.scanner.text()).unwrap_or(i64::MAX)),
            Some(Text::Json(_)) | None => None,
        };
        Reading { status: self.status, tokens: self.tokens, text, is_whole: self.is_whole }
    }
}

impl Body {
    fn text(&mut self) -> Option<&mut Text> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Unreadable => None,
        }
    }
}

impl Text {
    fn scanner(&mut self) -> &mut Scanner {
        match self {
            Self::Json(scanner) => scanner,
            Self::Events(events) => &mut events.scanner,
        }
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Json(scanner) => scanner.write(bytes),
            Self::Events(events) => {
                events.feed(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader of server-sent events, whose data are JSON.
struct Events {
    scanner: Scanner,
    line: Line,
}

/// Where in a line the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// In the name of its field, of which so many bytes are those of `data:`.
    Name(usize),
    Data,
    /// In a field that is not read.
    Other,
}

const DATA: &[u8] = b"data:";

impl Events {
    const fn new(scanner: Scanner) -> Self {
        Self { scanner, line: Line::Name(0) }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.line {
                Line::Name(0) if byte == b'\n' => {
                    // The next event follows, also if this one was broken.
                    self.scanner.restart();
                    bytes = rest;
                }
                // Of the end of a line.
                Line::Name(0) if byte == b'\r' => bytes = rest,
                Line::Name(read) => {
                    self.line = match DATA.get(read) {
                        _ if byte == b'\n' => Line::Name(0),
                        Some(&next) if next == byte && read + 1 == DATA.len() => Line::Data,
                        Some(&next) if next == byte => Line::Name(read + 1),
                        _ => Line::Other,
                    };
                    bytes = rest;
                }
                Line::Data | Line::Other => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (read, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    if self.line == Line::Data {
                        self.scanner.feed(read);
                    }
                    if end.is_some() {
                        self.line = Line::Name(0);
                    }
                    bytes = rest.get(1..).unwrap_or_default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
