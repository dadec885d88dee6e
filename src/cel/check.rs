//! Names, literals, operators and their types.

use std::collections::BTreeSet;

use cel::IdedExpr;
use cel::common::ast::operators as op;
use cel::common::ast::{CallExpr, EntryExpr, Expr, LiteralValue, MapExpr, SourceInfo};

use super::lexer::{Kind, Symbol, too_deep};
use super::node::{Arithmetic, Comparison, Node, Target, Variable};
use super::text::Text;
use super::types::Type;
use super::{Fault, MAX_NESTING, MAX_NODES};

/// A node and its type.
pub(super) type Typed = (Node, Type);

/// Checks a tree that the parser made.
pub(super) fn check(
    text: Text<'_>,
    symbols: &[Symbol],
    tree: &IdedExpr,
    places: &SourceInfo,
) -> Result<(Node, BTreeSet<Variable>), Vec<Fault>> {
    let mut checker = Checker {
        text,
        symbols,
        places,
        nodes: 0,
        nesting: 0,
        too_deep: false,
        element: None,
        variables: BTreeSet::new(),
    };
    let (node, kind) = checker.node(tree);
    if !kind.is(&Type::Bool) {
        let start = symbols.first().map_or(0, |it| it.start);
        let message = format!("the expression yields {kind}, and it must yield bool: compare it with something");
        checker.text.fault(start, message);
    }
    if checker.text.is_faulty() { Err(checker.text.into_faults()) } else { Ok((node, checker.variables)) }
}

/// What is known while a tree is checked.
pub(super) struct Checker<'a> {
    pub(super) text: Text<'a>,
    pub(super) symbols: &'a [Symbol],
    places: &'a SourceInfo,
    nodes: usize,
    nesting: usize,
    /// Whether that was said.
    too_deep: bool,
    /// Name and type of the element of the comprehension around.
    pub(super) element: Option<(&'a str, Type)>,
    variables: BTreeSet<Variable>,
}

impl<'a> Checker<'a> {
    /// Checks a tree: a node with its type, or [`Type::Any`] if it was refused.
    pub(super) fn node(&mut self, tree: &'a IdedExpr) -> Typed {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            // Said once; the rest of the tree is not looked at.
            if self.nodes == MAX_NODES + 1 {
                let message = format!("more than {MAX_NODES} nodes: split the expression into rules");
                self.refuse(tree, message);
            }
            return (Node::Bool(false), Type::Any);
        }
        if self.nesting == MAX_NESTING {
            if !std::mem::replace(&mut self.too_deep, true) {
                self.refuse(tree, too_deep());
            }
            return (Node::Bool(false), Type::Any);
        }
        self.nesting += 1;
        let typed = match &tree.expr {
            Expr::Literal(literal) => self.literal(tree, literal),
            Expr::Ident(name) => self.name(tree, name),
            Expr::Call(call) => self.call(tree, call),
            Expr::Select(select) => self.field(tree, &select.operand, &select.field),
            Expr::List(list) => self.list(&list.elements),
            Expr::Map(map) => self.map(map),
            Expr::Struct(_) => self.refuse(tree, "there are no messages: write a string, a number, a list or a map"),
            Expr::Comprehension(_) | Expr::Unspecified => self.refuse(tree, "not an expression"),
        };
        self.nesting -= 1;
        typed
    }

    /// Where a tree is, for a reader: at the operator, or at the name of a function or field.
    pub(super) fn place(&self, tree: &IdedExpr) -> usize {
        let start = self.places.offset_for(tree.id).map_or(0, |(start, _)| start as usize);
        let Ok(at) = self.symbols.binary_search_by_key(&start, |it| it.start) else { return start };
        // The parser notes the bracket of a call, and the dot before a field.
        let named = match (&tree.expr, self.text.source.get(start..=start)) {
            (Expr::Call(_), Some("(")) => at.checked_sub(1),
            (Expr::Select(_), Some(".")) => Some(at + 1),
            _ => None,
        };
        let named = named.and_then(|it| self.symbols.get(it)).filter(|it| it.kind == Kind::Word);
        named.map_or(start, |it| it.start)
    }

    /// Notes a fault.
    pub(super) fn refuse(&mut self, tree: &IdedExpr, message: impl Into<String>) -> Typed {
        let place = self.place(tree);
        self.text.fault(place, message);
        (Node::Bool(false), Type::Any)
    }

    fn literal(&mut self, tree: &IdedExpr, literal: &LiteralValue) -> Typed {
        match literal {
            LiteralValue::Boolean(it) => (Node::Bool(*it.inner()), Type::Bool),
            LiteralValue::Int(it) => (Node::Int(*it.inner()), Type::Int),
            LiteralValue::Double(it) => (Node::Double(*it.inner()), Type::Double),
            LiteralValue::String(it) => (Node::Text(it.inner().into()), Type::String),
            LiteralValue::Null => self.refuse(tree, "nothing is null: compare with \"\", or ask `\"key\" in headers`"),
            LiteralValue::Bytes(_) => self.refuse(tree, "there are no bytes: write a string, without the prefix"),
            LiteralValue::UInt(_) => self.refuse(tree, "there are no unsigned numbers: leave out the `u`"),
        }
    }

    fn name(&mut self, tree: &IdedExpr, name: &str) -> Typed {
        if let Some((element, kind)) = &self.element
            && *element == name
        {
            return (Node::Element, kind.clone());
        }
        if let Some(variable) = Variable::named(name) {
            self.variables.insert(variable);
            return (Node::Variable(variable), variable.kind());
        }
        let mut names: Vec<&str> = self.element.iter().map(|(element, _)| *element).collect();
        names.extend(Variable::ALL.map(Variable::name));
        let message = format!("unknown name `{name}`; the names are {}", names.join(", "));
        self.refuse(tree, message)
    }

    fn list(&mut self, elements: &'a [IdedExpr]) -> Typed {
        let (nodes, kind) = self.alike(elements.iter(), "the elements of a list");
        (Node::List(nodes), kind.list())
    }

    fn map(&mut self, map: &'a MapExpr) -> Typed {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { continue };
            let (key, kind) = self.node(&entry.key);
            if !kind.is(&Type::String) {
                self.refuse(&entry.key, format!("the key of a map is a string, not {kind}"));
            }
            keys.push(key);
            values.push(&entry.value);
        }
        let (values, kind) = self.alike(values.into_iter(), "the values of a map");
        (Node::Map(keys.into_iter().zip(values).collect()), Type::Map(Box::new(kind)))
    }

    /// Nodes of one type. Integers among doubles become doubles.
    fn alike(&mut self, trees: impl Iterator<Item = &'a IdedExpr>, what: &str) -> (Vec<Node>, Type) {
        let mut nodes = Vec::new();
        let mut common = Type::Any;
        for tree in trees {
            let (node, kind) = self.node(tree);
            match widest(&common, &kind) {
                Some(joined) => common = joined,
                None => {
                    self.refuse(tree, format!("{what} have one type: this is {kind}, and those before are {common}"));
                }
            }
            nodes.push((node, kind));
        }
        let nodes = nodes.into_iter().map(|(node, kind)| widen(node, &kind, &common)).collect();
        (nodes, common)
    }

    fn call(&mut self, tree: &'a IdedExpr, call: &'a CallExpr) -> Typed {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (op::CONDITIONAL, [condition, yes, no]) => self.choice(tree, condition, yes, no),
            (op::LOGICAL_AND, [left, right]) => (Node::And(self.truths("&&", left, right)), Type::Bool),
            (op::LOGICAL_OR, [left, right]) => (Node::Or(self.truths("||", left, right)), Type::Bool),
            (op::LOGICAL_NOT, [operand]) => (Node::Not(Box::new(self.truth("!", operand))), Type::Bool),
            (op::NEGATE, [operand]) => {
                let (node, kind) = self.node(operand);
                if kind.is_number() {
                    return (Node::Negate(Box::new(node)), kind);
                }
                self.refuse(tree, format!("`-` takes a number, not {kind}"))
            }
            (op::INDEX, [container, key]) => self.index(tree, container, key),
            (op::IN, [element, container]) => self.within(tree, element, container),
            (name, [left, right]) if arithmetic(name).is_some() || comparison(name).is_some() => {
                let written = name.trim_matches('_');
                let (left, right) = (self.node(left), self.node(right));
                match arithmetic(name) {
                    Some(operator) => self.arithmetic(tree, written, operator, left, right),
                    None => self.comparison(tree, written, comparison(name), left, right),
                }
            }
            _ => self.function(tree, call),
        }
    }

    /// Checks what must be a bool.
    pub(super) fn truth(&mut self, taker: &str, tree: &'a IdedExpr) -> Node {
        let (node, kind) = self.node(tree);
        if !kind.is(&Type::Bool) {
            self.refuse(tree, format!("`{taker}` takes bool, not {kind}: compare it with something"));
        }
        node
    }

    fn truths(&mut self, taker: &str, left: &'a IdedExpr, right: &'a IdedExpr) -> Box<[Node; 2]> {
        Box::new([self.truth(taker, left), self.truth(taker, right)])
    }

    fn choice(&mut self, tree: &IdedExpr, condition: &'a IdedExpr, yes: &'a IdedExpr, no: &'a IdedExpr) -> Typed {
        let condition = self.truth("?", condition);
        let ((yes, left), (no, right)) = (self.node(yes), self.node(no));
        let Some(kind) = widest(&left, &right) else {
            return self.refuse(tree, format!("`? :` chooses between {left} and {right}: make them one type"));
        };
        let (yes, no) = (widen(yes, &left, &kind), widen(no, &right, &kind));
        (Node::Choose(Box::new([condition, yes, no])), kind)
    }

    fn arithmetic(
        &mut self,
        tree: &IdedExpr,
        written: &str,
        operator: Arithmetic,
        (left, one): Typed,
        (right, two): Typed,
    ) -> Typed {
        let takes = |kind: &Type| match operator {
            Arithmetic::Modulo => kind.is(&Type::Int),
            Arithmetic::Add => kind.is_number() || matches!(kind, Type::String | Type::List(_)),
            _ => kind.is_number(),
        };
        match one.join(&two) {
            Some(kind) if takes(&kind) || one == Type::Any || two == Type::Any => {
                (Node::Arithmetic(operator, Box::new([left, right])), kind)
            }
            _ if one.is_number() && two.is_number() && operator != Arithmetic::Modulo => self.refuse(
                tree,
                format!("`{written}` takes no int together with a double: write 1.0 for 1, or double(…)"),
            ),
            _ => {
                self.refuse(tree, format!("`{written}` takes no {one} together with a {two}: convert one, or compare"))
            }
        }
    }

    fn comparison(
        &mut self,
        tree: &IdedExpr,
        written: &str,
        operator: Option<Comparison>,
        (left, one): Typed,
        (right, two): Typed,
    ) -> Typed {
        let Some(operator) = operator else { return self.refuse(tree, "not an expression") };
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        if if ordered { one.orders(&two) } else { one.equates(&two) } {
            return (Node::Compare(operator, Box::new([left, right])), Type::Bool);
        }
        self.refuse(tree, format!("`{written}` cannot compare {one} with {two}: convert one of them"));
        (Node::Bool(false), Type::Bool)
    }

    fn index(&mut self, tree: &IdedExpr, container: &'a IdedExpr, key: &'a IdedExpr) -> Typed {
        let ((container, kind), (key, by)) = (self.node(container), self.node(key));
        let (due, found) = match kind {
            Type::Any => (by.clone(), Type::Any),
            Type::List(element) => (Type::Int, *element),
            Type::Map(value) => (Type::String, *value),
            _ => return self.refuse(tree, format!("{kind} has no elements: index headers, params or a list")),
        };
        if !by.is(&due) {
            return self.refuse(tree, format!("the index is {by}, and {due} is due"));
        }
        (Node::Index(Box::new([container, key])), found)
    }

    /// Checks the choice of a field.
    fn field(&mut self, tree: &IdedExpr, operand: &'a IdedExpr, field: &str) -> Typed {
        let (node, kind) = self.node(operand);
        let found = |node| Node::Index(Box::new([node, Node::Text(field.into())]));
        match kind {
            Type::Map(value) => (found(node), *value),
            Type::Any => (found(node), Type::Any),
            _ => self.refuse(tree, format!("{kind} has no field `{field}`: only headers, params and maps have fields")),
        }
    }

    fn within(&mut self, tree: &IdedExpr, element: &'a IdedExpr, container: &'a IdedExpr) -> Typed {
        let ((element, one), (container, kind)) = (self.node(element), self.node(container));
        let found = match &kind {
            Type::List(due) => one.equates(due),
            Type::Map(_) => one.is(&Type::String),
            Type::Any => true,
            Type::String => {
                self.refuse(tree, "`in` takes a list or a map: write text.contains(\"part\") for a part of a string");
                return (Node::Bool(false), Type::Bool);
            }
            _ => false,
        };
        if !found {
            self.refuse(tree, format!("{one} is never in {kind}: convert one of them"));
        }
        (Node::In(Box::new([element, container])), Type::Bool)
    }
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        op::ADD => Arithmetic::Add,
        op::SUBSTRACT => Arithmetic::Subtract,
        op::MULTIPLY => Arithmetic::Multiply,
        op::DIVIDE => Arithmetic::Divide,
        op::MODULO => Arithmetic::Modulo,
        _ => return None,
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        op::EQUALS => Comparison::Equal,
        op::NOT_EQUALS => Comparison::NotEqual,
        op::LESS => Comparison::Less,
        op::LESS_EQUALS => Comparison::LessOrEqual,
        op::GREATER => Comparison::Greater,
        op::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

/// The type that both can have, where integers can be doubles.
fn widest(one: &Type, two: &Type) -> Option<Type> {
    match (one, two) {
        (Type::Int, Type::Double) | (Type::Double, Type::Int) => Some(Type::Double),
        _ => one.join(two),
    }
}

fn widen(node: Node, kind: &Type, to: &Type) -> Node {
    if *kind == Type::Int && *to == Type::Double { Node::Convert(Target::Double, Box::new(node)) } else { node }
}
