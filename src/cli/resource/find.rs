//! Resources by id, name or path.

use prost_reflect::{DynamicMessage, Value};

use super::api::{Api, Call, listing, resource, text};
use super::place::{path, references, shortened};
use super::subject::{Subject, noun};
use crate::cli::Failure;
use crate::cli::files::reference::{is_id, reference, unescaped};
use crate::domain::Kind;
use crate::proto::v1::ResourceView;

/// The resource that `named` names.
///
/// # Errors
///
/// There is none, or more than one; or the server cannot be asked.
pub(in crate::cli) async fn find(api: &Api, kind: Kind, named: &str) -> Result<DynamicMessage, Failure> {
    let is_name = matches!(kind, Kind::Provider | Kind::McpClient | Kind::ProviderGovernance);
    if is_name || is_id(named) {
        let call = Call::of(kind, "Get")?.text("id", named).with("view", full());
        return resource(&api.call(call).await?);
    }
    let sought = Sought::new(kind, named)?;
    let mut call = listing(Subject::Kind(kind))?;
    if call.has("search") {
        call = call.text("search", &sought.name);
    }
    if call.has("view") {
        call = call.with("view", full());
    }
    let mut found = api.list(call).await?;
    found.retain(|message| sought.is(kind, message));
    match (found.len(), found.pop()) {
        (1, Some(found)) => Ok(found),
        (count, Some(last)) => {
            let paths = found.iter().chain([&last]).take(5).map(|message| match kind {
                Kind::Team | Kind::VirtualKey => path(kind, message),
                _ => text(message, "id"),
            });
            let paths = paths.collect::<Vec<_>>().join(", ");
            let (what, id) = (noun(kind), if matches!(kind, Kind::Team | Kind::VirtualKey) { "path" } else { "id" });
            Err(Failure::Failed(format!("{count} {what}s are named {named:?}; give the {id} of one: {paths}").into()))
        }
        (_, None) => {
            let named = shortened(named.trim_start_matches("name:"));
            Err(Failure::Failed(format!("no {} is named {named:?}", noun(kind)).into()))
        }
    }
}

/// A resource by its name, and by its path if one is given.
struct Sought {
    name: String,
    path: Option<String>,
}

impl Sought {
    fn new(kind: Kind, named: &str) -> Result<Self, Failure> {
        if !matches!(kind, Kind::Customer | Kind::Team | Kind::VirtualKey) {
            return Ok(Self { name: named.to_owned(), path: None });
        }
        let reference = reference(kind, named).map_err(|text| Failure::Usage(format!("{named:?} {text}").into()))?;
        let path = shortened(reference.trim_start_matches("name:"));
        let name = unescaped(path.rsplit('/').next().unwrap_or_default());
        let is_path = named.contains('/') || named.starts_with("name:");
        Ok(Self { name, path: is_path.then_some(path) })
    }

    fn is(&self, kind: Kind, message: &DynamicMessage) -> bool {
        names(kind, message).contains(&self.name) && self.path.as_ref().is_none_or(|it| *it == path(kind, message))
    }
}

/// Puts ids where a message names customers, teams and keys by path.
pub(super) async fn resolve(api: &Api, message: &mut DynamicMessage) -> Result<(), Failure> {
    for (field, kind, named) in references(message) {
        if named.starts_with("name:") {
            let found = find(api, kind, &named).await?;
            message.set_field_by_name(field, Value::String(text(&found, "id")));
        }
    }
    Ok(())
}

/// Related resources too, for paths.
pub(in crate::cli) fn full() -> Value {
    Value::EnumNumber(ResourceView::Full.into())
}

/// How people may name a resource that they give no id of.
fn names(kind: Kind, message: &DynamicMessage) -> Vec<String> {
    match kind {
        Kind::ModelConfig => {
            let model = text(message, "model_name");
            vec![format!("{}/{model}", text(message, "provider")), model]
        }
        Kind::ModelPrice => vec![format!("{}/{}", text(message, "provider"), text(message, "model"))],
        _ => vec![text(message, "name")],
    }
}
