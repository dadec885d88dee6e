//! Model configs (`docs/design/semantics.md §6`).

use super::{Calendar, Id, Limits, ModelPattern, Provider, Scope};

/// The limits of a model, at one provider or at all, within a scope.
#[derive(Clone, PartialEq, Debug)]
pub struct ModelConfig {
    /// The pattern of the models, as it was written.
    pub model_name: Box<str>,
    /// The provider; `None`: every one.
    pub provider: Option<Id<Provider>>,
    /// Whose traffic is limited; never changes.
    pub scope: Scope,
    /// Whether windows follow the calendar.
    pub calendar_aligned: bool,
    /// The calendar, if it has one of its own.
    pub calendar: Option<Box<Calendar>>,
    /// What may be spent, and how fast.
    pub limits: Limits,
    /// The source that manages it; empty for none.
    pub managed_by: Box<str>,
}

impl ModelConfig {
    /// The models that it limits.
    pub fn models(&self) -> ModelPattern<'_> {
        ModelPattern::of(&self.model_name, self.provider.as_ref().map_or("", Id::as_str))
    }
}
