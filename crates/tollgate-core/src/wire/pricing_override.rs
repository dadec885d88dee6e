//! Pricing overrides.

use super::text::{bounded, managed_by, name, names_model, reference, reference_to, tidy_name, timestamp};
use super::{Form, Wire};
use crate::domain::{
    Id, Kind, Path, Pattern, PricingOverride, PricingScope, PricingScopeKind, Rates, RequestTypes, Stored, Violations,
};
use crate::proto::v1;

const MAX_PATTERN_BYTES: usize = 1_024;

/// The scope kind as the domain has it; `None` for the unspecified one and for unknown numbers.
pub fn parse_pricing_scope_kind(number: i32) -> Option<PricingScopeKind> {
    match v1::PricingScopeKind::try_from(number) {
        Err(_) | Ok(v1::PricingScopeKind::Unspecified) => None,
        Ok(v1::PricingScopeKind::Global) => Some(PricingScopeKind::Global),
        Ok(v1::PricingScopeKind::Provider) => Some(PricingScopeKind::Provider),
        Ok(v1::PricingScopeKind::ProviderKey) => Some(PricingScopeKind::ProviderKey),
        Ok(v1::PricingScopeKind::VirtualKey) => Some(PricingScopeKind::VirtualKey),
        Ok(v1::PricingScopeKind::VirtualKeyProvider) => Some(PricingScopeKind::VirtualKeyProvider),
        Ok(v1::PricingScopeKind::VirtualKeyProviderKey) => Some(PricingScopeKind::VirtualKeyProviderKey),
    }
}

/// The scope kind as the API has it.
pub const fn render_pricing_scope_kind(kind: PricingScopeKind) -> v1::PricingScopeKind {
    match kind {
        PricingScopeKind::Global => v1::PricingScopeKind::Global,
        PricingScopeKind::Provider => v1::PricingScopeKind::Provider,
        PricingScopeKind::ProviderKey => v1::PricingScopeKind::ProviderKey,
        PricingScopeKind::VirtualKey => v1::PricingScopeKind::VirtualKey,
        PricingScopeKind::VirtualKeyProvider => v1::PricingScopeKind::VirtualKeyProvider,
        PricingScopeKind::VirtualKeyProviderKey => v1::PricingScopeKind::VirtualKeyProviderKey,
    }
}

impl Wire for PricingOverride {
    type Message = v1::PricingOverride;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &[];

    fn parse(message: v1::PricingOverride, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::PricingOverride {
            name: text,
            scope_kind,
            virtual_key_id,
            provider_id,
            provider_key_id,
            match_type,
            pattern,
            request_types,
            patch,
            managed_by: manager,
            ..
        } = message;
        let name = name(&text, &path.field("name"), violations);
        let scope = scope(scope_kind, &virtual_key_id, &provider_id, &provider_key_id, path, violations);
        let pattern = self::pattern(match_type, &pattern, path, violations);
        let request_types = self::request_types(&request_types, &path.field("request_types"), violations);
        let rates = parse_rates(&patch.unwrap_or_default(), &path.field("patch"), violations);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self { name, scope: scope?, pattern: pattern?, request_types, rates, managed_by })
    }

    fn review(message: &v1::PricingOverride, path: &Path<'_>, violations: &mut Violations) {
        names_model(&message.pattern, &message.provider_id, &path.field("pattern"), violations);
    }

    fn tidy(message: &mut v1::PricingOverride) {
        tidy_name(&mut message.name);
    }

    fn render(stored: &Stored<Self>, _form: Form) -> v1::PricingOverride {
        let Self { name, scope, pattern, request_types, rates, managed_by } = &stored.resource;
        let (match_type, pattern) = match pattern {
            Pattern::Exact(model) => (v1::PricingMatchType::Exact, model.to_string()),
            Pattern::Wildcard(prefix) => (v1::PricingMatchType::Wildcard, format!("{prefix}*")),
        };
        v1::PricingOverride {
            id: stored.id.to_string(),
            name: name.to_string(),
            scope_kind: render_pricing_scope_kind(scope.kind()).into(),
            virtual_key_id: scope.virtual_key().map(ToString::to_string).unwrap_or_default(),
            provider_id: scope.provider().map(ToString::to_string).unwrap_or_default(),
            provider_key_id: scope.provider_key().unwrap_or_default().to_owned(),
            match_type: match_type.into(),
            pattern,
            request_types: request_types.numbers().collect(),
            patch: Some(render_rates(rates)),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, _message: &v1::PricingOverride, _form: Form, _path: &Path<'_>, _violations: &mut Violations) {}

    fn times(message: &v1::PricingOverride) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::PricingOverride) -> (&str, i64) {
        (&message.id, message.revision)
    }

    /// A new kind of scope clears the ids that it forbids.
    fn mend(merged: &mut v1::PricingOverride, fields: &[&str]) {
        let named = |field: &str| fields.contains(&field);
        let Some(kind) = parse_pricing_scope_kind(merged.scope_kind).filter(|_| named("scope_kind")) else { return };
        if !kind.has_virtual_key() && !named("virtual_key_id") {
            merged.virtual_key_id.clear();
        }
        if !kind.has_provider() && !named("provider_id") {
            merged.provider_id.clear();
        }
        if !kind.has_provider_key() && !named("provider_key_id") {
            merged.provider_key_id.clear();
        }
    }

    fn config_resource(message: v1::PricingOverride) -> v1::config_resource::Resource {
        v1::config_resource::Resource::PricingOverride(message)
    }
}

fn scope(
    kind: i32,
    virtual_key_id: &str,
    provider_id: &str,
    provider_key_id: &str,
    path: &Path<'_>,
    violations: &mut Violations,
) -> Option<PricingScope> {
    let Some(kind) = parse_pricing_scope_kind(kind) else {
        violations.add(path.field("scope_kind"), "is missing or unknown; must be a value of PricingScopeKind");
        return None;
    };
    let shown = render_pricing_scope_kind(kind).as_str_name();
    let mut field = |name: &'static str, id: &str, allowed: bool, required: bool| {
        let path = path.field(name);
        match (allowed, id.is_empty()) {
            (false, true) => None,
            (false, false) => {
                violations.add(path, format!("is given, but {shown} forbids it; leave it empty"));
                None
            }
            (true, true) => {
                if required {
                    violations.add(path, format!("is empty, but {shown} requires it"));
                }
                None
            }
            (true, false) if name == "virtual_key_id" => Some(reference_to(Kind::VirtualKey, id, &path, violations)),
            (true, false) => Some(reference(id, &path, violations)),
        }
    };
    let key_too = kind == PricingScopeKind::VirtualKeyProviderKey;
    let virtual_key = field("virtual_key_id", virtual_key_id, kind.has_virtual_key(), true);
    let provider = field("provider_id", provider_id, kind.has_provider(), !key_too);
    let provider_key = field("provider_key_id", provider_key_id, kind.has_provider_key(), true);
    PricingScope::new(kind, virtual_key.map(Id::new), provider.map(Id::new), provider_key)
}

fn pattern(match_type: i32, text: &str, path: &Path<'_>, violations: &mut Violations) -> Option<Pattern> {
    let field = path.field("pattern");
    if text.trim().is_empty() {
        violations.add(field, "is empty; must be the name of a model, or the beginning of one and `*`");
    }
    let text = bounded(text, MAX_PATTERN_BYTES, false, &field, violations);
    match v1::PricingMatchType::try_from(match_type) {
        Err(_) | Ok(v1::PricingMatchType::Unspecified) => {
            let text = "is missing or unknown; must be PRICING_MATCH_TYPE_EXACT or PRICING_MATCH_TYPE_WILDCARD";
            violations.add(path.field("match_type"), text);
            None
        }
        Ok(v1::PricingMatchType::Exact) => {
            if text.contains('*') {
                violations.add(field, "contains `*`, which an exact pattern may not; use PRICING_MATCH_TYPE_WILDCARD");
            }
            Some(Pattern::Exact(text))
        }
        Ok(v1::PricingMatchType::Wildcard) => match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains('*') => Some(Pattern::Wildcard(prefix.into())),
            _ => {
                violations.add(field, "must end in its only `*`, as `gpt-4*` or `*`");
                None
            }
        },
    }
}

fn request_types(numbers: &[i32], path: &Path<'_>, violations: &mut Violations) -> RequestTypes {
    let mut types = RequestTypes::default();
    if numbers.is_empty() {
        violations.add(path, "is empty; name at least one kind of request");
    }
    for (index, number) in numbers.iter().enumerate() {
        let path = path.index(index);
        match v1::PricingRequestType::try_from(*number) {
            Err(_) | Ok(v1::PricingRequestType::Unspecified) => {
                violations.add(path, "is missing or unknown; must be a value of PricingRequestType");
            }
            Ok(_) if types.insert(*number) => {}
            Ok(_) => violations.add(path, "is a duplicate; remove it"),
        }
    }
    types
}

/// The fields of `PricingPatch`, in the order of `RATE_NAMES`.
macro_rules! rates {
    ($($field:ident,)*) => {
        const FIELDS: &[&str] = &[$(stringify!($field)),*];

        fn fields(patch: &v1::PricingPatch) -> Vec<Option<f64>> {
            vec![$(patch.$field),*]
        }

        /// Rates as the API has them.
        pub fn render_rates(rates: &Rates) -> v1::PricingPatch {
            let mut patch = v1::PricingPatch::default();
            for (name, rate) in rates.named() {
                match name {
                    $(stringify!($field) => patch.$field = Some(rate),)*
                    _ => {}
                }
            }
            patch
        }
    };
}

rates! {
    input_cost_per_token,
    output_cost_per_token,
    input_cost_per_token_batches,
    output_cost_per_token_batches,
    input_cost_per_token_priority,
    output_cost_per_token_priority,
    input_cost_per_character,
    input_cost_per_token_above_128k_tokens,
    output_cost_per_token_above_128k_tokens,
    input_cost_per_token_above_200k_tokens,
    output_cost_per_token_above_200k_tokens,
    cache_creation_input_token_cost,
    cache_read_input_token_cost,
    cache_creation_input_token_cost_above_200k_tokens,
    cache_read_input_token_cost_above_200k_tokens,
    cache_read_input_token_cost_priority,
    cache_read_input_image_token_cost,
    cache_creation_input_audio_token_cost,
    input_cost_per_image,
    output_cost_per_image,
    input_cost_per_pixel,
    output_cost_per_pixel,
    input_cost_per_image_token,
    output_cost_per_image_token,
    output_cost_per_image_low_quality,
    output_cost_per_image_medium_quality,
    output_cost_per_image_high_quality,
    output_cost_per_image_auto_quality,
    output_cost_per_image_premium_image,
    output_cost_per_image_above_512_and_512_pixels,
    output_cost_per_image_above_1024_and_1024_pixels,
    output_cost_per_image_above_2048_and_2048_pixels,
    output_cost_per_image_above_4096_and_4096_pixels,
    input_cost_per_audio_token,
    output_cost_per_audio_token,
    input_cost_per_audio_per_second,
    input_cost_per_second,
    input_cost_per_video_per_second,
    output_cost_per_video_per_second,
    output_cost_per_second,
    search_context_cost_per_query,
    code_interpreter_cost_per_session,
}

/// Rates of a client: at least 0 and finite.
pub fn parse_rates(patch: &v1::PricingPatch, path: &Path<'_>, violations: &mut Violations) -> Rates {
    let mut rates = Vec::new();
    for ((rate, name), place) in fields(patch).into_iter().zip(FIELDS).zip(0_u8..) {
        match rate {
            Some(rate) if rate.is_finite() && rate >= 0.0 => rates.push((place, rate)),
            Some(rate) => {
                violations.add(path.field(name), format!("is {rate}; must be a finite number of at least 0"));
            }
            None => {}
        }
    }
    Rates(rates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RATE_NAMES;

    #[test]
    fn the_fields_are_the_rates() {
        assert_eq!(FIELDS, RATE_NAMES);
    }
}
