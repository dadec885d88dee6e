//! From text to a checked tree.

use std::collections::BTreeSet;
use std::thread;

use cel::{Env, ParseError};

use super::Fault;
use super::check::check;
use super::lexer::{Symbol, symbols};
use super::node::{Node, Variable};
use super::text::Text;

/// Stack of the thread that parses: several times what the deepest text takes that the lexer lets pass.
const STACK_BYTES: usize = 16 << 20;

/// The tree of an expression, and the variables that it names.
pub(super) fn compile(source: &str) -> Result<(Node, BTreeSet<Variable>), Vec<Fault>> {
    let mut text = Text::new(source);
    let symbols = symbols(&mut text);
    if text.is_faulty() {
        return Err(text.into_faults());
    }
    if symbols.is_empty() {
        return Ok((Node::Bool(true), BTreeSet::new()));
    }
    // The stack of the caller is of unknown size, and the parser panics on some texts instead of refusing them.
    let compiled = thread::scope(|scope| {
        let parser = thread::Builder::new().name("cel".to_owned()).stack_size(STACK_BYTES);
        parser.spawn_scoped(scope, || parse(text, &symbols)).map(thread::ScopedJoinHandle::join)
    });
    match compiled {
        Ok(Ok(compiled)) => compiled,
        Ok(Err(_panic)) => Err(vec![Fault {
            position: None,
            message: "the expression cannot be read: write it in a simpler way".to_owned(),
        }]),
        Err(error) => Err(vec![Fault {
            position: None,
            message: format!("the expression was not checked, for want of a thread ({error}): try again"),
        }]),
    }
}

fn parse(mut text: Text<'_>, symbols: &[Symbol]) -> Result<(Node, BTreeSet<Variable>), Vec<Fault>> {
    // Without macros: `has`, `exists` and the like stay calls, as they are written, which is what is checked.
    let parser = Env::default().with_optional_support(false).parser();
    match parser.parse_with_source_info(text.source) {
        Ok((tree, places)) => check(text, symbols, &tree, &places),
        Err(errors) => {
            // The first error of syntax makes the parser find others, which are none.
            let syntax = errors.errors.iter().position(|it| it.msg.starts_with("Syntax error"));
            let reported = syntax.map_or(0..errors.errors.len(), |first| first..first + 1);
            for error in errors.errors.get(reported).unwrap_or_default() {
                let (line, column) = error.pos;
                let offset = text.offset(line.try_into().unwrap_or(0), column.try_into().unwrap_or(0));
                let message = message(&text, offset, error);
                text.fault(offset, message);
            }
            Err(text.into_faults())
        }
    }
}

/// What is said of an error of the parser. Its own words list every symbol of the grammar that might have followed.
fn message(text: &Text<'_>, offset: usize, error: &ParseError) -> String {
    let rest = text.source.get(offset..).unwrap_or_default();
    let word = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    match error.msg.as_str() {
        "invalid int literal" => "the number is too large: integers have 64 bits; write 1e30 for a double".to_owned(),
        "invalid double literal" => "the number is too large: doubles end at 1.8e308".to_owned(),
        message if message.starts_with("reserved identifier") => {
            format!("`{word}` is a reserved word: use another name")
        }
        message if message.starts_with("unsupported syntax") => {
            "there is no optional access: ask `\"key\" in headers` first".to_owned()
        }
        message if rest.is_empty() && message.starts_with("Syntax error") => {
            "the expression ends too early: an operand or a bracket is missing".to_owned()
        }
        message if message.starts_with("Syntax error") => {
            let found = if word.is_empty() { rest.get(..1).unwrap_or_default() } else { word };
            format!("unexpected `{found}`: an operator or an operand is missing before it, or it is left over")
        }
        message => format!("not an expression: {message}"),
    }
}
