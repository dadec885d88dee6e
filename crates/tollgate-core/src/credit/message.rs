//! The messages about credit, between nodes and servers.

use std::time::Duration;

use super::Account;
use crate::counters::CounterKey;
use crate::domain::Timestamp;

/// A message of a node. What it used goes with its usage batches instead ([`Purse::used`](super::Purse::used)).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Report {
    /// The first message of a connection.
    Hello(Hello),
    /// Asks for credit: for all of these, or for nothing.
    Want {
        /// The session that it belongs to.
        session: i64,
        /// One for each limit and window.
        wants: Vec<Want>,
    },
    /// Gives credit back.
    Return {
        /// The session that it belongs to.
        session: i64,
        /// One for each limit and window.
        returns: Vec<Returned>,
    },
    /// Asks for more time for credit that expires.
    Renew {
        /// The session that it belongs to.
        session: i64,
        /// When it was sent, by the node's monotonic clock; comes back in the answer.
        sent: Duration,
        /// As in [`Hello`].
        slots_for: Duration,
    },
}

/// The first message of a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Hello {
    /// A number that no other connection of the incarnation has; comes back in the answer.
    pub connection: u64,
    /// The last session that the node had; 0 if it remembers none.
    pub session: i64,
    /// The credit that the node remembers.
    pub stated: Vec<Stated>,
    /// How long from now on it may hold slots of limits on requests that are open at once; zero if it holds none.
    pub slots_for: Duration,
}

/// The credit that a node remembers on one limit in one window: the proof by which a server sees that it lost commits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stated {
    /// The limit and window.
    pub key: CounterKey,
    /// The greatest `granted` that it was told.
    pub granted: i64,
    /// The greatest `used` that a server has acknowledged.
    pub acknowledged: i64,
}

/// A wish for credit on one limit in one window.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Want {
    /// The limit and window.
    pub key: CounterKey,
    /// The value that `granted` must reach so that the request that waits can be admitted. It is absolute: a repeated want gets
    /// nothing twice.
    pub level: i64,
    /// A grant may be so large: what the node used in ten seconds, or what waits there.
    pub ahead: i64,
    /// Whether the amount is a guess. A guess is met with all that is left where nobody else holds any.
    pub guessed: bool,
}

/// The cumulative amount that a node gave back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Returned {
    /// The limit and window.
    pub key: CounterKey,
    /// The node's `returned`.
    pub returned: i64,
}

/// A message of the server to one incarnation. It may be sent only after the commit of the rows that came with it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Directive {
    /// The answer to a hello.
    Welcome {
        /// Of the hello.
        connection: u64,
        /// The session that begins. Messages of earlier sessions are dropped from now on.
        session: i64,
        /// All credit of the incarnation.
        credits: Vec<Credit>,
    },
    /// The answer to a want that was met.
    Grant {
        /// The session.
        session: i64,
        /// The credit as it is now.
        credits: Vec<Credit>,
    },
    /// The answer to a want that was not met.
    Unmet {
        /// The session.
        session: i64,
        /// The limits that lack credit.
        keys: Vec<CounterKey>,
        /// Whether other nodes were asked to give some back, so that waiting may help.
        recalling: bool,
    },
    /// Asks for all credit back that no request in flight needs.
    Recall {
        /// The session.
        session: i64,
        /// The limits and windows.
        keys: Vec<CounterKey>,
    },
    /// The answer to a renewal.
    Renewed {
        /// The session.
        session: i64,
        /// Of the renewal.
        sent: Duration,
    },
    /// The session is not valid any more: the node has to say hello anew.
    Stale {
        /// The session that the node named.
        session: i64,
    },
    /// The incarnation was closed: the node has to register a new one.
    Closed,
}

/// Credit on one limit in one window, as the server has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Credit {
    /// The limit and window.
    pub key: CounterKey,
    /// The three numbers.
    pub account: Account,
    /// The ceiling of the limit.
    pub max: i64,
    /// When the window ends. No request is admitted with the credit from then on.
    pub ends: Timestamp,
    /// How long after the last renewal the server frees the credit; `None` if it does not expire.
    pub lease: Option<Duration>,
    /// Whether this is all that is left of the limit, and nobody else holds any.
    pub alone: bool,
    /// Until when a temporary increase raises the ceiling in the window, or did. No request is admitted from then on with
    /// credit that was granted before.
    pub raised_until: Option<Timestamp>,
    /// Whether that increase lasted still when this was said.
    pub is_raised: bool,
}

/// The cumulative usage of a node on one limit in one window, as it comes with a usage batch.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Used {
    /// The limit and window.
    pub key: CounterKey,
    /// All that the node's requests ever used.
    pub used: i64,
    /// By how much it rose since the batch before for requests that held no credit of the limit.
    pub uncovered: i64,
}
