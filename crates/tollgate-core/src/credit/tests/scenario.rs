//! The events of a small world, and how often each may happen.

use super::super::{Directive, Report};

/// How often each event may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Scenario {
    pub(super) nodes: usize,
    /// The first of them, which give back, connect anew and restart.
    pub(super) restless: usize,
    pub(super) max: i64,
    /// Requests, in all and in flight at one node.
    pub(super) requests: u8,
    pub(super) in_flight: usize,
    /// By how much a request may use more than it reserved.
    pub(super) overrun: i64,
    /// Further connections, at each node.
    pub(super) reconnects: u8,
    /// Wants, in all.
    pub(super) wants: u8,
    /// Returns, in all.
    pub(super) returns: u8,
    /// Restarts with and without the outbox, in all.
    pub(super) restarts: u8,
    pub(super) losses: u8,
    /// Whether the window turns, at each node and at the server at another time.
    pub(super) turns: bool,
    /// Whether an edit moves the window, of which each node learns at another time.
    pub(super) moves: bool,
    /// The amount by which an edit lowers the limit.
    pub(super) lowers: i64,
}

impl Scenario {
    /// In which nothing happens.
    pub(super) const NOTHING: Self = Self {
        nodes: 0,
        restless: usize::MAX,
        max: 0,
        requests: 0,
        in_flight: 0,
        overrun: 0,
        reconnects: 0,
        wants: 0,
        returns: 0,
        restarts: 0,
        losses: 0,
        turns: false,
        moves: false,
        lowers: 0,
    };
}

/// A mistake that the explorer must find.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Bug {
    GrantBeforeCommit,
    RelativeGrants,
    ReturnAfterSending,
    OldSessionsReturn,
    GrantedFromMemory,
    RefundOfTheDead,
    CreditOutlivesItsWindow,
    SettledInTheLaterWindow,
    HelloGivesBack,
    AnyWelcome,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Message {
    ToServer(i64, Report),
    ToNode(i64, Directive),
}

/// Something that happens; nodes by their places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A request comes: it is admitted, or the node asks for credit.
    Request(usize),
    /// The first request in flight ends, with this much more than it reserved.
    Settle(usize, i64),
    /// The node's usage is counted.
    Count(usize),
    /// The node gives back what it does not need: credit was idle, or recalled.
    Return(usize),
    /// The node connects anew.
    Connect(usize),
    Deliver(Message),
    /// The node restarts: it knows from its outbox what was used. Requests in flight are charged.
    Restart(usize),
    /// The node restarts and knows nothing: it registers a new incarnation.
    Lose(usize),
    /// The window turns at a node, and at the server.
    Turn(usize),
    TurnServer,
    /// An edit moves the window, or lowers the limit.
    Move,
    Lower,
    /// Of bugs.
    DeliverUncommitted(Message),
    DeliverToStaleReplica(Message),
    Raise(usize),
    Refund(i64),
}
