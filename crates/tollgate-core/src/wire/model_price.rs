//! Prices of models.

use super::pricing_override::{parse_rates, render_rates};
use super::text::{bounded, managed_by, names_model, parse_timestamp, reference, timestamp};
use super::{Form, Wire};
use crate::domain::{Id, ModelPrice, Path, Stored, Violations};
use crate::proto::v1;

const MAX_TEXT_BYTES: usize = 1_024;

impl Wire for ModelPrice {
    type Message = v1::ModelPrice;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &[];

    fn parse(message: v1::ModelPrice, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::ModelPrice {
            id: _,
            provider,
            model,
            rates,
            context_window,
            max_output_tokens,
            source,
            valid_from,
            valid_to,
            managed_by: manager,
            revision: _,
            created_at: _,
            updated_at: _,
        } = message;
        let provider = reference(&provider, &path.field("provider"), violations);
        let model_path = path.field("model");
        if model.trim().is_empty() {
            violations.add(model_path, "is empty; must be the name of a model");
        } else if model.contains('*') {
            violations.add(model_path, "contains `*`; a price is for one model, a pricing override can be for many");
        }
        let model = bounded(model.trim(), MAX_TEXT_BYTES, false, &model_path, violations);
        let rates = parse_rates(&rates.unwrap_or_default(), &path.field("rates"), violations);
        for (field, count) in [("context_window", context_window), ("max_output_tokens", max_output_tokens)] {
            if count < 0 {
                violations.add(path.field(field), format!("is {count}; must be at least 0, where 0 is unknown"));
            }
        }
        let source = bounded(source.trim(), MAX_TEXT_BYTES, false, &path.field("source"), violations);
        let valid_from = valid_from.and_then(|time| parse_timestamp(&time, &path.field("valid_from"), violations));
        let valid_to = valid_to.and_then(|time| parse_timestamp(&time, &path.field("valid_to"), violations));
        if let (Some(from), Some(to)) = (valid_from, valid_to)
            && to <= from
        {
            violations.add(path.field("valid_to"), format!("is {to}; must be after valid_from, which is {from}"));
        }
        let provider = Id::new(provider);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self {
            provider,
            model,
            rates,
            context_window,
            max_output_tokens,
            source,
            valid_from,
            valid_to,
            managed_by,
        })
    }

    fn review(message: &v1::ModelPrice, path: &Path<'_>, violations: &mut Violations) {
        names_model(message.model.trim(), &message.provider, &path.field("model"), violations);
    }

    fn render(stored: &Stored<Self>, _form: Form) -> v1::ModelPrice {
        let Self {
            provider,
            model,
            rates,
            context_window,
            max_output_tokens,
            source,
            valid_from,
            valid_to,
            managed_by,
        } = &stored.resource;
        v1::ModelPrice {
            id: stored.id.to_string(),
            provider: provider.to_string(),
            model: model.to_string(),
            rates: Some(render_rates(rates)),
            context_window: *context_window,
            max_output_tokens: *max_output_tokens,
            source: source.to_string(),
            valid_from: valid_from.map(timestamp),
            valid_to: valid_to.map(timestamp),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, _message: &v1::ModelPrice, _form: Form, _path: &Path<'_>, _violations: &mut Violations) {}

    fn times(message: &v1::ModelPrice) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::ModelPrice) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::ModelPrice) -> v1::config_resource::Resource {
        v1::config_resource::Resource::ModelPrice(message)
    }
}
