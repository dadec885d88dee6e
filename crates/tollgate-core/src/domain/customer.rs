//! Customers.

use super::{Calendar, Labels, Limits, ModelCeiling};

/// A customer.
#[derive(Clone, PartialEq, Debug)]
pub struct Customer {
    /// Name, unique among customers.
    pub name: Box<str>,
    /// Whether keys below it work.
    pub is_active: bool,
    /// The ceiling of the keys below it.
    pub model_ceiling: ModelCeiling,
    /// Whether windows follow the calendar.
    pub calendar_aligned: bool,
    /// The calendar, if it has one of its own.
    pub calendar: Option<Box<Calendar>>,
    /// What it may spend, and how fast.
    pub limits: Limits,
    /// Free labels.
    pub labels: Labels,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}
