//! From symbols to a tree, by how tightly operators bind: a Pratt parser.
//!
//! It recurses into brackets and into what operators have on their right. Both are counted and stop at
//! [`MAX_NESTING`], so that the stack it takes is bounded whatever the text is.

use super::MAX_NESTING;
use super::lexer::{Kind, Symbol};
use super::literal;
use super::operator::{CONDITIONAL, Infix, infix};
use super::text::Text;
use super::tree::{Form, Id, Term};

/// Words that the language keeps for itself: no names of variables or functions.
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

/// Whether a word is no name, not even one of a field.
fn is_keyword(word: &str) -> bool {
    matches!(word, "in" | "true" | "false" | "null")
}

/// What is said of an expression that is nested too deeply.
pub(super) fn too_deep() -> String {
    format!("nested deeper than {MAX_NESTING}: split the expression into rules")
}

/// The terms of an expression, and which of them is the whole. At the first error of syntax, it is noted, and there is
/// no tree.
pub(super) fn parse<'a>(text: &mut Text<'a>, symbols: &[Symbol<'a>]) -> Option<(Vec<Term<'a>>, Id)> {
    let mut parser = Parser { text, symbols, at: 0, terms: Vec::new(), brackets: 0, nesting: 0 };
    let root = parser.expression(0)?;
    match parser.peek() {
        None => Some((parser.terms, root)),
        Some(it) if it.is_closing() => {
            parser.text.fault(it.start, format!("`{}` closes nothing: leave it out", it.written));
            None
        }
        Some(_) => parser.unexpected(LEFT_OVER),
    }
}

const OPERAND: &str = "an operand is missing before it";
const LEFT_OVER: &str = "an operator is missing before it, or it is left over";

struct Parser<'t, 'a> {
    text: &'t mut Text<'a>,
    symbols: &'t [Symbol<'a>],
    /// Which symbol is next.
    at: usize,
    terms: Vec<Term<'a>>,
    /// Brackets that are open.
    brackets: usize,
    /// Terms around what is read now.
    nesting: usize,
}

impl<'a> Parser<'_, 'a> {
    /// Reads operands with the operators between them that bind tighter than `above`.
    fn expression(&mut self, above: u8) -> Option<Id> {
        let mut left = self.unary()?;
        while let Some(symbol) = self.peek()
            && let Some((power, infix)) = infix(symbol.written)
            && power > above
        {
            self.at += 1;
            left = match infix {
                Infix::Choose => self.choice(symbol, left)?,
                Infix::And => {
                    let operands = self.chain(symbol, power, left)?;
                    self.term(symbol, Form::And(operands))
                }
                Infix::Or => {
                    let operands = self.chain(symbol, power, left)?;
                    self.term(symbol, Form::Or(operands))
                }
                Infix::Binary(operator) => {
                    let right = self.nested(power)?;
                    self.term(symbol, Form::Binary(operator, symbol.written, [left, right]))
                }
            };
        }
        Some(left)
    }

    /// Reads an expression that is part of a term.
    fn nested(&mut self, above: u8) -> Option<Id> {
        if self.nesting + 1 == MAX_NESTING {
            let place = self.peek().map_or(self.text.source.len(), |it| it.start);
            self.text.fault(place, too_deep());
            return None;
        }
        self.nesting += 1;
        let read = self.expression(above);
        self.nesting -= 1;
        read
    }

    /// Reads the operands of a chain of one operator, which is one term however long it is.
    fn chain(&mut self, operator: Symbol<'a>, power: u8, first: Id) -> Option<Vec<Id>> {
        let mut operands = vec![first, self.nested(power)?];
        while self.take(operator.written) {
            operands.push(self.nested(power)?);
        }
        Some(operands)
    }

    fn choice(&mut self, mark: Symbol<'a>, condition: Id) -> Option<Id> {
        let yes = self.nested(CONDITIONAL)?;
        if let Some(inner) = self.peek().filter(|it| it.written == "?") {
            self.text.fault(inner.start, "`?` between `?` and `:`: put the conditional that is inside in brackets");
            return None;
        }
        self.end(mark, ":")?;
        let no = self.nested(0)?;
        Some(self.term(mark, Form::Choose([condition, yes, no])))
    }

    /// Reads an operand with the operators before it.
    fn unary(&mut self) -> Option<Id> {
        let Some(operator) = self.peek().filter(|it| matches!(it.written, "!" | "-")) else { return self.member() };
        let rest = self.symbols.get(self.at..).unwrap_or_default();
        let run = rest.iter().take_while(|it| it.written == operator.written).count();
        if run == 1 && self.is_negative_number() {
            return self.member();
        }
        self.at += run;
        let operand = self.member()?;
        // Two of them are none.
        Some(match operator.written {
            _ if run % 2 == 0 => operand,
            "!" => self.term(operator, Form::Not(operand)),
            _ => self.term(operator, Form::Negate(operand)),
        })
    }

    /// Reads an operand with the fields, elements and calls after it.
    fn member(&mut self) -> Option<Id> {
        let mut operand = self.primary()?;
        while let Some(symbol) = self.peek() {
            operand = match symbol.written {
                "." => self.field(symbol, operand)?,
                "[" => {
                    let key = self.bracketed(symbol, |it| {
                        it.refuse_optional(symbol.start);
                        it.nested(0)
                    })?;
                    self.term(symbol, Form::Index([operand, key]))
                }
                "{" if self.is_path(operand) => {
                    let message = "there are no messages: write a string, a number, a list or a map";
                    self.text.fault(symbol.start, message);
                    return None;
                }
                _ => break,
            };
        }
        Some(operand)
    }

    fn field(&mut self, dot: Symbol<'a>, operand: Id) -> Option<Id> {
        self.at += 1;
        self.refuse_optional(dot.start);
        let Some(name) = self.peek().filter(|it| it.kind == Kind::Word) else {
            return self.unexpected("a name is missing before it");
        };
        if is_keyword(name.written) {
            let message = format!("`{0}` is a reserved word: write [\"{0}\"] for a key of that name", name.written);
            self.text.fault(name.start, message);
            return None;
        }
        self.at += 1;
        let form = match self.peek().filter(|it| it.written == "(") {
            Some(open) => {
                let arguments = self.items(open, false, |it| it.nested(0))?;
                Form::Call { target: Some(operand), name: name.written, arguments }
            }
            None => Form::Field(operand, name.written),
        };
        Some(self.term(name, form))
    }

    fn primary(&mut self) -> Option<Id> {
        let Some(symbol) = self.peek() else { return self.unexpected(OPERAND) };
        let form = match (symbol.kind, symbol.written) {
            (Kind::Number, _) => return Some(self.number(symbol, false)),
            (Kind::Text, written) => Form::Text(literal::text(written)),
            (_, "true") => Form::Bool(true),
            (_, "false") => Form::Bool(false),
            (_, "null") => {
                self.text.fault(symbol.start, "nothing is null: compare with \"\", or ask `\"key\" in headers`");
                Form::Refused
            }
            (_, "in") => return self.unexpected(OPERAND),
            (Kind::Word, _) => return self.named(symbol.start, symbol),
            (_, "(") => return self.bracketed(symbol, |it| it.expression(0)),
            (_, "[") => {
                let elements = self.items(symbol, true, Self::element)?;
                return Some(self.term(symbol, Form::List(elements)));
            }
            (_, "{") => {
                let entries = self.items(symbol, true, Self::entry)?;
                return Some(self.term(symbol, Form::Map(entries)));
            }
            (_, "-") if self.is_negative_number() => {
                self.at += 1;
                let digits = self.peek()?;
                return Some(self.number(digits, true));
            }
            (_, ".") => {
                self.at += 1;
                let is_name = |it: &Symbol<'_>| it.kind == Kind::Word && !is_keyword(it.written);
                let Some(word) = self.peek().filter(is_name) else {
                    return self.unexpected("a name is missing before it");
                };
                return self.named(symbol.start, word);
            }
            _ => return self.unexpected(OPERAND),
        };
        self.at += 1;
        Some(self.term(symbol, form))
    }

    /// Reads a name, or a call of a function. A dot before it, at `start`, is part of the name.
    fn named(&mut self, start: usize, word: Symbol<'a>) -> Option<Id> {
        self.at += 1;
        let name = self.text.source.get(start..word.start + word.written.len())?;
        let mut form = match self.peek().filter(|it| it.written == "(") {
            Some(open) => {
                let arguments = self.items(open, false, |it| it.nested(0))?;
                Form::Call { target: None, name, arguments }
            }
            None => Form::Name(name),
        };
        if RESERVED.contains(&word.written) {
            self.text.fault(word.start, format!("`{}` is a reserved word: use another name", word.written));
            form = Form::Refused;
        }
        Some(self.term(word, form))
    }

    fn number(&mut self, digits: Symbol<'a>, negative: bool) -> Id {
        self.at += 1;
        let form = literal::number(digits.written, negative).unwrap_or_else(|message| {
            self.text.fault(digits.start, message);
            Form::Refused
        });
        self.term(digits, form)
    }

    /// Reads an element of a list.
    fn element(&mut self) -> Option<Id> {
        self.refuse_optional(self.peek()?.start);
        self.nested(0)
    }

    /// Reads an entry of a map.
    fn entry(&mut self) -> Option<(Id, Id)> {
        let key = self.element()?;
        if !self.take(":") {
            return self.unexpected("`:` and a value are missing before it");
        }
        Some((key, self.nested(0)?))
    }

    /// Reads brackets with things in them, between commas, and after the last a comma as well if it may be.
    fn items<T>(
        &mut self,
        open: Symbol<'a>,
        trailing: bool,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        self.bracketed(open, |it| {
            let mut items = Vec::new();
            let is_end = |it: &Self| it.peek().is_none_or(|it| it.is_closing());
            if is_end(it) || trailing && it.take(",") {
                return Some(items);
            }
            loop {
                items.push(item(it)?);
                if !it.take(",") || trailing && is_end(it) {
                    return Some(items);
                }
            }
        })
    }

    /// Reads brackets and what is in them.
    fn bracketed<T>(&mut self, open: Symbol<'a>, inner: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.brackets == MAX_NESTING {
            self.text.fault(open.start, too_deep());
            return None;
        }
        self.brackets += 1;
        self.at += 1;
        let read = inner(self)?;
        let closing = match open.written {
            "(" => ")",
            "[" => "]",
            _ => "}",
        };
        self.end(open, closing)?;
        self.brackets -= 1;
        Some(read)
    }

    /// Takes what ends that which `open` begins.
    fn end(&mut self, open: Symbol<'a>, due: &str) -> Option<()> {
        match self.peek() {
            Some(it) if it.written == due => {
                self.at += 1;
                return Some(());
            }
            None => self.text.fault(open.start, format!("`{}` is never closed: write `{due}`", open.written)),
            Some(it) if it.is_closing() => self.text.fault(it.start, format!("`{}` where `{due}` is due", it.written)),
            Some(_) => return self.unexpected(LEFT_OVER),
        }
        None
    }

    /// Takes the mark of optional access, which there is not, and notes it.
    fn refuse_optional(&mut self, place: usize) {
        if self.take("?") {
            self.text.fault(place, "there is no optional access: ask `\"key\" in headers` first");
        }
    }

    /// Notes that the next symbol cannot be where it is.
    fn unexpected<T>(&mut self, missing: &str) -> Option<T> {
        let Some(symbol) = self.peek() else {
            let message = "the expression ends too early: an operand or a bracket is missing";
            self.text.fault(self.text.source.len(), message);
            return None;
        };
        let message = match symbol.written {
            "and" if missing == LEFT_OVER => "`and` is no operator: write `&&`".to_owned(),
            "or" if missing == LEFT_OVER => "`or` is no operator: write `||`".to_owned(),
            _ if symbol.kind == Kind::Text => format!("unexpected string: {missing}"),
            written => format!("unexpected `{written}`: {missing}"),
        };
        self.text.fault(symbol.start, message);
        None
    }

    fn peek(&self) -> Option<Symbol<'a>> {
        self.symbols.get(self.at).copied()
    }

    /// Takes the next symbol if it is that.
    fn take(&mut self, written: &str) -> bool {
        let taken = self.peek().is_some_and(|it| it.written == written);
        self.at += usize::from(taken);
        taken
    }

    /// Whether a number with a sign is next.
    fn is_negative_number(&self) -> bool {
        matches!(self.symbols.get(self.at..), Some([sign, digits, ..]) if sign.written == "-" && digits.kind == Kind::Number)
    }

    /// Whether a term is a name with fields after it, as that of a message would be.
    fn is_path(&self, id: Id) -> bool {
        self.terms.get(id).is_some_and(|it| matches!(it.form, Form::Name(_) | Form::Field(..)))
    }

    fn term(&mut self, symbol: Symbol<'a>, form: Form<'a>) -> Id {
        self.terms.push(Term { place: symbol.start, form });
        self.terms.len() - 1
    }
}
