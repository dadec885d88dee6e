//! Teams.

use super::{Calendar, Customer, Id, Labels, Limits, ModelCeiling, Struct};

/// A team.
#[derive(Clone, PartialEq, Debug)]
pub struct Team {
    /// Name, unique within its customer.
    pub name: Box<str>,
    /// The customer it belongs to.
    pub customer_id: Option<Id<Customer>>,
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
    /// Free data about the team.
    pub profile: Option<Struct>,
    /// Free settings.
    pub config: Option<Struct>,
    /// Free claims.
    pub claims: Option<Struct>,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}
