//! The figures of a node: what became of its requests, and how usage is on its way.

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
    /// Of those settled, those on a provider or a model that they were not admitted for.
    pub uncovered: u64,
}

/// How usage is on its way.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backlog {
    /// Requests in flight.
    pub in_flight: usize,
    /// Entries that the control plane has not acknowledged.
    pub entries: usize,
    /// The incarnation by which the node delivers; `None` before it registered.
    pub incarnation: Option<i64>,
    /// How often what happened to requests since the start.
    pub counts: Counts,
}
