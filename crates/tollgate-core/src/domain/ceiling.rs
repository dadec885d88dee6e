//! Ceilings of teams and customers (`docs/design/semantics.md §4`).

use super::{Id, ModelPattern, Provider, bare_model};

/// The providers and models beyond which no key below a team or a customer may go. An empty list restricts nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ModelCeiling {
    /// The providers that may be used.
    pub allowed_providers: Box<[Id<Provider>]>,
    /// Patterns of the models that may be used.
    pub allowed_models: Box<[Box<str>]>,
    /// Patterns of models that may not be used even if allowed.
    pub blocked_models: Box<[Box<str>]>,
}

impl ModelCeiling {
    /// Whether it restricts nothing.
    pub fn is_empty(&self) -> bool {
        let Self { allowed_providers, allowed_models, blocked_models } = self;
        allowed_providers.is_empty() && allowed_models.is_empty() && blocked_models.is_empty()
    }

    /// Whether a provider may be used.
    pub fn allows_provider(&self, provider: &str) -> bool {
        self.allowed_providers.is_empty() || self.allowed_providers.iter().any(|allowed| allowed.as_str() == provider)
    }

    /// Whether a model of a provider may be used, as far as it depends on the model.
    pub fn allows_model(&self, provider: &str, model: &str) -> bool {
        let model = bare_model(model, provider);
        let names = |patterns: &[Box<str>]| patterns.iter().any(|text| ModelPattern::of(text, provider).matches(model));
        (self.allowed_models.is_empty() || names(&self.allowed_models)) && !names(&self.blocked_models)
    }
}
