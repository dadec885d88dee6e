//! The figures of a node: what became of its requests, and how usage is on its way.

use std::time::Duration;

/// How often what happened to requests since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Admitted.
    pub admitted: u64,
    /// Refused.
    pub refused: u64,
    /// Ended, and what was used was told.
    pub settled: u64,
    /// Given up.
    pub abandoned: u64,
    /// Charged at their estimate, since nobody told what was used.
    pub expired: u64,
    /// Of those settled, those that cost nothing since nobody knows their price.
    pub unpriced: u64,
    /// Of those settled, those on a provider, model or provider key that they were not admitted for.
    pub uncovered: u64,
    /// Of those ended, those that are reported with the dimensions `other`: in their minute there were too many combinations.
    pub joined_dimensions: u64,
}

/// How usage is on its way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Requests in flight.
    pub in_flight: usize,
    /// Entries that the control plane has not acknowledged.
    pub entries: usize,
    /// The age of the oldest of those that are in a batch; `None` if there is none.
    pub oldest: Option<Duration>,
    /// The incarnation by which the node delivers; `None` before it registered.
    pub incarnation: Option<i64>,
    /// How often what happened to requests since the start.
    pub counts: Counts,
    /// The credit that the node holds for hard limits.
    pub credit: CreditStatus,
}

/// Whether the control plane grants credit to the node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// No server has said it yet: hard limits are decided as soft ones, by the usage that the node was told.
    #[default]
    Unknown,
    /// It does: hard limits are decided by credit, whether a session is there at the moment or not.
    Granted,
    /// It does not, for this reason: hard limits are decided as soft ones.
    Withheld(String),
}

/// The credit of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreditStatus {
    /// Whether the control plane grants any.
    pub standing: Standing,
    /// The session, while there is one.
    pub session: Option<i64>,
    /// Nano-dollars that are held of budgets, those of requests in flight included.
    pub nano_usd: i64,
    /// LLM tokens that are held of rate limits.
    pub tokens: i64,
    /// Requests that are held of rate limits.
    pub requests: i64,
    /// Slots that are held of limits on requests that are open at once, in use or not.
    pub slots: i64,
    /// Requests that wait for credit.
    pub waiting: usize,
    /// How often what happened since the start.
    pub counts: CreditCounts,
}

/// How often what happened to credit since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CreditCounts {
    /// Credit was asked for.
    pub wants: u64,
    /// A server asked for credit back.
    pub recalls: u64,
    /// Requests were refused since the node lacked credit.
    pub refused: u64,
    /// Of those, the ones that lacked credit which other nodes held.
    pub refused_while_held: u64,
}
