//! Names, literals, operators and their types.

use std::collections::BTreeSet;

use super::lexer::Symbol;
use super::node::{Arithmetic, Comparison, Node, Target, Variable};
use super::parse::too_deep;
use super::request_type;
use super::text::Text;
use super::tree::{Binary, Form, Id, Term};
use super::types::Type;
use super::{Fault, MAX_NESTING, MAX_NODES};

/// A node and its type.
pub(super) type Typed = (Node, Type);

/// A checked expression.
pub(super) struct Checked {
    pub(super) root: Node,
    pub(super) variables: BTreeSet<Variable>,
    /// Faults for which a new expression is refused; a stored one may have them.
    pub(super) objections: Vec<Fault>,
}

/// Checks a tree that the parser made, and the text that it was made of.
pub(super) fn check<'a>(
    text: Text<'a>,
    symbols: &'a [Symbol<'a>],
    terms: &'a [Term<'a>],
    root: Id,
) -> Result<Checked, Vec<Fault>> {
    let objections = Text::new(text.source);
    let mut checker = Checker {
        text,
        symbols,
        terms,
        nodes: 0,
        nesting: 0,
        too_deep: false,
        element: None,
        variables: BTreeSet::new(),
        objections,
    };
    let (node, kind) = checker.node(root);
    if !kind.is(&Type::Bool) {
        let start = symbols.first().map_or(0, |it| it.start);
        let message = format!("the expression yields {kind}, and it must yield bool: compare it with something");
        checker.text.fault(start, message);
    }
    if checker.text.is_faulty() {
        return Err(checker.text.into_faults());
    }
    Ok(Checked { root: node, variables: checker.variables, objections: checker.objections.into_faults() })
}

/// What is known while a tree is checked.
pub(super) struct Checker<'a> {
    pub(super) text: Text<'a>,
    pub(super) symbols: &'a [Symbol<'a>],
    pub(super) terms: &'a [Term<'a>],
    nodes: usize,
    nesting: usize,
    /// Whether that was said.
    too_deep: bool,
    /// Name and type of the element of the comprehension around.
    pub(super) element: Option<(&'a str, Type)>,
    variables: BTreeSet<Variable>,
    objections: Text<'a>,
}

impl<'a> Checker<'a> {
    /// Checks a tree: a node with its type, or [`Type::Any`] if it was refused.
    pub(super) fn node(&mut self, tree: Id) -> Typed {
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
        let typed = self.form(tree);
        self.nesting -= 1;
        typed
    }

    fn form(&mut self, tree: Id) -> Typed {
        match &self.terms[tree].form {
            Form::Refused => (Node::Bool(false), Type::Any),
            Form::Bool(it) => (Node::Bool(*it), Type::Bool),
            Form::Int(it) => (Node::Int(*it), Type::Int),
            Form::Double(it) => (Node::Double(*it), Type::Double),
            Form::Text(it) => (Node::Text(it.as_str().into()), Type::String),
            Form::Name(name) => self.name(tree, name),
            Form::List(elements) => {
                let (nodes, kind) = self.alike(elements, "the elements of a list");
                (Node::List(nodes), kind.list())
            }
            Form::Map(entries) => self.map(entries),
            Form::Not(operand) => (Node::Not(Box::new(self.truth("!", *operand))), Type::Bool),
            Form::Negate(operand) => self.negation(tree, *operand),
            Form::And(operands) => (Node::And(self.truths("&&", operands)), Type::Bool),
            Form::Or(operands) => (Node::Or(self.truths("||", operands)), Type::Bool),
            Form::Choose([condition, yes, no]) => self.choice(tree, *condition, *yes, *no),
            Form::Binary(operator, written, [left, right]) => self.binary(tree, *operator, written, *left, *right),
            Form::Field(operand, field) => self.field(tree, *operand, field),
            Form::Index([container, key]) => self.index(tree, *container, *key),
            Form::Call { target, name, arguments } => self.function(tree, *target, name, arguments),
        }
    }

    /// Notes a fault.
    pub(super) fn refuse(&mut self, tree: Id, message: impl Into<String>) -> Typed {
        self.text.fault(self.terms[tree].place, message);
        (Node::Bool(false), Type::Any)
    }

    /// Notes what a new expression may not have.
    pub(super) fn object(&mut self, tree: Id, message: impl Into<String>) {
        self.objections.fault(self.terms[tree].place, message);
    }

    /// Checks what a request type is compared with.
    fn request_types(&mut self, node: &Node, literals: &[Id]) {
        if !matches!(node, Node::Variable(Variable::RequestType)) {
            return;
        }
        for &literal in literals {
            if let Form::Text(text) = &self.terms[literal].form
                && let Err(message) = request_type::check(text)
            {
                self.object(literal, message);
            }
        }
    }

    fn name(&mut self, tree: Id, name: &str) -> Typed {
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

    fn map(&mut self, entries: &[(Id, Id)]) -> Typed {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for (key, value) in entries {
            let (node, kind) = self.node(*key);
            if !kind.is(&Type::String) {
                self.refuse(*key, format!("the key of a map is a string, not {kind}"));
            }
            keys.push(node);
            values.push(*value);
        }
        let (values, kind) = self.alike(&values, "the values of a map");
        (Node::Map(keys.into_iter().zip(values).collect()), Type::Map(Box::new(kind)))
    }

    /// Nodes of one type. Integers among doubles become doubles.
    fn alike(&mut self, trees: &[Id], what: &str) -> (Vec<Node>, Type) {
        let mut nodes = Vec::new();
        let mut common = Type::Any;
        for &tree in trees {
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

    fn negation(&mut self, tree: Id, operand: Id) -> Typed {
        let (node, kind) = self.node(operand);
        if kind.is_number() {
            return (Node::Negate(Box::new(node)), kind);
        }
        self.refuse(tree, format!("`-` takes a number, not {kind}"))
    }

    fn binary(&mut self, tree: Id, operator: Binary, written: &str, left: Id, right: Id) -> Typed {
        let (one, two) = (self.node(left), self.node(right));
        match operator {
            Binary::Arithmetic(operator) => self.arithmetic(tree, written, operator, one, two),
            Binary::Compare(operator) => {
                self.request_types(&one.0, &[right]);
                self.request_types(&two.0, &[left]);
                self.comparison(tree, written, operator, one, two)
            }
            Binary::In => {
                if let Form::List(elements) = &self.terms[right].form {
                    self.request_types(&one.0, elements);
                }
                self.within(tree, one, two)
            }
        }
    }

    /// Checks what must be a bool.
    pub(super) fn truth(&mut self, taker: &str, tree: Id) -> Node {
        let (node, kind) = self.node(tree);
        if !kind.is(&Type::Bool) {
            self.refuse(tree, format!("`{taker}` takes bool, not {kind}: compare it with something"));
        }
        node
    }

    /// Checks the operands of a chain, in which each operator counts.
    fn truths(&mut self, taker: &str, operands: &[Id]) -> Vec<Node> {
        self.nodes += operands.len().saturating_sub(2);
        operands.iter().map(|it| self.truth(taker, *it)).collect()
    }

    fn choice(&mut self, tree: Id, condition: Id, yes: Id, no: Id) -> Typed {
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
        tree: Id,
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
        tree: Id,
        written: &str,
        operator: Comparison,
        (left, one): Typed,
        (right, two): Typed,
    ) -> Typed {
        let ordered = !matches!(operator, Comparison::Equal | Comparison::NotEqual);
        if if ordered { one.orders(&two) } else { one.equates(&two) } {
            return (Node::Compare(operator, Box::new([left, right])), Type::Bool);
        }
        self.refuse(tree, format!("`{written}` cannot compare {one} with {two}: convert one of them"));
        (Node::Bool(false), Type::Bool)
    }

    fn index(&mut self, tree: Id, container: Id, key: Id) -> Typed {
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
    fn field(&mut self, tree: Id, operand: Id, field: &str) -> Typed {
        let (node, kind) = self.node(operand);
        let found = |node| Node::Index(Box::new([node, Node::Text(field.into())]));
        match kind {
            Type::Map(value) => (found(node), *value),
            Type::Any => (found(node), Type::Any),
            _ => self.refuse(tree, format!("{kind} has no field `{field}`: only headers, params and maps have fields")),
        }
    }

    fn within(&mut self, tree: Id, (element, one): Typed, (container, kind): Typed) -> Typed {
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
