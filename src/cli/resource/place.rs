//! Paths of resources in the hierarchy, and what scopes refer to.

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, ReflectMessage as _};

use super::api::{Api, Call, resource, text};
use super::find::full;
use super::subject::Subject;
use crate::cli::Failure;
use crate::cli::files::reference::segment;
use crate::cli::files::render::Paths;
use crate::domain::Kind;

/// The path of a customer, team or key, as commands and files take it, if the message has its parents embedded; else the
/// name. Of other kinds how they are named.
pub(in crate::cli) fn path(kind: Kind, message: &DynamicMessage) -> String {
    let name = segment(&text(message, "name"));
    let parent = |field: &str| {
        let parent = message.get_field_by_name(field);
        let parent = parent.and_then(|parent| parent.as_message().map(|parent| text(parent, "name")));
        segment(&parent.unwrap_or_default())
    };
    match kind {
        Kind::Team => shortened(&[parent("customer"), name].join("/")),
        Kind::VirtualKey => shortened(&[parent("customer"), parent("team"), name].join("/")),
        Kind::ModelConfig => match text(message, "provider") {
            provider if provider.is_empty() => text(message, "model_name"),
            provider => format!("{provider}/{}", text(message, "model_name")),
        },
        Kind::ModelPrice => format!("{}/{}", text(message, "provider"), text(message, "model")),
        Kind::ProviderGovernance => text(message, "provider"),
        Kind::Provider | Kind::McpClient | Kind::RoutingRule | Kind::PricingOverride | Kind::Webhook | Kind::Token => {
            text(message, "name")
        }
        Kind::Customer => name,
    }
}

/// A path as it is shown: what has no parent at all is named alone.
pub(in crate::cli) fn shortened(path: &str) -> String {
    let named = path.trim_start_matches('/');
    if named.contains('/') { path.to_owned() } else { named.to_owned() }
}

/// Paths of the customers, teams and keys that resources refer to.
#[derive(Default)]
pub(in crate::cli) struct Places(HashMap<String, (Kind, String)>);

impl Places {
    /// Asks for what `messages` refer to, each once.
    pub(in crate::cli) async fn of(api: &Api, messages: &[DynamicMessage]) -> Result<Self, Failure> {
        let mut places = Self::default();
        let named = messages.iter().flat_map(references);
        let mut keys: Vec<(Kind, String)> = named.map(|(_, kind, id)| (kind, id)).collect();
        keys.sort_by_key(|(kind, id)| (kind.number(), id.clone()));
        keys.dedup();
        // Where many are asked for, the lists are cheaper than each by itself.
        for kind in [Kind::Customer, Kind::Team, Kind::VirtualKey] {
            let ids: Vec<_> = keys.iter().filter(|(of, _)| *of == kind).map(|(_, id)| id.clone()).collect();
            let found = if ids.len() > 20 {
                let call = super::api::listing(Subject::Kind(kind))?.with("view", full());
                api.list(call).await?
            } else {
                let mut found = Vec::new();
                for id in ids {
                    found
                        .push(resource(&api.call(Call::of(kind, "Get")?.text("id", &id).with("view", full())).await?)?);
                }
                found
            };
            places.0.extend(found.iter().map(|message| (text(message, "id"), (kind, path(kind, message)))));
        }
        Ok(places)
    }

    /// The path of what has this id, or the id if it was not asked for.
    pub(in crate::cli) fn name(&self, id: &str) -> String {
        self.0.get(id).map_or_else(|| id.to_owned(), |(_, path)| path.clone())
    }
}

/// The customers, teams and keys that a resource names, and in which fields.
pub(super) fn references(message: &DynamicMessage) -> Vec<(&'static str, Kind, String)> {
    let kind = |field: &str| match field {
        "customer_id" => Some(Kind::Customer),
        "team_id" => Some(Kind::Team),
        "virtual_key_id" => Some(Kind::VirtualKey),
        "scope_id" => scope_kind(message),
        _ => None,
    };
    let fields = ["customer_id", "team_id", "virtual_key_id", "scope_id"];
    let found = fields.into_iter().filter_map(|field| Some((field, kind(field)?, text(message, field))));
    found.filter(|(.., id)| !id.is_empty()).collect()
}

/// The kind that `scope_id` refers to.
fn scope_kind(message: &DynamicMessage) -> Option<Kind> {
    let descriptor = message.descriptor().get_field_by_name("scope")?;
    let number = message.get_field(&descriptor).as_enum_number()?;
    let name = descriptor.kind().as_enum()?.get_value(number)?.name().to_owned();
    [Kind::Customer, Kind::Team, Kind::VirtualKey]
        .into_iter()
        .find(|kind| name.ends_with(&format!("SCOPE_{}", kind.name().to_uppercase())))
}

impl Paths for Places {
    fn shorthand(&self, message: &DynamicMessage, field: &str) -> Option<(String, String)> {
        let kind = match field {
            "customer_id" => Kind::Customer,
            "team_id" => Kind::Team,
            "virtual_key_id" => Kind::VirtualKey,
            "scope_id" => scope_kind(message)?,
            // The shorthand of what it refers to says the scope too.
            "scope" => return scope_kind(message).map(|_| Default::default()),
            _ => return None,
        };
        let id = text(message, field);
        Some((kind.name().to_owned(), self.name(&id)))
    }
}
