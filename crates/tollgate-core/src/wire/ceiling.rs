//! Ceilings of teams and customers.

use super::text::{model_patterns, names};
use crate::domain::{Id, ModelCeiling, Path, Violations};
use crate::proto::v1;

/// The ceiling that a message says.
pub(super) fn parse(message: Option<v1::ModelCeiling>, path: &Path<'_>, violations: &mut Violations) -> ModelCeiling {
    let v1::ModelCeiling { allowed_providers, allowed_models, blocked_models } = message.unwrap_or_default();
    let allowed_providers = names(&allowed_providers, &path.field("allowed_providers"), violations);
    ModelCeiling {
        allowed_providers: allowed_providers.into_iter().map(Id::new).collect(),
        allowed_models: names(&allowed_models, &path.field("allowed_models"), violations).into(),
        blocked_models: names(&blocked_models, &path.field("blocked_models"), violations).into(),
    }
}

/// Adds what can never match, or says what another entry says.
pub(super) fn review(message: Option<&v1::ModelCeiling>, path: &Path<'_>, violations: &mut Violations) {
    let Some(v1::ModelCeiling { allowed_models, blocked_models, .. }) = message else { return };
    for (field, models) in [("allowed_models", allowed_models), ("blocked_models", blocked_models)] {
        let path = path.field(field);
        model_patterns(models, "", &path, violations);
        if let Some(place) = models.iter().position(|text| text == "*").filter(|_| models.len() > 1) {
            violations.add(path.index(place), "means all models and stands alone; remove it or the other items");
        }
    }
}

/// The ceiling as the API has it; absent if it restricts nothing.
pub(super) fn render(ceiling: &ModelCeiling) -> Option<v1::ModelCeiling> {
    let texts = |list: &[Box<str>]| list.iter().map(|text| text.to_string()).collect();
    (!ceiling.is_empty()).then(|| v1::ModelCeiling {
        allowed_providers: ceiling.allowed_providers.iter().map(ToString::to_string).collect(),
        allowed_models: texts(&ceiling.allowed_models),
        blocked_models: texts(&ceiling.blocked_models),
    })
}
