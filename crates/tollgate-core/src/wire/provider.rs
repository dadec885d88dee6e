//! Providers.

use std::collections::HashSet;

use super::text::{bounded, count, id_name, managed_by, model_patterns, names, timestamp};
use super::{Form, Wire, calendar, limits};
use crate::domain::{LimitOwner, Path, Provider, ProviderKey, Stored, Violations};
use crate::proto::v1;

const MAX_KEY_ID: usize = 128;

impl Wire for Provider {
    type Message = v1::Provider;
    const OUTPUT_ONLY: &'static [&'static str] = &["id", "revision", "created_at", "updated_at", "built_in"];
    const IMMUTABLE: &'static [&'static str] = &["name"];
    const NAMED_BY_ID: bool = true;

    fn parse(message: v1::Provider, path: &Path<'_>, violations: &mut Violations) -> Option<Self> {
        let v1::Provider { name, keys, calendar_aligned, calendar: followed, managed_by: manager, .. } = message;
        id_name(&name, &path.field("name"), violations);
        let list = path.field("keys");
        count(keys.len(), &list, violations);
        let mut seen = HashSet::new();
        let mut parsed = Vec::with_capacity(keys.len());
        for (index, key) in keys.into_iter().enumerate() {
            let path = list.index(index);
            let v1::ProviderKey { id, name, models, budgets, rate_limits } = key;
            if id.len() > MAX_KEY_ID || !id.bytes().all(|byte| (b' '..=b'~').contains(&byte)) || id.trim() != id {
                let text =
                    format!("must have 1 to {MAX_KEY_ID} printable ASCII characters without outer spaces, or be empty");
                violations.add(path.field("id"), text);
            }
            if id == "*" {
                violations.add(path.field("id"), "is \"*\", which means all keys; choose another id");
            }
            if !id.is_empty() && !seen.insert(id.clone()) {
                violations.add(path.field("id"), "is a duplicate; ids of provider keys are unique over all providers");
            }
            parsed.push(ProviderKey {
                id: id.into(),
                name: bounded(name.trim(), 1_024, false, &path.field("name"), violations),
                models: names(&models, &path.field("models"), violations),
                limits: limits::parse(budgets, rate_limits, calendar_aligned, &path, violations),
            });
        }
        let calendar = calendar::parse(followed, &path.field("calendar"), violations);
        let managed_by = managed_by(&manager, path, violations);
        Some(Self { keys: parsed, built_in: false, calendar_aligned, calendar, managed_by })
    }

    fn review(message: &v1::Provider, path: &Path<'_>, violations: &mut Violations) {
        let list = path.field("keys");
        for (index, key) in message.keys.iter().enumerate() {
            let path = list.index(index);
            model_patterns(&key.models, named(&message.name, &message.id), &path.field("models"), violations);
        }
    }

    fn render(stored: &Stored<Self>, form: Form) -> v1::Provider {
        let Self { keys, built_in, calendar_aligned, calendar: followed, managed_by } = &stored.resource;
        let aligned = calendar::own(*calendar_aligned, followed.as_deref());
        let keys = keys.iter().map(|key| {
            let owner = LimitOwner::ProviderKey(key.id.as_ref().into());
            let (budgets, rate_limits) = limits::render(&key.limits, &owner, aligned, form);
            v1::ProviderKey { budgets, rate_limits, ..render_key(key) }
        });
        v1::Provider {
            id: stored.id.to_string(),
            name: stored.id.to_string(),
            keys: keys.collect(),
            built_in: *built_in,
            calendar_aligned: *calendar_aligned,
            calendar: followed.as_deref().map(calendar::render),
            revision: stored.revision,
            created_at: Some(timestamp(stored.created_at)),
            updated_at: Some(timestamp(stored.updated_at)),
            managed_by: managed_by.to_string(),
        }
    }

    fn recall(&mut self, message: &v1::Provider, _form: Form, path: &Path<'_>, violations: &mut Violations) {
        self.built_in = message.built_in;
        let list = path.field("keys");
        for (index, (own, key)) in self.keys.iter_mut().zip(&message.keys).enumerate() {
            let path = list.index(index);
            if key.id.is_empty() {
                violations.add(path.field("id"), "is empty; must be the id that the key has");
            }
            limits::recall(&mut own.limits, &key.budgets, &key.rate_limits, &path, violations);
        }
    }

    fn times(message: &v1::Provider) -> [Option<prost_types::Timestamp>; 2] {
        [message.created_at, message.updated_at]
    }

    fn identity(message: &v1::Provider) -> (&str, i64) {
        (named(&message.name, &message.id), message.revision)
    }

    fn config_resource(message: v1::Provider) -> v1::config_resource::Resource {
        v1::config_resource::Resource::Provider(message)
    }
}

/// A provider key as a message, without its limits.
pub fn render_key(key: &ProviderKey) -> v1::ProviderKey {
    v1::ProviderKey {
        budgets: Vec::new(),
        rate_limits: Vec::new(),
        id: key.id.to_string(),
        name: key.name.to_string(),
        models: key.models.iter().map(ToString::to_string).collect(),
    }
}

/// The name that identifies a resource whose name is its id; the output-only id does where the name is left out.
pub(super) fn named<'a>(name: &'a str, id: &'a str) -> &'a str {
    if name.trim().is_empty() { id.trim() } else { name.trim() }
}
