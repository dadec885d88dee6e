//! A reader of JSON that comes in pieces: it picks out the usage that an answer tells and counts the text in it, whatever
//! the pieces are, and keeps nothing else.

use std::io;

/// The deepest nesting that is followed.
const DEEPEST: u32 = 128;
/// The longest key that is compared with another.
const LONGEST_KEY: usize = 16;
/// The longest usage that is read.
const LONGEST_USAGE: usize = 64 << 10;
/// The members of an event that hold the answer, and so its usage.
const ANSWERS: [&[u8]; 2] = [b"response", b"message"];

/// See the module. After a value another one may follow.
pub(super) struct Scanner {
    /// The key under which text is counted.
    text_key: &'static str,
    /// Bytes of text under that key.
    text: u64,
    /// Usage that was found and not yet taken.
    found: Vec<serde_json::Value>,
    depth: u32,
    /// For each depth, whether it is an object: its lowest bit is that of the present depth.
    objects: u128,
    place: Place,
    key: Vec<u8>,
    /// Whether the member of the outermost object that is being read holds an answer.
    in_answer: bool,
    /// The depth of the member that is being read and whose text is counted.
    counting: Option<u32>,
    usage: Usage,
}

/// Where in a value the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of text. A key comes next if it is in an object and before a colon.
    Between {
        is_key_next: bool,
    },
    Text {
        is_key: bool,
        is_escaped: bool,
    },
    /// No JSON, or deeper than is followed.
    Lost,
}

/// The usage that is being read.
enum Usage {
    None,
    /// Its key was read.
    Next,
    /// Its object, and the depth that this stands in.
    Reading(Vec<u8>, u32),
}

impl Scanner {
    pub(super) fn new(text_key: &'static str) -> Self {
        Self {
            text_key,
            text: 0,
            found: Vec::new(),
            depth: 0,
            objects: 0,
            place: Place::Between { is_key_next: false },
            key: Vec::with_capacity(LONGEST_KEY),
            in_answer: false,
            counting: None,
            usage: Usage::None,
        }
    }

    /// Begins with another value, whatever the one before lacks.
    pub(super) fn restart(&mut self) {
        (self.depth, self.objects, self.place) = (0, 0, Place::Between { is_key_next: false });
        (self.in_answer, self.counting, self.usage) = (false, None, Usage::None);
    }

    /// Bytes of text so far.
    pub(super) const fn text(&self) -> u64 {
        self.text
    }

    /// The usage that was found since this was asked last.
    pub(super) fn take_found(&mut self) -> impl Iterator<Item = serde_json::Value> + '_ {
        self.found.drain(..)
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.next(byte);
        }
    }

    fn next(&mut self, byte: u8) {
        if let Usage::Reading(read, _) = &mut self.usage {
            if read.len() < LONGEST_USAGE {
                read.push(byte);
            } else {
                self.usage = Usage::None;
            }
        }
        match self.place {
            Place::Lost => {}
            Place::Text { is_key, is_escaped } => {
                let is_over = byte == b'"' && !is_escaped;
                if is_over {
                    self.place = Place::Between { is_key_next: false };
                } else {
                    self.place = Place::Text { is_key, is_escaped: byte == b'\\' && !is_escaped };
                    if is_key && self.key.len() < LONGEST_KEY {
                        self.key.push(byte);
                    } else if !is_key && self.counting.is_some() && byte != b'\\' {
                        self.text += 1;
                    }
                }
            }
            Place::Between { is_key_next } => self.between(byte, is_key_next),
        }
    }

    fn between(&mut self, byte: u8, is_key_next: bool) {
        let is_space = byte.is_ascii_whitespace();
        if matches!(self.usage, Usage::Next) && !is_space && byte != b':' {
            self.usage = if byte == b'{' { Usage::Reading(vec![byte], self.depth) } else { Usage::None };
        }
        match byte {
            b'"' => {
                if is_key_next {
                    self.key.clear();
                }
                self.place = Place::Text { is_key: is_key_next, is_escaped: false };
            }
            b':' if self.is_in_object() => self.begin_member(),
            b'{' | b'[' => {
                if self.depth == DEEPEST {
                    self.place = Place::Lost;
                    return;
                }
                self.depth += 1;
                self.objects = self.objects << 1 | u128::from(byte == b'{');
                self.place = Place::Between { is_key_next: byte == b'{' };
            }
            b'}' | b']' => {
                self.end_member();
                if self.depth == 0 {
                    self.place = Place::Lost;
                    return;
                }
                self.depth -= 1;
                self.objects >>= 1;
                self.place = Place::Between { is_key_next: false };
                self.end_usage();
            }
            b',' => {
                self.end_member();
                self.place = Place::Between { is_key_next: self.is_in_object() };
            }
            _ => {}
        }
    }

    const fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// The value of a key comes next.
    fn begin_member(&mut self) {
        if self.depth == 1 {
            self.in_answer = ANSWERS.contains(&self.key.as_slice());
        }
        let is_of_answer = self.depth == 1 || (self.depth == 2 && self.in_answer);
        if self.key == b"usage" && is_of_answer {
            self.usage = Usage::Next;
        }
        if self.counting.is_none() && self.key == self.text_key.as_bytes() {
            self.counting = Some(self.depth);
        }
    }

    fn end_member(&mut self) {
        if self.counting == Some(self.depth) {
            self.counting = None;
        }
    }

    /// If the object that has just ended is the usage, takes it.
    fn end_usage(&mut self) {
        if matches!(&self.usage, Usage::Reading(_, depth) if *depth == self.depth)
            && let Usage::Reading(read, _) = std::mem::replace(&mut self.usage, Usage::None)
        {
            self.found.extend(serde_json::from_slice::<serde_json::Value>(&read));
        }
    }
}

/// As the end of a decoder.
impl io::Write for Scanner {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.feed(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scanned(text: &str, length: usize) -> (Vec<serde_json::Value>, u64) {
        let mut scanner = Scanner::new("delta");
        for piece in text.as_bytes().chunks(length) {
            scanner.feed(piece);
        }
        let found = scanner.take_found().collect();
        (found, scanner.text())
    }

    #[test]
    fn usage_is_found_where_answers_have_it_and_nowhere_else() {
        let one = vec![json!({"input_tokens": 3, "details": {"usage": [1, {}]}})];
        let usage = r#"{"input_tokens": 3, "details": {"usage": [1, {}]}}"#;
        let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
        let deeper = format!("{}{}", "[".repeat(128), "]".repeat(128));
        for (text, found) in [
            (format!(r#"{{"usage":{usage}}}"#), true),
            (format!(r#" {{"a" : [1, "x\"}}", {{"b":null}}] , "usage" : {usage} , "z":0 }}"#), true),
            (format!(r#"{{"type":"response.completed","response":{{"output":[],"usage":{usage}}}}}"#), true),
            (format!(r#"{{"type":"message_start","message":{{"usage":{usage}}}}}"#), true),
            (format!(r#"{{"a":{deep},"usage":{usage}}}"#), true),
            (format!(r#"{{"usage":null}}{{"usage":{usage}}}"#), true),
            (format!(r#"{{"a":{deeper},"usage":{usage}}}"#), false),
            (format!(r#"{{"choices":[{{"usage":{usage}}}]}}"#), false),
            (format!(r#"{{"other":{{"usage":{usage}}}}}"#), false),
            (format!(r#"{{"response":1,"other":{{"usage":{usage}}}}}"#), false),
            (format!(r#"["usage",{usage}]"#), false),
            (format!(r#"{{"content":"\"usage\":{}"}}"#, usage.replace('"', "\\\"")), false),
            (format!(r#"}}{{"usage":{usage}}}"#), false),
            (r#"{"usage":"none","a":{"b":1}}"#.to_owned(), false),
            (format!(r#"{{"usage":{{"a":"{}"}}}}"#, "x".repeat(LONGEST_USAGE)), false),
        ] {
            for length in [1, 2, 3, 7, 64, text.len()] {
                let expected = if found { one.clone() } else { Vec::new() };
                assert_eq!(scanned(&text, length).0, expected, "{text:.200} in pieces of {length}");
            }
        }
    }

    #[test]
    fn text_is_counted_under_its_key_alone() {
        for (text, count) in [
            (r#"{"choices":[{"index":0,"delta":{"content":"12345"},"logprobs":"no"}],"id":"no"}"#, 5),
            (r#"{"type":"response.output_text.delta","delta":"12\n45","item_id":"no"}"#, 5),
            (r#"{"delta":{"delta":"12"},"x":"no"}{"delta":["1",["2"]],"y":["no"]}"#, 4),
            (r#"{"text":"no","a":["delta","no"]}"#, 0),
        ] {
            for length in [1, 2, 5, text.len()] {
                assert_eq!(scanned(text, length).1, count, "{text} in pieces of {length}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_no_usage_and_the_next_value_is_read_again() {
        let mut scanner = Scanner::new("delta");
        scanner.feed(br#"{"a":"no end {"usage":{"#);
        scanner.restart();
        scanner.feed(br#"{"usage":{"a":1}}"#);
        assert_eq!(scanner.take_found().collect::<Vec<_>>(), [json!({"a": 1})]);
    }
}
