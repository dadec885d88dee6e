//! Whether an expression can be true at all, as far as that shows without a request.

use std::collections::BTreeSet;

use super::node::{Node, Variable};
use super::{Inputs, REQUEST_TYPES, eval};

/// Whether no request makes the expression true: every way to true goes through a part that is false, or has no value, for
/// whatever request type and whether or not it streams.
pub(super) fn never_true(root: &Node) -> bool {
    !outcomes(root).may_be_true
}

/// The values that a boolean node may have; neither, if its evaluation always fails.
struct Outcomes {
    may_be_true: bool,
    may_be_false: bool,
}

fn outcomes(node: &Node) -> Outcomes {
    if let Some(known) = tried(node) {
        return known;
    }
    match node {
        Node::Not(node) => {
            let Outcomes { may_be_true, may_be_false } = outcomes(node);
            Outcomes { may_be_true: may_be_false, may_be_false: may_be_true }
        }
        Node::And(nodes) => Outcomes {
            may_be_true: nodes.iter().all(|node| outcomes(node).may_be_true),
            may_be_false: nodes.iter().any(|node| outcomes(node).may_be_false),
        },
        Node::Or(nodes) => Outcomes {
            may_be_true: nodes.iter().any(|node| outcomes(node).may_be_true),
            may_be_false: nodes.iter().all(|node| outcomes(node).may_be_false),
        },
        Node::Choose(nodes) => {
            let [condition, yes, no] = nodes.each_ref().map(outcomes);
            Outcomes {
                may_be_true: condition.may_be_true && yes.may_be_true || condition.may_be_false && no.may_be_true,
                may_be_false: condition.may_be_true && yes.may_be_false || condition.may_be_false && no.may_be_false,
            }
        }
        _ => Outcomes { may_be_true: true, may_be_false: true },
    }
}

/// The values of a node over all combinations of the variables that it reads; `None` if it reads more than `request_type` and
/// `stream`, whose values can be listed.
fn tried(node: &Node) -> Option<Outcomes> {
    let mut read = BTreeSet::new();
    node.variables(&mut read);
    if !read.is_subset(&BTreeSet::from([Variable::RequestType, Variable::Stream])) {
        return None;
    }
    let kinds: &[&str] = if read.contains(&Variable::RequestType) { &REQUEST_TYPES } else { &[""] };
    let mut found = Outcomes { may_be_true: false, may_be_false: false };
    // A request may say nothing of its kind.
    for request_type in kinds.iter().chain(&[""]) {
        for stream in [false, true] {
            match eval::matches(node, &Inputs { request_type, stream, ..Inputs::default() }) {
                Ok(true) => found.may_be_true = true,
                Ok(false) => found.may_be_false = true,
                Err(_) => {}
            }
        }
    }
    Some(found)
}
