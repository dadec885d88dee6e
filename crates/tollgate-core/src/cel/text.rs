//! Positions in the text of an expression, and the faults found in it.

use super::{Fault, MAX_FAULTS, Position};

/// The text of an expression, and what was found wrong in it so far.
pub(super) struct Text<'a> {
    pub(super) source: &'a str,
    faults: Vec<(usize, String)>,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, faults: Vec::new() }
    }

    /// Notes a fault at an offset in bytes, or at the end of the text.
    pub(super) fn fault(&mut self, offset: usize, message: impl Into<String>) {
        // All are kept until the end: the first are reported, in the order of the text, and they are not always found
        // in it. A text has a bounded number of nodes, each of which has a few faults at most.
        self.faults.push((offset.min(self.source.len()), message.into()));
    }

    pub(super) fn is_faulty(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The faults, in the order of the text.
    pub(super) fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|(offset, _)| *offset);
        self.faults.dedup();
        self.faults.truncate(MAX_FAULTS);
        let source = self.source;
        self.faults.into_iter().map(|(offset, message)| Fault { position: position(source, offset), message }).collect()
    }
}

/// The line and column of an offset.
fn position(source: &str, offset: usize) -> Position {
    let before = source.get(..offset).unwrap_or(source);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 }
}
