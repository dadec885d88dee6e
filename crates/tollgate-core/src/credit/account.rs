//! The three numbers that a node and its server share.

/// The credit of one incarnation on one limit in one window: three cumulative numbers, in nano-dollars, LLM tokens or
/// requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Account {
    /// All that the server ever granted. Only the server raises it.
    pub granted: i64,
    /// All that the node's requests ever used. Only the node raises it.
    pub used: i64,
    /// All that was given back. The node raises it; the server does where credit expired or its node was closed.
    pub returned: i64,
}

impl Account {
    /// The credit that the node may still spend, as far as these numbers tell.
    pub fn outstanding(&self) -> i64 {
        self.granted.saturating_sub(self.returned).saturating_sub(self.used).max(0)
    }

    /// Where the next grant starts from. Usage above the granted credit was counted already and takes nothing from it.
    pub(super) fn base(&self) -> i64 {
        self.granted.max(self.used.saturating_add(self.returned))
    }

    /// Takes the larger of each number.
    pub(super) fn raise(&mut self, to: &Self) {
        self.granted = self.granted.max(to.granted);
        self.used = self.used.max(to.used);
        self.returned = self.returned.max(to.returned);
    }

    /// Gives all outstanding credit back in the node's name.
    pub(super) fn void(&mut self) {
        self.returned = self.returned.saturating_add(self.outstanding());
    }
}
