//! From symbols to a tree: a Pratt parser of CEL's grammar (<https://github.com/google/cel-spec/blob/master/doc/langdef.md>), without
//! messages, bytes, unsigned numbers and optional access. Macros stay calls, as they are written.
//!
//! It recurses over brackets, of which `lexer` lets [`MAX_NESTING`] stand in one another, and over the five precedences between two
//! of them. Chains of operators are loops, and the tree that they make is bounded in depth; so is what drops it.

use std::collections::BTreeSet;

use super::check::check;
use super::lexer::{Kind, Symbol, symbols, too_deep};
use super::node::{Arithmetic, Comparison, Node, Variable};
use super::text::Text;
use super::tree::{Binary, Expr, Tree, Unary};
use super::{Fault, MAX_NESTING};

/// Depth of a tree at most: more than what `check` lets pass, so that it is `check` that says where it is too deep.
const MAX_DEPTH: usize = 2 * MAX_NESTING;

/// Words that CEL keeps for itself and for the languages that it is embedded in. They may be fields.
const RESERVED: [&str; 17] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

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
    match (Parser { text: &mut text, source, symbols: &symbols, at: 0 }).whole() {
        Ok(tree) => check(text, &symbols, &tree),
        Err(Refused) => Err(text.into_faults()),
    }
}

/// The text is not of the grammar; the fault is noted. What comes after it says nothing.
struct Refused;

type Parsed<'a> = Result<Tree<'a>, Refused>;

struct Parser<'a, 't> {
    text: &'t mut Text<'a>,
    source: &'a str,
    symbols: &'t [Symbol],
    /// The next symbol.
    at: usize,
}

impl<'a> Parser<'a, '_> {
    fn whole(mut self) -> Parsed<'a> {
        let tree = self.expression()?;
        match self.peek() {
            None => Ok(tree),
            Some(_) => Err(self.unexpected()),
        }
    }

    fn peek(&self) -> Option<(Kind, &'a str)> {
        self.symbols.get(self.at).map(|it| (it.kind, self.written(*it)))
    }

    fn written(&self, symbol: Symbol) -> &'a str {
        self.source.get(symbol.start..symbol.end).unwrap_or_default()
    }

    /// Where the next symbol starts; at the end of the text if there is none.
    fn place(&self) -> usize {
        self.symbols.get(self.at).map_or(self.source.len(), |it| it.start)
    }

    /// Whether the next symbol is this operator or bracket; then it is taken.
    fn takes(&mut self, written: &str) -> bool {
        let is = self.is(self.at, written);
        self.at += usize::from(is);
        is
    }

    fn is(&self, at: usize, written: &str) -> bool {
        let signs = [Kind::Operator, Kind::Open, Kind::Close];
        self.symbols.get(at).is_some_and(|it| signs.contains(&it.kind) && self.written(*it) == written)
    }

    /// Takes what must come.
    fn expect(&mut self, written: &str) -> Result<(), Refused> {
        if self.takes(written) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn refuse(&mut self, at: usize, message: impl Into<String>) -> Refused {
        self.text.fault(at, message);
        Refused
    }

    /// The next symbol cannot be here.
    fn unexpected(&mut self) -> Refused {
        let Some((kind, written)) = self.peek() else {
            return self.refuse(self.place(), "the expression ends too early: an operand or a bracket is missing");
        };
        let found = if kind == Kind::Word { written } else { written.get(..1).unwrap_or_default() };
        let message =
            format!("unexpected `{found}`: an operator or an operand is missing before it, or it is left over");
        self.refuse(self.place(), message)
    }

    fn no_optionals(&mut self, at: usize) -> Refused {
        self.refuse(at, "there is no optional access: ask `\"key\" in headers` first")
    }

    /// A tree of these parts.
    fn tree(&mut self, at: usize, below: usize, expr: Expr<'a>) -> Parsed<'a> {
        let depth = below + 1;
        if depth > MAX_DEPTH {
            return Err(self.refuse(at, too_deep()));
        }
        Ok(Tree { at, depth, expr })
    }

    /// A conditional, or less. Conditionals lean to the right: `a ? b : c ? d : e`.
    fn expression(&mut self) -> Parsed<'a> {
        let mut choices = Vec::new();
        let mut last = self.binary(0)?;
        loop {
            let at = self.place();
            if !self.takes("?") {
                break;
            }
            let yes = self.binary(0)?;
            self.expect(":")?;
            choices.push((at, last, yes));
            last = self.binary(0)?;
        }
        while let Some((at, condition, yes)) = choices.pop() {
            let below = condition.depth.max(yes.depth).max(last.depth);
            last = self.tree(at, below, Expr::Choose(Box::new([condition, yes, last])))?;
        }
        Ok(last)
    }

    /// Operands with operators between them that bind at least as strongly as `least`. All lean to the left.
    fn binary(&mut self, least: u8) -> Parsed<'a> {
        let mut left = self.unary()?;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength >= least) {
            let at = self.place();
            self.at += 1;
            let right = self.binary(strength + 1)?;
            left = match operator {
                Binary::And | Binary::Or => self.chain(operator, strength, (left, at, right))?,
                _ => self.join(operator, at, left, right)?,
            };
        }
        Ok(left)
    }

    fn join(&mut self, operator: Binary, at: usize, left: Tree<'a>, right: Tree<'a>) -> Parsed<'a> {
        self.tree(at, left.depth.max(right.depth), Expr::Binary(operator, Box::new([left, right])))
    }

    /// All operands of a chain of `&&` or `||`, whose tree is balanced, so that hundreds are not hundreds deep. The order in which
    /// they are looked at makes no difference.
    fn chain(
        &mut self,
        operator: Binary,
        strength: u8,
        (first, at, second): (Tree<'a>, usize, Tree<'a>),
    ) -> Parsed<'a> {
        // Each with the place of the operator before it.
        let mut operands = vec![(at, first), (at, second)];
        while self.operator().is_some_and(|(next, _)| next == operator) {
            let at = self.place();
            self.at += 1;
            operands.push((at, self.binary(strength + 1)?));
        }
        while operands.len() > 1 {
            let mut joined = Vec::with_capacity(operands.len().div_ceil(2));
            let mut pairs = operands.into_iter();
            while let Some((before, left)) = pairs.next() {
                joined.push(match pairs.next() {
                    Some((at, right)) => (before, self.join(operator, at, left, right)?),
                    None => (before, left),
                });
            }
            operands = joined;
        }
        operands.pop().map(|(_, tree)| tree).ok_or(Refused)
    }

    /// The next symbol as an operator between operands, and how strongly it binds.
    fn operator(&self) -> Option<(Binary, u8)> {
        use Arithmetic as A;
        use Comparison as C;
        let arithmetic = |operator, strength| (Binary::Arithmetic(operator), strength);
        let compare = |operator| (Binary::Compare(operator), 2);
        Some(match self.peek()? {
            (Kind::Operator, "||") => (Binary::Or, 0),
            (Kind::Operator, "&&") => (Binary::And, 1),
            (Kind::Word, "in") => (Binary::In, 2),
            (Kind::Operator, "==") => compare(C::Equal),
            (Kind::Operator, "!=") => compare(C::NotEqual),
            (Kind::Operator, "<") => compare(C::Less),
            (Kind::Operator, "<=") => compare(C::LessOrEqual),
            (Kind::Operator, ">") => compare(C::Greater),
            (Kind::Operator, ">=") => compare(C::GreaterOrEqual),
            (Kind::Operator, "+") => arithmetic(A::Add, 3),
            (Kind::Operator, "-") => arithmetic(A::Subtract, 3),
            (Kind::Operator, "*") => arithmetic(A::Multiply, 4),
            (Kind::Operator, "/") => arithmetic(A::Divide, 4),
            (Kind::Operator, "%") => arithmetic(A::Modulo, 4),
            _ => return None,
        })
    }

    /// An operand with the `!` or `-` before it: any number of one of them, of which two undo each other.
    fn unary(&mut self) -> Parsed<'a> {
        let at = self.place();
        let (operator, times) = match self.repeated("!") {
            0 => (Unary::Negate, self.repeated("-")),
            times => (Unary::Not, times),
        };
        // The sign belongs to the number, so that the least integer can be written.
        let is_signed = operator == Unary::Negate && matches!(self.peek(), Some((Kind::Number, _)));
        let mut operand = self.member(is_signed && times % 2 == 1)?;
        let left = if is_signed { 0 } else { times.min(2 - times % 2) };
        for _ in 0..left {
            operand = self.tree(at, operand.depth, Expr::Unary(operator, Box::new(operand)))?;
        }
        Ok(operand)
    }

    fn repeated(&mut self, written: &str) -> usize {
        let from = self.at;
        while self.takes(written) {}
        self.at - from
    }

    /// An operand with what follows it: fields, calls and indexes.
    fn member(&mut self, is_negative: bool) -> Parsed<'a> {
        let mut operand = self.primary(is_negative)?;
        loop {
            let at = self.place();
            operand = if self.takes(".") {
                self.field(at, operand)?
            } else if self.takes("[") {
                if self.is(self.at, "?") {
                    return Err(self.no_optionals(at));
                }
                let key = self.expression()?;
                self.expect("]")?;
                let below = operand.depth.max(key.depth);
                self.tree(at, below, Expr::Index(Box::new([operand, key])))?
            } else if self.is(self.at, "{") && matches!(operand.expr, Expr::Name(_) | Expr::Field(..)) {
                return Err(self.refuse(at, "there are no messages: write a string, a number, a list or a map"));
            } else {
                return Ok(operand);
            };
        }
    }

    /// What follows the dot at `dot`: a field, or a call.
    fn field(&mut self, dot: usize, operand: Tree<'a>) -> Parsed<'a> {
        if self.is(self.at, "?") {
            return Err(self.no_optionals(dot));
        }
        let at = self.place();
        let name = match self.peek() {
            Some((Kind::Word, name)) if !is_keyword(name) => name,
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        if self.takes("(") {
            let arguments = self.list(")", false)?;
            let below = deepest(&arguments).max(operand.depth);
            return self.tree(at, below, Expr::Call(name, Some(Box::new(operand)), arguments));
        }
        self.tree(at, operand.depth, Expr::Field(Box::new(operand), name))
    }

    fn primary(&mut self, is_negative: bool) -> Parsed<'a> {
        let at = self.place();
        let Some((kind, written)) = self.peek() else { return Err(self.unexpected()) };
        self.at += 1;
        let expr = match (kind, written) {
            (Kind::Number, _) => self.number(at, written, is_negative)?,
            (Kind::Text, _) => Expr::Text(content(written)),
            (Kind::Word, "true") => Expr::Bool(true),
            (Kind::Word, "false") => Expr::Bool(false),
            (Kind::Word, "null") => Expr::Null,
            (Kind::Word, name) if !is_keyword(name) => return self.name(at, at),
            (Kind::Operator, ".") if matches!(self.peek(), Some((Kind::Word, name)) if !is_keyword(name)) => {
                let place = self.place();
                self.at += 1;
                return self.name(at, place);
            }
            (Kind::Open, "(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                return Ok(inner);
            }
            (Kind::Open, "[") => {
                let elements = self.list("]", true)?;
                return self.tree(at, deepest(&elements), Expr::List(elements));
            }
            (Kind::Open, "{") => return self.map(at),
            _ => {
                self.at -= 1;
                return Err(self.unexpected());
            }
        };
        self.tree(at, 0, expr)
    }

    /// A name, or a call of the function of that name. It was taken; it starts `from`, perhaps at a dot, and shows `at`.
    fn name(&mut self, from: usize, at: usize) -> Parsed<'a> {
        let end = self.at.checked_sub(1).and_then(|last| self.symbols.get(last)).map_or(at, |it| it.end);
        let name = self.source.get(from..end).unwrap_or_default();
        if RESERVED.contains(&name.trim_start_matches('.')) {
            return Err(self.refuse(at, format!("`{name}` is a reserved word: use another name")));
        }
        if self.takes("(") {
            let arguments = self.list(")", false)?;
            return self.tree(at, deepest(&arguments), Expr::Call(name, None, arguments));
        }
        self.tree(at, 0, Expr::Name(name))
    }

    /// What is separated by commas up to a bracket, which is taken. `trails`: whether a comma may end it.
    fn list(&mut self, close: &str, trails: bool) -> Result<Vec<Tree<'a>>, Refused> {
        let mut trees = Vec::new();
        if self.takes(close) {
            return Ok(trees);
        }
        loop {
            if trails && self.is(self.at, "?") {
                return Err(self.no_optionals(self.place()));
            }
            trees.push(self.expression()?);
            let goes_on = self.takes(",");
            if (!goes_on || trails) && self.takes(close) {
                return Ok(trees);
            }
            if !goes_on {
                return Err(self.unexpected());
            }
        }
    }

    fn map(&mut self, at: usize) -> Parsed<'a> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            if self.is(self.at, "?") {
                return Err(self.no_optionals(self.place()));
            }
            let key = self.expression()?;
            self.expect(":")?;
            entries.push([key, self.expression()?]);
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        let below = entries.iter().map(|entry| deepest(entry)).max().unwrap_or_default();
        self.tree(at, below, Expr::Map(entries))
    }

    fn number(&mut self, at: usize, written: &str, is_negative: bool) -> Result<Expr<'a>, Refused> {
        let sign = if is_negative { "-" } else { "" };
        let hex = written.strip_prefix("0x");
        if hex.is_none() && written.contains(['.', 'e', 'E']) {
            // What the lexer lets pass is a number to the standard library as well.
            let value: f64 = format!("{sign}{written}").parse().unwrap_or(f64::INFINITY);
            return match value.is_finite() {
                true => Ok(Expr::Double(value)),
                false => Err(self.refuse(at, "the number is too large: doubles end at 1.8e308")),
            };
        }
        let value = match hex {
            Some(digits) => i64::from_str_radix(&format!("{sign}{digits}"), 16),
            None => format!("{sign}{written}").parse(),
        };
        value
            .map(Expr::Int)
            .map_err(|_| self.refuse(at, "the number is too large: integers have 64 bits; write 1e30 for a double"))
    }
}

/// Words that are neither names nor fields.
fn is_keyword(word: &str) -> bool {
    ["true", "false", "null", "in"].contains(&word)
}

fn deepest(trees: &[Tree<'_>]) -> usize {
    trees.iter().map(|tree| tree.depth).max().unwrap_or_default()
}

/// The text of a string literal, which the lexer has found to be one.
fn content(literal: &str) -> String {
    let quoted = literal.trim_start_matches(['r', 'R']);
    let quotes = if quoted.len() >= 6 && (quoted.starts_with("\"\"\"") || quoted.starts_with("'''")) { 3 } else { 1 };
    let inner = quoted.get(quotes..quoted.len() - quotes).unwrap_or_default();
    if quoted.len() < literal.len() {
        return inner.to_owned();
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let kind = escape.chars().next().unwrap_or_default();
        let (digits, radix) = match kind {
            'x' | 'X' => (1..3, 16),
            'u' => (1..5, 16),
            'U' => (1..9, 16),
            '0'..='3' => (0..3, 8),
            _ => (0..0, 16),
        };
        let length = digits.end.max(kind.len_utf8());
        let code = escape.get(digits).and_then(|digits| u32::from_str_radix(digits, radix).ok());
        text.push(code.and_then(char::from_u32).unwrap_or(match kind {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            other => other,
        }));
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}
