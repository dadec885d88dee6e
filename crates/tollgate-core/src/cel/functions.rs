//! Functions and comprehensions.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::check::{Checker, Typed};
use super::clock::Part;
use super::node::{Fold, FoldKind, Node, Search, Target};
use super::pattern;
use super::tree::{Form, Id};
use super::types::Type;

/// What is said of a function that is not there.
const FUNCTIONS: &str = "startsWith, endsWith, contains, matches, size, has, int, double, string, timestamp, \
                         getFullYear, getMonth, getDayOfYear, getDayOfMonth, getDate, getDayOfWeek, getHours, \
                         getMinutes, getSeconds, getMilliseconds, all, exists, exists_one, map, filter";

/// The time zones that come with the program, so that a server and its nodes have the same.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// Memory that the patterns of one expression take at most, in bytes; they share it evenly.
const PATTERN_BYTES: usize = 1 << 20;
/// Memory that one pattern takes at most, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 18;

impl<'a> Checker<'a> {
    /// Checks a call of a function.
    pub(super) fn function(&mut self, tree: Id, target: Option<Id>, name: &str, arguments: &[Id]) -> Typed {
        match (name, target, arguments) {
            ("startsWith", Some(text), &[part]) => self.search(name, Search::StartsWith, text, part),
            ("endsWith", Some(text), &[part]) => self.search(name, Search::EndsWith, text, part),
            ("contains", Some(text), &[part]) => self.search(name, Search::Contains, text, part),
            ("matches", Some(text), &[pattern]) | ("matches", None, &[text, pattern]) => self.pattern(text, pattern),
            ("size", Some(operand), &[]) | ("size", None, &[operand]) => self.size(tree, operand),
            ("has", None, &[field]) => self.has(tree, field),
            ("int", None, &[operand]) => self.convert(tree, name, Target::Int, Type::Int, operand),
            ("double", None, &[operand]) => self.convert(tree, name, Target::Double, Type::Double, operand),
            ("string", None, &[operand]) => self.convert(tree, name, Target::String, Type::String, operand),
            ("all", Some(range), &[element, body]) => self.fold(tree, FoldKind::All, range, element, None, body),
            ("exists", Some(range), &[element, body]) => self.fold(tree, FoldKind::Exists, range, element, None, body),
            ("exists_one" | "existsOne", Some(range), &[element, body]) => {
                self.fold(tree, FoldKind::ExistsOne, range, element, None, body)
            }
            ("map", Some(range), &[element, body]) => self.fold(tree, FoldKind::Map, range, element, None, body),
            ("map", Some(range), &[element, filter, body]) => {
                self.fold(tree, FoldKind::Map, range, element, Some(filter), body)
            }
            ("filter", Some(range), &[element, filter]) => {
                self.fold(tree, FoldKind::Map, range, element, Some(filter), element)
            }
            ("timestamp", None, &[time]) => self.time(time),
            (_, Some(time), zone @ ([] | [_])) if let Some(part) = Part::named(name) => {
                self.clock(name, part, time, zone.first().copied())
            }
            _ => {
                let message = match usage(name) {
                    Some(usage) => format!("`{name}` is not called like that: write {usage}"),
                    None => format!("unknown function `{name}`; the functions are {FUNCTIONS}"),
                };
                self.refuse(tree, message)
            }
        }
    }

    /// Checks what must be a string.
    fn text(&mut self, taker: &str, tree: Id) -> Node {
        let (node, kind) = self.node(tree);
        if !kind.is(&Type::String) {
            self.refuse(tree, format!("`{taker}` takes string, not {kind}"));
        }
        node
    }

    fn search(&mut self, name: &str, search: Search, text: Id, part: Id) -> Typed {
        let operands = [self.text(name, text), self.text(name, part)];
        (Node::Search(search, Box::new(operands)), Type::Bool)
    }

    fn pattern(&mut self, text: Id, pattern: Id) -> Typed {
        let operand = self.text("matches", text);
        self.node(pattern);
        let Form::Text(written) = &self.terms[pattern].form else {
            self.refuse(pattern, "the pattern of `matches` is a string literal, so that it is compiled once");
            return (Node::Bool(false), Type::Bool);
        };
        // Memory is bounded for the expression: a pattern of few characters can take a lot of it.
        let patterns = self.count("matches");
        let limit = (PATTERN_BYTES / patterns.max(1)).min(MAX_PATTERN_BYTES);
        match pattern::compile(written, limit) {
            Ok((compiled, objections)) => {
                objections.into_iter().for_each(|objection| self.object(pattern, objection));
                (Node::Matches(Box::new(operand), Box::new(compiled)), Type::Bool)
            }
            Err(regex::Error::CompiledTooBig(_)) => {
                let message = format!("the pattern takes more than {limit} bytes of memory: repeat less in it");
                self.refuse(pattern, message);
                (Node::Bool(false), Type::Bool)
            }
            Err(error) => {
                // The error shows the pattern on lines of their own; what is wrong is on the last.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                self.refuse(pattern, format!("not a regular expression: {reason}"));
                (Node::Bool(false), Type::Bool)
            }
        }
    }

    /// Checks a time that is written out.
    fn time(&mut self, tree: Id) -> Typed {
        self.node(tree);
        match &self.terms[tree].form {
            Form::Text(written) => match written.parse::<Timestamp>() {
                Ok(at) => return (Node::Time(at), Type::Timestamp),
                Err(_) => self.refuse(tree, "not a time: write one as \"2026-01-31T12:00:00Z\""),
            },
            _ => self.refuse(tree, "`timestamp` takes a string literal, as \"2026-01-31T12:00:00Z\""),
        };
        (Node::Time(Timestamp::UNIX_EPOCH), Type::Timestamp)
    }

    /// Checks the choice of a part of a time.
    fn clock(&mut self, name: &str, part: Part, time: Id, zone: Option<Id>) -> Typed {
        let (node, kind) = self.node(time);
        if !kind.is(&Type::Timestamp) {
            self.refuse(time, format!("`{name}` takes a timestamp, as now.{name}(), not {kind}"));
        }
        let zone = zone.map_or(TimeZone::UTC, |zone| {
            self.node(zone);
            let found = match &self.terms[zone].form {
                Form::Text(written) => ZONES.get(written).ok(),
                _ => None,
            };
            found.unwrap_or_else(|| {
                self.refuse(zone, "not a time zone: write its IANA name as a string literal, as \"Europe/Berlin\"");
                TimeZone::UTC
            })
        });
        (Node::Clock(part, Box::new(node), zone), Type::Int)
    }

    fn size(&mut self, tree: Id, operand: Id) -> Typed {
        let (node, kind) = self.node(operand);
        match kind {
            Type::String | Type::List(_) | Type::Map(_) | Type::Any => (Node::Size(Box::new(node)), Type::Int),
            _ => self.refuse(tree, format!("`size` takes a string, a list or a map, not {kind}")),
        }
    }

    fn has(&mut self, tree: Id, field: Id) -> Typed {
        let Form::Field(operand, name) = self.terms[field].form else {
            return self.refuse(tree, "`has` takes a field, as in has(headers.team): write `\"x-team\" in headers`");
        };
        let (node, kind) = self.node(operand);
        if !matches!(kind, Type::Map(_) | Type::Any) {
            let message = format!("{kind} has no field `{name}`: only headers, params and maps have fields");
            self.refuse(field, message);
        }
        (Node::In(Box::new([Node::Text(name.into()), node])), Type::Bool)
    }

    fn convert(&mut self, tree: Id, name: &str, to: Target, kind: Type, operand: Id) -> Typed {
        let (node, from) = self.node(operand);
        if !from.is_number() && !from.is(&Type::String) {
            return self.refuse(tree, format!("`{name}` converts string, int and double, not {from}"));
        }
        (Node::Convert(to, Box::new(node)), kind)
    }

    fn fold(&mut self, tree: Id, kind: FoldKind, range: Id, element: Id, filter: Option<Id>, body: Id) -> Typed {
        if self.element.is_some() {
            return self.refuse(tree, "comprehensions do not nest: write one expression for each");
        }
        let (range, over) = self.node(range);
        let each = match over {
            Type::List(each) => *each,
            Type::Map(_) => Type::String,
            Type::Any => Type::Any,
            _ => return self.refuse(tree, format!("there is nothing to go through in {over}: take a list or a map")),
        };
        let Form::Name(name) = self.terms[element].form else {
            return self.refuse(element, "the first argument names the element, as in headers.exists(k, k == \"x\")");
        };
        self.element = Some((name, each));
        let taker = match kind {
            FoldKind::All => "all",
            FoldKind::Exists => "exists",
            FoldKind::ExistsOne => "exists_one",
            FoldKind::Map => "filter",
        };
        let filter = filter.map(|it| self.truth(taker, it));
        let (body, yields) = match kind {
            FoldKind::Map => {
                let (body, of) = self.node(body);
                (body, of.list())
            }
            _ => (self.truth(taker, body), Type::Bool),
        };
        self.element = None;
        (Node::Fold(Box::new(Fold { kind, range, filter, body })), yields)
    }

    /// How often a word is in the text.
    fn count(&self, word: &str) -> usize {
        self.symbols.iter().filter(|it| it.written == word).count()
    }
}

/// How a function is called.
fn usage(name: &str) -> Option<&'static str> {
    Some(match name {
        "startsWith" => "text.startsWith(\"part\")",
        "endsWith" => "text.endsWith(\"part\")",
        "contains" => "text.contains(\"part\")",
        "matches" => "text.matches(\"pattern\")",
        "size" => "size(it)",
        "has" => "has(headers.team)",
        "int" => "int(it)",
        "double" => "double(it)",
        "string" => "string(it)",
        "timestamp" => "timestamp(\"2026-01-31T12:00:00Z\")",
        _ if Part::named(name).is_some() => "now.getHours(\"Europe/Berlin\")",
        "all" => "headers.all(k, condition)",
        "exists" => "headers.exists(k, condition)",
        "exists_one" | "existsOne" => "headers.exists_one(k, condition)",
        "map" => "headers.map(k, value)",
        "filter" => "headers.filter(k, condition)",
        _ => return None,
    })
}
