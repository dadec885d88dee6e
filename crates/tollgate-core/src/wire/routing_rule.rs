//! Routing rules.

use std::collections::HashSet;

use super::text::{
    bounded, count, description, managed_by, name, reference, render_structure, structure, tidy_name, timestamp,
};
use super::{Form, Wire, scope};
use crate::cel::{self, Expression};
use crate::domain::{Fallback, Id, Path, RoutingRule, RoutingTarget, ScopeKind, Stored, Violations};
use crate::proto::v1;

/// How far the sum of the weights may be from 1 (`docs/design/semantics.md §7`).
const TOLERANCE: f64 = 0.001;
/// How far off a sum of decimal weights may be because doubles hold no decimals exactly.
const ROUNDING: f64 = 1e-9;
const MAX_MODEL_BYTES: usize = 1_024;
const SCOPES: &str = "ROUTING_SCOPE_GLOBAL, ROUTING_SCOPE_TEAM, ROUTING_SCOPE_CUSTOMER, ROUTING_SCOPE_VIRTUAL_KEY";

/// The scope as the domain has it; `None` for the unspecified one and for unknown numbers.
pub fn parse_routing_scope(number: i32) -> Option<ScopeKind> {
    match v1::RoutingScope::try_from(number) {
        Err(_) | Ok(v1::RoutingScope::Unspecified) => None,
        Ok(v1::RoutingScope::Global) => Some(ScopeKind::Global),
        Ok(v1::RoutingScope::Team) => Some(ScopeKind::Team),
        Ok(v1::RoutingScope::Customer) => Some(ScopeKind::Customer),
        Ok(v1::RoutingScope::VirtualKey) => Some(ScopeKind::VirtualKey),
    }
}

/// The scope as the API has it.
pub const fn render_routing_scope(kind: ScopeKind) -> v1::RoutingScope {
    match kind {
        ScopeKind::Global => v1::RoutingScope::Global,
        ScopeKind::Team => v1::RoutingScope::Team,
        ScopeKind::Customer => v1::RoutingScope::Customer,
        ScopeKind::VirtualKey => v1::RoutingScope::VirtualKey,
    }
}

impl Wire for RoutingRule {
    type Message = v1::RoutingRule;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at"];
    const IMMUTABLE: &'static [&'static str] = &[];

    fn parse(message: v1::RoutingRule, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::RoutingRule {
            name: text,
            description: about,
            enabled,
            cel_expression,
            targets,
            fallbacks,
            scope,
            scope_id,
            priority,
            chain_rule,
            query,
            managed_by: manager,
            ..
        } = message;
        let name = name(&text, &path.field("name"), violations);
        let description = description(&about, &path.field("description"), violations);
        let expression = expression(&cel_expression, &path.field("cel_expression"), violations);
        let targets = parse_targets(targets, &path.field("targets"), violations);
        let fallbacks = parse_fallbacks(&fallbacks, &path.field("fallbacks"), violations);
        let scope = scope::parse(parse_routing_scope(scope), SCOPES, &scope_id, path, violations);
        let query = structure(query, &path.field("query"), violations);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self {
            name,
            description,
            enabled: enabled.unwrap_or(true),
            expression: expression?,
            targets,
            fallbacks,
            scope: scope?,
            priority,
            chain_rule,
            query,
            managed_by,
        })
    }

    fn review(message: &v1::RoutingRule, path: &Path<'_>, violations: &mut Violations) {
        if let Ok(expression) = Expression::compile(&message.cel_expression) {
            for objection in expression.objections() {
                violations.add(path.field("cel_expression"), objection.to_string());
            }
        }
    }

    fn tidy(message: &mut v1::RoutingRule) {
        tidy_name(&mut message.name);
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::RoutingRule {
        let Self {
            name,
            description,
            enabled,
            expression,
            targets,
            fallbacks,
            scope,
            priority,
            chain_rule,
            query,
            managed_by,
        } = &stored.resource;
        let target = |target: &RoutingTarget| v1::RoutingTarget {
            provider: target.provider.as_ref().map(ToString::to_string),
            model: target.model.as_ref().map(ToString::to_string),
            key_id: target.key_id.as_ref().map(ToString::to_string),
            weight: target.weight,
        };
        v1::RoutingRule {
            id: stored.id.to_string(),
            name: name.to_string(),
            description: description.to_string(),
            enabled: Some(*enabled),
            cel_expression: expression.source().to_owned(),
            targets: targets.iter().map(target).collect(),
            fallbacks: fallbacks.iter().map(render_fallback).collect(),
            scope: render_routing_scope(scope.kind()).into(),
            scope_id: scope.id().to_owned(),
            priority: *priority,
            chain_rule: *chain_rule,
            query: match form {
                Form::Stream => None,
                Form::Answer(_) | Form::Log => query.as_ref().map(render_structure),
            },
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, _message: &v1::RoutingRule, _form: Form, _path: &Path<'_>, _violations: &mut Violations) {}

    fn times(message: &v1::RoutingRule) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::RoutingRule) -> (&str, i64) {
        (&message.id, message.revision)
    }

    fn config_resource(message: v1::RoutingRule) -> v1::config_resource::Resource {
        v1::config_resource::Resource::RoutingRule(message)
    }
}

fn expression(source: &str, path: &Path<'_>, violations: &mut Violations) -> Option<Expression> {
    bounded(source, cel::MAX_BYTES, true, path, violations);
    if source.len() > cel::MAX_BYTES {
        return None;
    }
    match Expression::compile(source) {
        Ok(expression) => Some(expression),
        Err(faults) => {
            for fault in faults {
                violations.add(path, fault.to_string());
            }
            None
        }
    }
}

/// A text that may be left out, but not be blank.
fn optional(text: Option<String>, path: &Path<'_>, violations: &mut Violations) -> Option<Box<str>> {
    let text = text?;
    if text.trim().is_empty() {
        violations.add(path, "is blank; leave it out to keep what the request has");
    }
    Some(bounded(&text, MAX_MODEL_BYTES, false, path, violations))
}

fn parse_targets(targets: Vec<v1::RoutingTarget>, list: &Path<'_>, violations: &mut Violations) -> Vec<RoutingTarget> {
    count(targets.len(), list, violations);
    if targets.is_empty() {
        violations.add(list, "is empty; name at least one target, with weight 1 if there is one only");
        return Vec::new();
    }
    let (mut seen, mut sum, mut finite) = (HashSet::new(), 0.0, true);
    let parsed: Vec<RoutingTarget> = targets
        .into_iter()
        .enumerate()
        .map(|(index, target)| {
            let path = list.index(index);
            let v1::RoutingTarget { provider, model, key_id, weight } = target;
            let provider = optional(provider, &path.field("provider"), violations);
            let model = optional(model, &path.field("model"), violations);
            let key_id = optional(key_id, &path.field("key_id"), violations);
            if key_id.is_some() && provider.is_none() {
                violations.add(path.field("key_id"), "is given without a provider; name the provider of the key");
            }
            if !(weight.is_finite() && weight > 0.0) {
                finite = false;
                violations.add(path.field("weight"), format!("is {weight}; must be a finite number of more than 0"));
            }
            sum += weight;
            let lower = |text: &Option<Box<str>>| text.as_ref().map(|text| text.to_lowercase());
            if !seen.insert((lower(&provider), lower(&model), lower(&key_id))) {
                violations.add(path, "is like another target (case-insensitive); join the two and add their weights");
            }
            RoutingTarget { provider: provider.map(Id::new), model, key_id, weight }
        })
        .collect();
    if finite && (sum - 1.0).abs() > TOLERANCE + ROUNDING {
        violations.add(list, format!("have weights that sum to {sum}; must sum to 1 (within {TOLERANCE})"));
    }
    parsed
}

/// A fallback as `provider/model`.
pub fn render_fallback(fallback: &Fallback) -> String {
    format!("{}/{}", fallback.provider, fallback.model)
}

/// Fallbacks as `provider/model`.
pub fn parse_fallbacks(fallbacks: &[String], list: &Path<'_>, violations: &mut Violations) -> Vec<Fallback> {
    count(fallbacks.len(), list, violations);
    let parse = |(index, text): (usize, &String)| {
        let path = list.index(index);
        bounded(text, 2 * MAX_MODEL_BYTES, false, &path, violations);
        match text.split_once('/') {
            Some((provider, model)) if !provider.trim().is_empty() => {
                let provider = Id::new(reference(provider.trim(), &path, violations));
                Some(Fallback { provider, model: model.trim().into() })
            }
            _ => {
                violations.add(path, "is not `provider/model`; write `provider/` to keep the model of the request");
                None
            }
        }
    };
    fallbacks.iter().enumerate().filter_map(parse).collect()
}
