//! Names, literals, operators and their types.

use std::collections::BTreeSet;

use super::lexer::{Symbol, too_deep};
use super::node::{Arithmetic, Comparison, Node, Target, Variable};
use super::text::Text;
use super::tree::{Binary, Expr, Tree, Unary};
use super::types::Type;
use super::{Fault, MAX_NESTING, MAX_NODES};

/// A node and its type.
pub(super) type Typed = (Node, Type);

/// Checks a tree that the parser made.
pub(super) fn check(
    text: Text<'_>,
    symbols: &[Symbol],
    tree: &Tree<'_>,
) -> Result<(Node, BTreeSet<Variable>), Vec<Fault>> {
    let variables = BTreeSet::new();
    let mut checker = Checker { text, symbols, nodes: 0, nesting: 0, too_deep: false, element: None, variables };
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
    pub(super) fn node(&mut self, tree: &'a Tree<'a>) -> Typed {
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
            Expr::Null => self.refuse(tree, "nothing is null: compare with \"\", or ask `\"key\" in headers`"),
            Expr::Bool(it) => (Node::Bool(*it), Type::Bool),
            Expr::Int(it) => (Node::Int(*it), Type::Int),
            Expr::Double(it) => (Node::Double(*it), Type::Double),
            Expr::Text(it) => (Node::Text(it.as_str().into()), Type::String),
            Expr::Name(name) => self.name(tree, name),
            Expr::Field(operand, field) => self.field(tree, operand, field),
            Expr::Index(parts) => self.index(tree, parts),
            Expr::Unary(Unary::Not, operand) => (Node::Not(Box::new(self.truth("!", operand))), Type::Bool),
            Expr::Unary(Unary::Negate, operand) => self.negate(tree, operand),
            Expr::Binary(operator, operands) => self.binary(tree, *operator, operands),
            Expr::Choose(parts) => self.choice(tree, parts),
            Expr::Call(name, target, arguments) => self.function(tree, name, target.as_deref(), arguments),
            Expr::List(elements) => self.list(elements),
            Expr::Map(entries) => self.map(entries),
        };
        self.nesting -= 1;
        typed
    }

    /// Notes a fault.
    pub(super) fn refuse(&mut self, tree: &Tree<'_>, message: impl Into<String>) -> Typed {
        self.text.fault(tree.at, message);
        (Node::Bool(false), Type::Any)
    }

    fn name(&mut self, tree: &Tree<'_>, name: &str) -> Typed {
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

    fn list(&mut self, elements: &'a [Tree<'a>]) -> Typed {
        let (nodes, kind) = self.alike(elements.iter(), "the elements of a list");
        (Node::List(nodes), kind.list())
    }

    fn map(&mut self, entries: &'a [[Tree<'a>; 2]]) -> Typed {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for [key, value] in entries {
            let (node, kind) = self.node(key);
            if !kind.is(&Type::String) {
                self.refuse(key, format!("the key of a map is a string, not {kind}"));
            }
            keys.push(node);
            values.push(value);
        }
        let (values, kind) = self.alike(values.into_iter(), "the values of a map");
        (Node::Map(keys.into_iter().zip(values).collect()), Type::Map(Box::new(kind)))
    }

    /// Nodes of one type. Integers among doubles become doubles.
    fn alike(&mut self, trees: impl Iterator<Item = &'a Tree<'a>>, what: &str) -> (Vec<Node>, Type) {
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

    fn negate(&mut self, tree: &Tree<'_>, operand: &'a Tree<'a>) -> Typed {
        let (node, kind) = self.node(operand);
        if kind.is_number() {
            return (Node::Negate(Box::new(node)), kind);
        }
        self.refuse(tree, format!("`-` takes a number, not {kind}"))
    }

    fn binary(&mut self, tree: &Tree<'_>, operator: Binary, operands: &'a [Tree<'a>; 2]) -> Typed {
        match operator {
            Binary::And => (Node::And(self.truths("&&", operands)), Type::Bool),
            Binary::Or => (Node::Or(self.truths("||", operands)), Type::Bool),
            Binary::In => self.within(tree, operands),
            Binary::Compare(comparison) => {
                let [left, right] = operands.each_ref().map(|operand| self.node(operand));
                self.comparison(tree, comparison, left, right)
            }
            Binary::Arithmetic(arithmetic) => {
                let [left, right] = operands.each_ref().map(|operand| self.node(operand));
                self.arithmetic(tree, arithmetic, left, right)
            }
        }
    }

    /// Checks what must be a bool.
    pub(super) fn truth(&mut self, taker: &str, tree: &'a Tree<'a>) -> Node {
        let (node, kind) = self.node(tree);
        if !kind.is(&Type::Bool) {
            self.refuse(tree, format!("`{taker}` takes bool, not {kind}: compare it with something"));
        }
        node
    }

    fn truths(&mut self, taker: &str, operands: &'a [Tree<'a>; 2]) -> Box<[Node; 2]> {
        Box::new(operands.each_ref().map(|operand| self.truth(taker, operand)))
    }

    fn choice(&mut self, tree: &Tree<'_>, [condition, yes, no]: &'a [Tree<'a>; 3]) -> Typed {
        let condition = self.truth("?", condition);
        let ((yes, left), (no, right)) = (self.node(yes), self.node(no));
        let Some(kind) = widest(&left, &right) else {
            return self.refuse(tree, format!("`? :` chooses between {left} and {right}: make them one type"));
        };
        let (yes, no) = (widen(yes, &left, &kind), widen(no, &right, &kind));
        (Node::Choose(Box::new([condition, yes, no])), kind)
    }

    fn arithmetic(&mut self, tree: &Tree<'_>, operator: Arithmetic, (left, one): Typed, (right, two): Typed) -> Typed {
        let written = self.written(tree);
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

    fn comparison(&mut self, tree: &Tree<'_>, operator: Comparison, (left, one): Typed, (right, two): Typed) -> Typed {
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        if if ordered { one.orders(&two) } else { one.equates(&two) } {
            return (Node::Compare(operator, Box::new([left, right])), Type::Bool);
        }
        let written = self.written(tree);
        self.refuse(tree, format!("`{written}` cannot compare {one} with {two}: convert one of them"));
        (Node::Bool(false), Type::Bool)
    }

    /// The symbol at which a tree is.
    fn written(&self, tree: &Tree<'_>) -> &'a str {
        let at = self.symbols.binary_search_by_key(&tree.at, |it| it.start).ok();
        let symbol = at.and_then(|at| self.symbols.get(at));
        symbol.and_then(|it| self.text.source.get(it.start..it.end)).unwrap_or_default()
    }

    fn index(&mut self, tree: &Tree<'_>, [container, key]: &'a [Tree<'a>; 2]) -> Typed {
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
    fn field(&mut self, tree: &Tree<'_>, operand: &'a Tree<'a>, field: &str) -> Typed {
        let (node, kind) = self.node(operand);
        let found = |node| Node::Index(Box::new([node, Node::Text(field.into())]));
        match kind {
            Type::Map(value) => (found(node), *value),
            Type::Any => (found(node), Type::Any),
            _ => self.refuse(tree, format!("{kind} has no field `{field}`: only headers, params and maps have fields")),
        }
    }

    fn within(&mut self, tree: &Tree<'_>, [element, container]: &'a [Tree<'a>; 2]) -> Typed {
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
