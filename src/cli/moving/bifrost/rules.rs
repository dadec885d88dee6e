//! Bifrost's routing rules and pricing overrides.

use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use super::Migration;
use crate::cli::Failure;
use crate::cli::moving::draft::Told;
use crate::cli::moving::record::Record;
use crate::cli::moving::report::Fate;
use crate::cli::remote::descriptor;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

impl Migration {
    /// Makes routing rules of routing rules.
    pub(super) fn rules(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.rules) {
            let mut told = Told::default();
            let id = record.text("id").unwrap_or_default();
            let scope = record.text("scope").unwrap_or_else(|| "global".to_owned());
            let of = record.text("scope_id").unwrap_or_default();
            let (kind, known) = match scope.as_str() {
                "global" => (v1::RoutingScope::Global, Some(String::new())),
                "team" => (v1::RoutingScope::Team, self.teams.get(&of).cloned()),
                "customer" => (v1::RoutingScope::Customer, self.customers.get(&of).cloned()),
                "virtual_key" => (v1::RoutingScope::VirtualKey, self.keys.get(&of).cloned()),
                _ => (v1::RoutingScope::Unspecified, None),
            };
            let Some(scope_id) = known else {
                let text = "left out: what its scope names does not exist here, or was left out";
                self.report.add(Fate::Impossible, "", &record.place, text);
                continue;
            };
            let mut targets: Vec<_> =
                self.source.targets.of("rule_id", &id).map(|target| self.target(target)).collect();
            if targets.is_empty() && (record.text("provider").is_some() || record.text("model").is_some()) {
                targets.push(self.target(&record));
            }
            if targets.iter().any(|target| target.weight > 0.0) && targets.iter().any(|target| target.weight == 0.0) {
                targets.retain(|target| target.weight > 0.0);
                told.changed("targets of weight 0 are left out, since they are never drawn");
            }
            targets.sort_by(|one, other| {
                let key = |it: &v1::RoutingTarget| (it.provider.clone(), it.model.clone(), it.key_id.clone());
                other.weight.total_cmp(&one.weight).then_with(|| key(one).cmp(&key(other)))
            });
            for target in &targets {
                if let (Some(provider), Some(key)) = (&target.provider, &target.key_id) {
                    self.provider_keys.entry(provider.clone()).or_default().insert(key.clone());
                }
            }
            let fallbacks = record.json("fallbacks").and_then(|it| it.as_array().cloned()).unwrap_or_default();
            let fallback = |entry: &Value| match entry {
                Value::String(text) => text.clone(),
                entry => {
                    let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                    format!("{}/{}", part("provider"), part("model"))
                }
            };
            if fallbacks.iter().any(|entry| entry.get("key_id").is_some_and(|it| it.as_str() != Some(""))) {
                told.impossible("the provider keys of its fallbacks are left out");
            }
            if record.whole("ttft_timeout_ms").is_some() {
                told.impossible(
                    "its ttft_timeout_ms is left out: when to give up an attempt is for the gateway to say",
                );
            }
            let name = record.text("name");
            let place = format!("rules of {scope} {scope_id}");
            let name = self.names.take(&place, name.as_deref(), &format!("rule-{id}"), &id, &mut told);
            let rule = v1::RoutingRule {
                name,
                description: record.text("description").unwrap_or_default(),
                enabled: (record.flag("enabled") == Some(false)).then_some(false),
                cel_expression: record.text("cel_expression").unwrap_or_default(),
                targets,
                fallbacks: fallbacks.iter().map(fallback).collect(),
                scope: kind.into(),
                scope_id,
                priority: record.whole("priority").and_then(|it| it.try_into().ok()).unwrap_or_default(),
                chain_rule: record.flag("chain_rule") == Some(true),
                ..Default::default()
            };
            let resource = Resource::RoutingRule(rule);
            let subject = self.drafts.add(resource, &record.place, Vec::new(), &mut self.report)?;
            told.tell(&subject, &record.place, &mut self.report);
        }
        Ok(())
    }

    /// Makes pricing overrides of pricing overrides.
    pub(super) fn overrides(&mut self) -> Result<(), Failure> {
        for record in std::mem::take(&mut self.source.overrides) {
            let mut told = Told::default();
            let key = record.text("virtual_key_id");
            let of = key.as_ref().and_then(|id| self.keys.get(id)).cloned();
            if key.is_some() && of.is_none() {
                let text = "left out: its virtual key is not there, or was left out";
                self.report.add(Fate::Impossible, "", &record.place, text);
                continue;
            }
            let id = record.text("id").unwrap_or_default();
            let (wished, kind) =
                (record.text("name"), record.text("scope_kind").unwrap_or_else(|| "global".to_owned()));
            let place = format!("overrides of {}", of.as_deref().unwrap_or(&kind));
            let name = self.names.take(&place, wished.as_deref(), &format!("override-{id}"), &id, &mut told);
            let provider_key = record.text("provider_key_id");
            if let Some(id) = &provider_key {
                let Some(provider) = record.text("provider_id").or_else(|| self.source.provider_of(id)) else {
                    let text = "left out: its provider key is not there";
                    self.report.add(Fate::Impossible, "", &record.place, text);
                    continue;
                };
                self.provider_keys.entry(provider).or_default().insert(id.clone());
            }
            match pricing(&record, &kind) {
                Some(read) => {
                    let pricing = v1::PricingOverride { name, virtual_key_id: of.unwrap_or_default(), ..read };
                    let resource = Resource::PricingOverride(pricing);
                    let subject = self.drafts.add(resource, &record.place, Vec::new(), &mut self.report)?;
                    told.tell(&subject, &record.place, &mut self.report);
                }
                None => {
                    let text = "left out: it has rates or request types that do not exist here";
                    self.report.add(Fate::Impossible, "", &record.place, text);
                }
            }
        }
        Ok(())
    }

    fn target(&self, record: &Record) -> v1::RoutingTarget {
        let provider = record.text("provider");
        let named = record.text("provider_key_name").zip(provider.clone());
        let named = named.map(|(name, provider)| self.source.key_id(&provider, name));
        v1::RoutingTarget {
            model: record.text("model"),
            key_id: record.text("key_id").or(named),
            weight: record.number("weight").unwrap_or(1.0),
            provider,
        }
    }
}

/// The rates of an override and what it applies to; `None` if the API has no such rates.
fn pricing(record: &Record, kind: &str) -> Option<v1::PricingOverride> {
    let types = ["request_types", "request_types_json"].map(|name| record.list(name)).concat();
    let patch = ["patch", "pricing_patch", "pricing_patch_json"].iter().find_map(|name| record.json(name));
    let enumerated = |prefix: &str, name: &str| format!("{prefix}_{}", name.to_uppercase());
    let message = json!({
        "scope_kind": enumerated("PRICING_SCOPE_KIND", kind),
        "provider_id": record.text("provider_id").unwrap_or_default(),
        "provider_key_id": record.text("provider_key_id").unwrap_or_default(),
        "match_type": enumerated("PRICING_MATCH_TYPE", &record.text("match_type").unwrap_or_default()),
        "pattern": record.text("pattern").unwrap_or_default(),
        "request_types": types.iter().map(|name| enumerated("PRICING_REQUEST_TYPE", name)).collect::<Vec<_>>(),
        "patch": patch.unwrap_or_else(|| json!({})),
    });
    let descriptor = descriptor("tollgate.v1.PricingOverride").ok()?;
    DynamicMessage::deserialize(descriptor, message).ok()?.transcode_to().ok()
}
