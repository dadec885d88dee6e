//! Checks of documents that need no server: of each by itself, and of all together.

use std::collections::HashMap;

use super::{Document, Fault, MAX_DOCUMENTS};
use crate::domain::{
    Customer, McpClient, ModelConfig, ModelPrice, Path, PricingOverride, Provider, ProviderGovernance, Resource,
    RoutingRule, Team, Token, Violations, VirtualKey, Webhook,
};
use crate::proto::v1::ConfigResource;
use crate::proto::v1::config_resource::Resource as Message;
use crate::wire::{Wire, parse_secrets};

/// Checks documents by the rules of the API.
pub(super) fn all(documents: &[Document], faults: &mut Vec<Fault>) {
    if let Some(document) = documents.get(MAX_DOCUMENTS) {
        let (count, most) = (documents.len(), MAX_DOCUMENTS);
        let text =
            format!("is one of {count} documents, and {most} are checked together; apply them in parts, parents first");
        return faults.push(document.fault("kind", text));
    }
    let mut known: HashMap<String, &Document> = HashMap::new();
    for document in documents {
        let mut violations = Violations::new();
        let root = accept(document.resource.clone(), &mut violations);
        for violation in violations.iter() {
            let path = violation.field.trim_start_matches(root).trim_start_matches('.');
            faults.push(document.fault(path, violation.description.clone()));
        }
        if document.value_from.is_some() && has_hash(&document.resource) {
            faults.push(document.fault("value_from", "is set beside value_sha256; leave one of the two out"));
        }
        if let Some(first) = known.insert(identity(&document.resource), document) {
            let (file, line) = (first.file.display(), first.node.line);
            faults
                .push(document.fault("kind", format!("is of a resource that {file}:{line} describes; leave one out")));
        }
    }
}

fn has_hash(resource: &ConfigResource) -> bool {
    matches!(&resource.resource, Some(Message::VirtualKey(key)) if !key.value_sha256.is_empty())
}

/// Checks a resource as the server does. The name with which paths begin.
fn accept(resource: ConfigResource, violations: &mut Violations) -> &'static str {
    fn of<R: Wire>(message: R::Message, violations: &mut Violations) -> &'static str {
        R::accept(message, &Path::root(R::KIND.name()), violations);
        R::KIND.name()
    }
    match resource.resource {
        Some(Message::Customer(message)) => of::<Customer>(message, violations),
        Some(Message::Team(message)) => of::<Team>(message, violations),
        Some(Message::VirtualKey(message)) => {
            parse_secrets(&message, &Path::root(VirtualKey::KIND.name()), violations);
            of::<VirtualKey>(message, violations)
        }
        Some(Message::RoutingRule(message)) => of::<RoutingRule>(message, violations),
        Some(Message::ModelConfig(message)) => of::<ModelConfig>(message, violations),
        Some(Message::ProviderGovernance(message)) => of::<ProviderGovernance>(message, violations),
        Some(Message::PricingOverride(message)) => of::<PricingOverride>(message, violations),
        Some(Message::Provider(message)) => of::<Provider>(message, violations),
        Some(Message::McpClient(message)) => of::<McpClient>(message, violations),
        Some(Message::ModelPrice(message)) => of::<ModelPrice>(message, violations),
        Some(Message::Webhook(message)) => of::<Webhook>(message, violations),
        Some(Message::Token(message)) => of::<Token>(message, violations),
        None => "",
    }
}

/// By what a server finds the resource of a document: its id, or else its place and name.
fn identity(resource: &ConfigResource) -> String {
    let parts = |kind: &str, id: &str, parts: &[&str]| match id {
        "" => format!("{kind} {}", parts.iter().map(|part| format!("{:?}", part.trim())).collect::<Vec<_>>().join(" ")),
        id => format!("{kind} by id {id}"),
    };
    match &resource.resource {
        Some(Message::Customer(it)) => parts("customer", &it.id, &[&it.name]),
        Some(Message::Team(it)) => parts("team", &it.id, &[&it.customer_id, &it.name]),
        Some(Message::VirtualKey(it)) => parts("virtual key", &it.id, &[&it.customer_id, &it.team_id, &it.name]),
        Some(Message::RoutingRule(it)) => {
            parts("routing rule", &it.id, &[it.scope().as_str_name(), &it.scope_id, &it.name])
        }
        Some(Message::ModelConfig(it)) => {
            let place = [it.scope().as_str_name(), &it.scope_id, &it.provider, &it.model_name];
            parts("model config", &it.id, &place)
        }
        Some(Message::ProviderGovernance(it)) => parts("provider governance", "", &[&it.provider]),
        Some(Message::PricingOverride(it)) => {
            let place =
                [it.scope_kind().as_str_name(), &it.virtual_key_id, &it.provider_id, &it.provider_key_id, &it.name];
            parts("pricing override", &it.id, &place)
        }
        Some(Message::Provider(it)) => parts("provider", "", &[&it.name]),
        Some(Message::McpClient(it)) => parts("MCP client", "", &[&it.name]),
        Some(Message::ModelPrice(it)) => {
            let from = it.valid_from.as_ref().map(ToString::to_string).unwrap_or_default();
            parts("model price", &it.id, &[&it.provider, &it.model, &from])
        }
        Some(Message::Webhook(it)) => parts("webhook", &it.id, &[&it.name]),
        Some(Message::Token(it)) => parts("access token", &it.id, &[&it.name]),
        None => String::new(),
    }
}
