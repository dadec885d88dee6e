//! YAML (and so JSON) as trees whose nodes know their lines.

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

/// How deep lists and mappings may nest. Free data of the API may be 16 levels deep.
const MAX_DEPTH: usize = 40;

/// A value with the line where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// As it is written, since the reader knows of which type it is to be.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The line of the name.
    pub(super) line: usize,
    pub(super) node: Node,
}

/// Why a text is not read: a line, and a sentence for people.
#[derive(PartialEq, Debug)]
pub(super) struct Malformed {
    pub(super) line: usize,
    pub(super) text: String,
}

impl Value {
    /// The type, for people.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl Node {
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.name == name),
            _ => None,
        }
    }

    /// The value as JSON. A number that JSON has not is a text.
    pub(super) fn json(self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(flag),
            Value::Number(text) => match serde_json::from_str(&text) {
                Ok(number @ Json::Number(_)) => number,
                _ => text.parse().ok().and_then(serde_json::Number::from_f64).map_or(Json::String(text), Json::Number),
            },
            Value::Text(text) => Json::String(text),
            Value::List(items) => Json::Array(items.into_iter().map(Self::json).collect()),
            Value::Map(entries) => entries.into_iter().map(|entry| (entry.name, entry.node.json())).collect(),
        }
    }

    /// The line of what `path` names, as `budgets[0].max_limit`, or of the innermost part of the way there that exists.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let (mut node, mut line) = (self, self.line);
        for step in path.split('.') {
            let (name, indexes) = step.split_once('[').unwrap_or((step, ""));
            match node.entry(name) {
                Some(entry) => (node, line) = (&entry.node, entry.line),
                None => return line,
            }
            for index in indexes.split(['[', ']']).filter(|index| !index.is_empty()) {
                let item = match &node.value {
                    Value::List(items) => index.parse().ok().and_then(|index: usize| items.get(index)),
                    Value::Map(_) => node.entry(index.trim_matches('"')).map(|entry| &entry.node),
                    _ => None,
                };
                match item {
                    Some(item) => (node, line) = (item, item.line),
                    None => return line,
                }
            }
        }
        line
    }
}

/// The documents of a text, without those that are empty.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    let mut reader = Reader { parser: Parser::new_from_str(text) };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::StreamEnd | Event::Nothing => {}
            event => {
                let node = reader.node(event, span, 0)?;
                if node.value != Value::Null {
                    documents.push(node);
                }
            }
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Malformed> {
        let malformed = |error: saphyr_parser::ScanError| Malformed {
            line: error.marker().line(),
            text: format!("is no YAML: {}", error.info()),
        };
        self.parser.next_event().transpose().map_err(malformed)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Malformed> {
        let line = span.start.line();
        let refuse = |text: &str| Err(Malformed { line, text: text.to_owned() });
        if depth > MAX_DEPTH {
            return refuse(&format!("is nested deeper than {MAX_DEPTH} levels"));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            Event::Alias(_) => (1, false),
            _ => (0, false),
        };
        // A few lines with aliases of aliases can stand for gigabytes.
        if anchor > 0 {
            return refuse(
                "has an anchor or an alias (`&`, `*`), which are not read; write the value out, or quote a text",
            );
        }
        if tag {
            return refuse("has a tag (`!`), which is not read; leave it out, or quote a text");
        }
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(&text, style),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some((event, span)) = self.next()? {
                    if event == Event::SequenceEnd {
                        break;
                    }
                    items.push(self.node(event, span, depth + 1)?);
                }
                Value::List(items)
            }
            Event::MappingStart(..) => Value::Map(self.entries(depth)?),
            _ => Value::Null,
        };
        Ok(Node { line, value })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Malformed> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some((event, span)) = self.next()? {
            let name = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                _ => {
                    let text = "has a name that is no plain text".to_owned();
                    return Err(Malformed { line: span.start.line(), text });
                }
            };
            let line = span.start.line();
            if !seen.insert(name.clone()) {
                return Err(Malformed { line, text: format!("has {name:?} twice; leave one out") });
            }
            let Some((event, span)) = self.next()? else { break };
            let node = self.node(event, span, depth + 1)?;
            entries.push(Entry { name, line, node });
        }
        Ok(entries)
    }
}

/// A scalar by the core schema of YAML 1.2, so that `yes`, `on` and `1_000` are texts.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        text if is_number(text) => Value::Number(text.to_owned()),
        text => Value::Text(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    text.len() - digits.len() <= 1
        && digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && text.parse::<f64>().is_ok()
}
