//! The limits of providers as a whole (`docs/design/semantics.md §6`).

use super::{Calendar, Limits};

/// The limits of one provider, whose name is the id. It exists while there is at least one limit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ProviderGovernance {
    /// Whether windows follow the calendar.
    pub calendar_aligned: bool,
    /// The calendar, if it has one of its own.
    pub calendar: Option<Box<Calendar>>,
    /// What may be spent at the provider, and how fast.
    pub limits: Limits,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}
