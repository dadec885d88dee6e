//! The trees of the parser, held against those of the crate `cel` on text that is an expression and on text that nearly
//! is.
//!
//! Intended differences: a text without symbols, which is true here, is nothing to the crate. Refused here, because the
//! checker has no use for it, are numbers with a `u`, strings with a `b`, `null`, messages, and what is nested deeper than
//! [`MAX_NESTING`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue};
use proptest::prelude::*;

use super::oracle::{SYMBOLS, bool_expression};
use super::*;
use crate::cel::tree::{Form, Id, Term};

/// The tree of our parser, or what is wrong with the text.
fn ours(source: &str) -> Result<String, Vec<Fault>> {
    let mut text = Text::new(source);
    let symbols = lexer::symbols(&mut text);
    if text.is_faulty() {
        return Err(text.into_faults());
    }
    let tree = parse::parse(&mut text, &symbols);
    match tree {
        Some((terms, root)) if !text.is_faulty() => Ok(our_tree(&terms, root)),
        _ => Err(text.into_faults()),
    }
}

fn our_tree(terms: &[Term<'_>], id: Id) -> String {
    let tree = |id: &Id| our_tree(terms, *id);
    let trees = |ids: &[Id]| ids.iter().map(tree).collect::<Vec<_>>();
    match &terms[id].form {
        Form::Refused => panic!("a fault is noted"),
        Form::Bool(it) => it.to_string(),
        Form::Int(it) => it.to_string(),
        Form::Double(it) => format!("{it:?}"),
        Form::Text(it) => format!("{it:?}"),
        Form::Name(name) => our_name(name),
        Form::List(elements) => node("list", &trees(elements)),
        Form::Map(entries) => {
            node("map", &entries.iter().flat_map(|(key, it)| [tree(key), tree(it)]).collect::<Vec<_>>())
        }
        Form::Not(it) => node("!_", &[tree(it)]),
        Form::Negate(it) => node("-_", &[tree(it)]),
        Form::And(operands) => chain("_&&_", trees(operands)),
        Form::Or(operands) => chain("_||_", trees(operands)),
        Form::Choose(operands) => node("_?_:_", &trees(operands)),
        Form::Binary(_, "in", operands) => node("@in", &trees(operands)),
        Form::Binary(_, written, operands) => node(&format!("_{written}_"), &trees(operands)),
        Form::Field(it, field) => node("field", &[tree(it), (*field).to_owned()]),
        Form::Index(operands) => node("_[_]", &trees(operands)),
        Form::Call { target, name, arguments } => {
            let target = target.as_ref().map_or("nothing".to_owned(), tree);
            node(&format!("call {}", our_name(name)), &[vec![target], trees(arguments)].concat())
        }
    }
}

/// A name without the space that may be after the dot that begins it.
fn our_name(name: &str) -> String {
    let word = name.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    if name.starts_with('.') { format!(".{word}") } else { name.to_owned() }
}

/// The tree of the crate's parser, unless it refuses the text or panics on it.
fn theirs(source: &str) -> Option<String> {
    static ENV: LazyLock<cel::Env> = LazyLock::new(|| cel::Env::default().with_optional_support(false));
    catch_unwind(AssertUnwindSafe(|| ENV.parser().parse(source).ok().map(|it| their_tree(&it)))).ok().flatten()
}

fn their_tree(tree: &IdedExpr) -> String {
    let trees = |them: &[IdedExpr]| them.iter().map(their_tree).collect::<Vec<_>>();
    match &tree.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(it) => it.inner().to_string(),
            LiteralValue::Int(it) => it.inner().to_string(),
            LiteralValue::Double(it) => format!("{:?}", it.inner()),
            LiteralValue::String(it) => format!("{:?}", it.inner()),
            LiteralValue::Bytes(_) | LiteralValue::UInt(_) | LiteralValue::Null => ONLY_THEIRS.to_owned(),
        },
        Expr::Ident(name) => name.clone(),
        Expr::Call(call) => match call.func_name.as_str() {
            name @ ("_&&_" | "_||_") => chain(name, trees(&call.args)),
            name if name.contains(['_', '@', '!', '-']) && call.target.is_none() && !is_word(name) => {
                node(name, &trees(&call.args))
            }
            name => {
                let target = call.target.as_ref().map_or("nothing".to_owned(), |it| their_tree(it));
                node(&format!("call {name}"), &[vec![target], trees(&call.args)].concat())
            }
        },
        Expr::Select(select) => node("field", &[their_tree(&select.operand), select.field.clone()]),
        Expr::List(list) => node("list", &trees(&list.elements)),
        Expr::Map(map) => {
            let entry = |entry: &EntryExpr| match entry {
                EntryExpr::MapEntry(it) => [their_tree(&it.key), their_tree(&it.value)],
                EntryExpr::StructField(_) => [ONLY_THEIRS.to_owned(), String::new()],
            };
            node("map", &map.entries.iter().flat_map(|it| entry(&it.expr)).collect::<Vec<_>>())
        }
        Expr::Struct(_) => ONLY_THEIRS.to_owned(),
        Expr::Comprehension(_) | Expr::Unspecified => panic!("no macro is expanded: {tree:?}"),
    }
}

/// Stands for what the crate's grammar has beyond ours.
const ONLY_THEIRS: &str = "\0";

fn is_word(name: &str) -> bool {
    // Operators have names such as `_+_` and `@in`; that of the index, `_[_]`, too has a sign.
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

fn node(name: &str, operands: &[String]) -> String {
    format!("({name} {})", operands.join(" "))
}

/// A chain however it is balanced: operands that are such chains themselves are joined to it.
fn chain(name: &str, operands: Vec<String>) -> String {
    let begin = format!("({name} ");
    let flat = |it: String| match it.strip_prefix(&begin).and_then(|it| it.strip_suffix(')')) {
        Some(inner) => inner.to_owned(),
        None => it,
    };
    node(name, &operands.into_iter().map(flat).collect::<Vec<_>>())
}

fn agrees(source: &str) -> Result<(), TestCaseError> {
    // The crate recurses over what is deep and wide; what is that deep is held to bounds elsewhere.
    if source.matches(['(', '[', '{', '?', ':', '.', '+', '*', '/', '%', '<', '>', '=']).count() > 200 {
        return Ok(());
    }
    match (ours(source), theirs(source)) {
        (Ok(ours), Some(theirs)) => prop_assert_eq!(ours, theirs, "{:?}", source),
        (Err(_), None) => {}
        (Ok(_), None) if is_empty(source) => {}
        (Ok(ours), None) => prop_assert!(false, "only we take {source:?}, as {ours}"),
        (Err(faults), Some(theirs)) => {
            let refused = ["unsigned numbers", "no bytes", "nothing is null", "no messages", "deeper"];
            let intended = faults.iter().all(|it| refused.iter().any(|part| it.message.contains(part)));
            // The crate takes a reserved word for the name of a message.
            let intended = intended || theirs.contains(ONLY_THEIRS);
            prop_assert!(intended || is_empty(source), "only the crate takes {source:?}, as {theirs}: {faults:?}");
        }
    }
    Ok(())
}

/// Whether there is no symbol, which means true to us and nothing to the crate.
fn is_empty(source: &str) -> bool {
    lexer::symbols(&mut Text::new(source)).is_empty()
}

/// The text with one part replaced by another.
fn mutated(source: &str, at: usize, length: usize, by: &str) -> String {
    let characters: Vec<char> = source.chars().collect();
    let at = at % (characters.len() + 1);
    let end = (at + length).min(characters.len());
    characters[..at].iter().copied().chain(by.chars()).chain(characters[end..].iter().copied()).collect()
}

/// What is put into texts: symbols, and characters that are part of symbols.
fn replacement() -> impl Strategy<Value = String> {
    const SPECIAL: [&str; 44] = [
        "",
        "",
        " ",
        "\n",
        "\r",
        "//",
        "\\",
        "\\n",
        "\\x41",
        "\\u00e9",
        "\\101",
        "\"",
        "'",
        "\"\"\"",
        "'''",
        "r'",
        "r\"",
        "R'''",
        "b'",
        "0x",
        "0x1F",
        "e",
        "1e3",
        ".5",
        "u",
        "--",
        "!!",
        "- 1",
        "!-1",
        "-9223372036854775808",
        "[,]",
        ",]",
        ",}",
        ",)",
        "{'a': 1,}",
        ".",
        "?",
        "[?",
        ".?",
        "for",
        ".in",
        "null",
        "==",
        " ? 1 : 2",
    ];
    prop_oneof![
        prop::sample::select(&SPECIAL[..]).prop_map(str::to_owned),
        prop::sample::select(&SYMBOLS[..]).prop_map(|it| format!(" {it} ")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_are_read_alike(source in bool_expression()) {
        agrees(&source)?;
    }

    #[test]
    fn mutated_expressions_are_read_alike(
        source in bool_expression(),
        edits in prop::collection::vec((any::<usize>(), 0_usize..4, replacement()), 1..4),
    ) {
        let source = edits.iter().fold(source, |source, (at, length, by)| mutated(&source, *at, *length, by));
        agrees(&source)?;
    }

    #[test]
    fn rows_of_symbols_are_read_alike(symbols in prop::collection::vec(replacement(), 0..12)) {
        agrees(&symbols.concat())?;
    }

    /// Operators without brackets, which is where precedence shows.
    #[test]
    fn operators_bind_alike(
        first in operand(),
        rest in prop::collection::vec((prop::sample::select(&OPERATORS[..]), operand()), 1..12),
    ) {
        let rest: Vec<String> = rest.iter().map(|(operator, operand)| format!("{operator}{operand}")).collect();
        agrees(&format!("{first}{}", rest.concat()))?;
    }
}

const OPERATORS: [&str; 17] =
    ["||", "&&", "==", "!=", "<", "<=", ">", ">=", " in ", "+", "-", "*", "/", "%", " ? ", " : ", " ? a : "];

fn operand() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "a", "1", "-1", "- b", "!c", "!!d", ".e", ". f", ".h(1)", "--e", "a.b", "a[0]", "f(x)", "a.g(1)", "-a.b",
            "!a[1]",
        ][..],
    )
}

#[test]
fn strings_are_read_alike() {
    for source in [
        "''",
        "\"\"",
        "''''''",
        "\"\"\"\"\"\"",
        "r''",
        "R\"\\\"",
        "r'''a\r\nb\rc'''",
        "'''a\r\nb\rc\\r\\n'''",
        "'''it's'''",
        "\"\"\"a \"quoted\" word\"\"\"",
        "'\\a\\b\\f\\n\\r\\t\\v\\\\\\?\\\"\\'\\`'",
        "'\\x41\\X4a\\u00e9\\U0001F600\\101\\377'",
        "'\\0'",
        "'\\08'",
        "'\\400'",
        "'\\xg1'",
        "'\\u+123'",
        "'\\U+0001f60'",
        "'\\ud800'",
        "'\\U00110000'",
        "'\\d'",
        "'a\nb'",
        "'a",
        "'''a''",
        "'''a''''",
        "rr'a'",
        "rb'a'",
        "'\\\n'",
        "'é😀'",
        "'''\\''''",
        "r'\\d'",
        "'\u{0}'",
    ] {
        agrees(source).unwrap();
    }
}

#[test]
fn numbers_are_read_alike() {
    for source in [
        "0",
        "007",
        "0x0",
        "0x7fffffffffffffff",
        "0x8000000000000000",
        "-0x8000000000000000",
        "0X10",
        "0xg",
        "1.",
        "1.5",
        ".5",
        "-.5",
        "1..5",
        "1.5.5",
        "1e5",
        "1E+5",
        "1.5e-5",
        "1e",
        "1e+",
        "1e999",
        "-1e999",
        "1e-999",
        "-0.0",
        "1.e5",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "- 1",
        "--1",
        "---1",
        "!-1",
        "!--1",
        "1 - -1",
        "1--1",
        "a-1",
        "a -1",
        "(-1).b",
        "-1.b()",
        "1a",
        "1 2",
    ] {
        agrees(source).unwrap();
    }
}
