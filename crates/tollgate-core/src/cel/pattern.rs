//! Patterns of `matches`, in the dialect of RE2, which CEL names: the crate `regex` reads them, whose dialect differs.
//!
//! `\d \w \s \b` are made ASCII before it reads them. What RE2 does not take, or takes for something else, is objected to.

use std::convert::Infallible;

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, Assertion, AssertionKind, Ast, ClassPerlKind, ClassSetBinaryOp, ClassSetItem, ClassUnicode, ClassUnicodeKind,
    Flag, Flags, FlagsItemKind, GroupKind, HexLiteralKind, Literal, LiteralKind, Repetition, RepetitionKind,
    RepetitionRange, Span, Visitor,
};

/// Memory of a small pattern, in bytes.
const MIN_BYTES: usize = 1 << 12;
/// How often RE2 repeats something at most.
const MAX_REPEATS: u32 = 1_000;
/// The general categories of Unicode that RE2 knows by name.
const CATEGORIES: [&str; 38] = [
    "Any", "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl",
    "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs", "LC",
];

/// A pattern, compiled once.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) regex: Regex,
    /// Memory that it takes at most, in bytes. It tells how long a search takes at most.
    pub(super) bytes: usize,
}

/// Compiles a pattern within a limit of memory, and finds out roughly how much it takes, which the crate does not tell. Beside
/// it stands what RE2 would not take of it.
pub(super) fn compile(written: &str, limit: usize) -> Result<(Pattern, Vec<String>), regex::Error> {
    let (translated, objections) = match Parser::new().parse(written) {
        Ok(tree) => {
            let Ok(dialect) = ast::visit(&tree, Dialect { written, pieces: Vec::new(), objections: Vec::new() });
            (dialect.translated(), dialect.objections)
        }
        // The crate says what is wrong.
        Err(_) => (written.to_owned(), Vec::new()),
    };
    let mut bytes = MIN_BYTES.min(limit);
    loop {
        match RegexBuilder::new(&translated).size_limit(bytes).dfa_size_limit(limit).build() {
            Err(regex::Error::CompiledTooBig(_)) if bytes < limit => bytes = (8 * bytes).min(limit),
            built => return built.map(|regex| (Pattern { regex, bytes }, objections)),
        }
    }
}

/// The differences between RE2 and the crate `regex` in a pattern.
struct Dialect<'a> {
    written: &'a str,
    /// Pieces to replace, and their replacements; in the order of the text.
    pieces: Vec<(Span, &'static str)>,
    objections: Vec<String>,
}

impl Dialect<'_> {
    fn translated(&self) -> String {
        let (mut text, mut at) = (String::with_capacity(self.written.len()), 0);
        for (span, piece) in &self.pieces {
            text.push_str(self.written.get(at..span.start.offset).unwrap_or_default());
            text.push_str(piece);
            at = span.end.offset;
        }
        text + self.written.get(at..).unwrap_or_default()
    }

    fn text(&self, span: &Span) -> &str {
        self.written.get(span.start.offset..span.end.offset).unwrap_or_default()
    }

    fn object(&mut self, span: &Span, why: &str) {
        let objection = format!("RE2 does not take `{}`: {why}", self.text(span));
        self.objections.push(objection);
    }

    fn perl(&mut self, class: &ast::ClassPerl) {
        let piece = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r\x20]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r\x20]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.pieces.push((class.span, piece));
    }

    fn assertion(&mut self, assertion: &Assertion) {
        match assertion.kind {
            AssertionKind::WordBoundary => self.pieces.push((assertion.span, r"(?-u:\b)")),
            AssertionKind::NotWordBoundary => self.pieces.push((assertion.span, r"(?-u:\B)")),
            AssertionKind::WordBoundaryStart
            | AssertionKind::WordBoundaryEnd
            | AssertionKind::WordBoundaryStartAngle
            | AssertionKind::WordBoundaryEndAngle
            | AssertionKind::WordBoundaryStartHalf
            | AssertionKind::WordBoundaryEndHalf => self.object(&assertion.span, r"write `\b`"),
            AssertionKind::StartLine | AssertionKind::EndLine | AssertionKind::StartText | AssertionKind::EndText => {}
        }
    }

    fn literal(&mut self, literal: &Literal) {
        match &literal.kind {
            LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
                self.object(&literal.span, r"write `\x{…}`");
            }
            _ => {}
        }
    }

    fn unicode(&mut self, class: &ClassUnicode) {
        let known = match &class.kind {
            ClassUnicodeKind::OneLetter(letter) => CATEGORIES.contains(&letter.to_string().as_str()),
            ClassUnicodeKind::Named(name) => {
                let is_script = || Regex::new(&format!(r"\p{{sc={name}}}")).is_ok();
                CATEGORIES.contains(&name.as_str()) || name.starts_with(|c: char| c.is_ascii_uppercase()) && is_script()
            }
            ClassUnicodeKind::NamedValue { .. } => false,
        };
        if !known {
            self.object(&class.span, r"name a category or a script, as `\p{Lu}` or `\p{Greek}`");
        }
    }

    fn flags(&mut self, flags: &Flags) {
        for item in &flags.items {
            if let FlagsItemKind::Flag(Flag::Unicode | Flag::IgnoreWhitespace | Flag::CRLF) = item.kind {
                self.object(&item.span, "the flags are `i`, `m`, `s` and `U`");
            }
        }
    }

    fn repetition(&mut self, repetition: &Repetition) {
        let span = &repetition.op.span;
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            self.object(span, "what is repeated already goes between brackets");
        }
        let most = match &repetition.op.kind {
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 0,
            RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n)) => *n,
            RepetitionKind::Range(RepetitionRange::Bounded(_, n)) => *n,
        };
        if most > MAX_REPEATS {
            self.object(span, "at most 1,000 repetitions");
        }
        if self.text(span).starts_with("{,") {
            self.object(span, "write `{0,…}`");
        }
    }
}

impl Visitor for Dialect<'_> {
    type Output = Self;
    type Err = Infallible;

    fn finish(self) -> Result<Self, Infallible> {
        Ok(self)
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), Infallible> {
        match tree {
            Ast::Flags(set) => self.flags(&set.flags),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Assertion(assertion) => self.assertion(assertion),
            Ast::ClassUnicode(class) => self.unicode(class),
            Ast::ClassPerl(class) => self.perl(class),
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => {
                if let GroupKind::NonCapturing(flags) = &group.kind {
                    self.flags(flags);
                }
            }
            Ast::Empty(_) | Ast::Dot(_) | Ast::ClassBracketed(_) | Ast::Alternation(_) | Ast::Concat(_) => {}
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), Infallible> {
        match item {
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Unicode(class) => self.unicode(class),
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Bracketed(class) => {
                self.object(&class.span, r"classes do not nest: write `\[` for a bracket")
            }
            ClassSetItem::Range(range) => {
                self.literal(&range.start);
                self.literal(&range.end);
            }
            ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) | ClassSetItem::Union(_) => {}
        }
        Ok(())
    }

    fn visit_class_set_binary_op_pre(&mut self, operation: &ClassSetBinaryOp) -> Result<(), Infallible> {
        self.object(&operation.span, "there are no set operations in classes: write the class out");
        Ok(())
    }
}
