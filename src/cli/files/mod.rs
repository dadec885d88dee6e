//! Configuration in files: documents in YAML or JSON, read into resources of the API, and resources written as documents.
//! `docs/files.md` describes the format.

mod check;
mod node;
mod output_only;
pub(super) mod reference;
pub(super) mod render;
mod secret;
mod shape;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value as Field};

use self::node::{Node, Value};
pub(super) use self::secret::ValueFrom;
use self::shape::{Faults, Reading, nearest};
use super::Failure;
use super::remote::descriptor;
use crate::domain::Kind;
use crate::proto::v1;

/// The most documents that are checked together. One revision takes a tenth of them.
pub(super) const MAX_DOCUMENTS: usize = 100_000;
/// The most faults that are shown.
const MAX_SHOWN: usize = 50;

#[derive(Args, Debug)]
pub(super) struct FilesArgs {
    /// File with documents in YAML or JSON, or a folder, of which all files named *.yaml, *.yml and *.json are read, also in
    /// folders below; `-` is standard input. May be given several times
    #[arg(
        short = 'f',
        long = "file",
        env = "TOLLGATE_FILES",
        value_delimiter = ',',
        required = true,
        value_name = "PATH"
    )]
    pub(super) files: Vec<PathBuf>,
}

/// A resource that a file describes.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// The file, as it was named.
    pub(super) file: Arc<Path>,
    pub(super) kind: Kind,
    pub(super) resource: v1::ConfigResource,
    /// Where the value of a key comes from, if the document says so.
    pub(super) value_from: Option<ValueFrom>,
    node: Node,
}

/// Something that is wrong with a document.
#[derive(PartialEq, Debug)]
pub(super) struct Fault {
    file: Arc<Path>,
    line: usize,
    path: String,
    text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, path, text } = self;
        write!(f, "{}:{line}: ", file.display())?;
        if path.is_empty() { f.write_str(text) } else { write!(f, "{path} {text}") }
    }
}

impl Document {
    /// The resource, as a message of its kind.
    pub(super) fn message(&self) -> Option<DynamicMessage> {
        let any = super::remote::dynamic(&self.resource).ok()?;
        any.get_field_by_name(self.kind.name())?.as_message().cloned()
    }

    /// A fault of this document; `path` begins in the resource, as `budgets[0].max_limit`.
    pub(super) fn fault(&self, path: &str, text: impl Into<String>) -> Fault {
        let path = self.as_written(path);
        let line = self.node.line_of(path);
        Fault { file: self.file.clone(), line, path: path.to_owned(), text: text.into() }
    }

    /// The fields that the document names, as the API calls them; those too whose value is the default.
    fn fields(&self, message: &DynamicMessage) -> Vec<String> {
        let Value::Map(entries) = &self.node.value else { return Vec::new() };
        let descriptor = message.descriptor();
        let known = |name: &str| {
            let field = descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            field.map(|field| field.name().to_owned())
        };
        let named = |entry: &node::Entry| match reference::shorthand(self.kind, &entry.name) {
            Some(shorthand) => {
                shorthand.scope.and_then(|_| known("scope")).into_iter().chain(known(shorthand.field)).collect()
            }
            None => Vec::from_iter(known(&entry.name)),
        };
        entries.iter().flat_map(named).collect()
    }

    /// The shorthand that stands in the document for a field of the resource, if one does.
    fn as_written<'a>(&self, path: &'a str) -> &'a str {
        let stands_for = |name: &&str| {
            let shorthand = reference::shorthand(self.kind, name);
            self.node.entry(name).is_some() && shorthand.is_some_and(|shorthand| shorthand.field == path)
        };
        ["customer", "team", "virtual_key"].into_iter().find(stands_for).unwrap_or(path)
    }
}

/// Reads all documents.
///
/// # Errors
///
/// Something cannot be read, or is wrong: each fault is shown on standard error, with file, line and path.
pub(super) fn load(files: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let (documents, faults) = read(&source::all(files)?);
    if !faults.is_empty() {
        return Err(failed(&faults));
    }
    if documents.is_empty() {
        return Err(Failure::Failed("the files have no documents".into()));
    }
    Ok(documents)
}

/// Shows faults, and says how many there are.
pub(super) fn failed(faults: &[Fault]) -> Failure {
    for fault in faults.iter().take(MAX_SHOWN) {
        eprintln!("{}", super::remote::printable(&fault.to_string()));
    }
    let hidden = match faults.len().saturating_sub(MAX_SHOWN) {
        0 => String::new(),
        hidden => format!(", of which the last {hidden} are not shown"),
    };
    let count = faults.len();
    Failure::Failed(format!("{count} fault{} in the files{hidden}; nothing was done", plural(count)).into())
}

/// The ending of a noun that is counted.
pub(super) const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// A part of a document, as flags describe it, and the fields that it names: what is missing is not looked for.
///
/// # Errors
///
/// The faults, without their lines.
pub(super) fn fragment(text: &str) -> Result<(DynamicMessage, Vec<String>), String> {
    let mut faults = Faults::default();
    let nodes = node::documents(text).map_err(|malformed| malformed.text)?;
    let read = nodes.into_iter().next().and_then(|node| document(&Path::new("").into(), node, &mut faults));
    let said = || faults.0.iter().map(|(_, path, text)| format!("{path} {text}")).collect::<Vec<_>>().join("; ");
    match read {
        Some(document) => {
            let message = document.message().ok_or_else(said)?;
            let fields = document.fields(&message);
            Ok((message, fields))
        }
        None => Err(said()),
    }
}

/// The documents of texts, and all that is wrong with them.
fn read(sources: &[source::Source]) -> (Vec<Document>, Vec<Fault>) {
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for source::Source { file, text } in sources {
        let fault = |line, path, text| Fault { file: file.clone(), line, path, text };
        let nodes = match node::documents(text) {
            Ok(nodes) => nodes,
            Err(node::Malformed { line, text }) => {
                faults.push(fault(line, String::new(), text));
                continue;
            }
        };
        let items = nodes.into_iter().flat_map(|node| match node.value {
            Value::List(items) => items,
            _ => vec![node],
        });
        for node in items {
            let mut found = Faults::default();
            if let Some(document) = document(file, node, &mut found) {
                documents.push(document);
            }
            faults.extend(found.0.into_iter().map(|(line, path, text)| fault(line, path, text)));
        }
    }
    if faults.is_empty() {
        check::all(&documents, &mut faults);
    }
    (documents, faults)
}

/// The name of a kind in documents: that of its message.
pub(super) const fn message_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => "Customer",
        Kind::Team => "Team",
        Kind::VirtualKey => "VirtualKey",
        Kind::RoutingRule => "RoutingRule",
        Kind::ModelConfig => "ModelConfig",
        Kind::ProviderGovernance => "ProviderGovernance",
        Kind::PricingOverride => "PricingOverride",
        Kind::Provider => "Provider",
        Kind::McpClient => "McpClient",
        Kind::ModelPrice => "ModelPrice",
        Kind::Webhook => "Webhook",
        Kind::Token => "Token",
    }
}

/// Reads a document, and adds everything that is wrong with it to `faults`.
fn document(file: &Arc<Path>, node: Node, faults: &mut Faults) -> Option<Document> {
    let Value::Map(entries) = &node.value else {
        faults.add(node.line, "", format!("must be a document, a mapping with `kind`, and is {}", node.value.name()));
        return None;
    };
    // Webhooks and access tokens have secrets that are shown when they are made.
    let kinds = Kind::ALL.into_iter().filter(|kind| !matches!(kind, Kind::Webhook | Kind::Token));
    let names = kinds.clone().map(message_name);
    let Some(named) = node.entry("kind") else {
        faults.add(node.line, "kind", format!("is missing; write one of {}", names.collect::<Vec<_>>().join(", ")));
        return None;
    };
    let text = match &named.node.value {
        Value::Text(text) => text.as_str(),
        _ => "",
    };
    let Some(kind) = kinds.into_iter().find(|kind| message_name(*kind) == text) else {
        faults.add(named.line, "kind", format!("{text:?} is none{}", nearest(text, names)));
        return None;
    };
    let mut message = DynamicMessage::new(descriptor(&format!("tollgate.v1.{text}")).ok()?);
    // An answer of the API has these together, and nobody writes them.
    let answer = ["revision", "created_at"].iter().all(|name| node.entry(name).is_some())
        || ["revision", "createdAt"].iter().all(|name| node.entry(name).is_some());
    let before = faults.0.len();
    let (mut value_from, mut rest) = (None, Vec::new());
    for entry in entries {
        let (name, line) = (entry.name.as_str(), entry.line);
        match (name, &entry.node.value) {
            ("kind", _) => {}
            ("id", Value::Text(id)) if !answer => message.set_field_by_name("id", Field::String(id.clone())),
            ("value", _) if kind == Kind::VirtualKey => {
                if !answer {
                    let text = "is a secret, which is not kept in files; write `value_from: {env: NAME}`, `value_from: \
                                {file: PATH}` or `value_sha256`, or leave it out for the server to make one";
                    faults.add(line, name, text);
                }
            }
            ("value_from", _) if kind == Kind::VirtualKey => value_from = secret::read(file, &entry.node, faults),
            (_, Value::Text(text)) => match reference::shorthand(kind, name) {
                Some(shorthand) => match reference::reference(shorthand.refers_to, text) {
                    Ok(reference) => set(&mut message, &shorthand, reference, line, name, faults),
                    Err(text) => faults.add(line, name, text),
                },
                None => rest.push(entry.clone()),
            },
            _ => rest.push(entry.clone()),
        }
    }
    Reading { answer }.entries(&mut message, &rest, "", faults);
    if faults.0.len() > before {
        return None;
    }
    let mut any = DynamicMessage::new(descriptor("tollgate.v1.ConfigResource").ok()?);
    any.set_field_by_name(kind.name(), Field::Message(message));
    let resource = any.transcode_to().ok()?;
    Some(Document { file: file.clone(), kind, resource, value_from, node })
}

/// Sets what a shorthand stands for.
fn set(
    message: &mut DynamicMessage,
    shorthand: &reference::Shorthand,
    reference: String,
    line: usize,
    name: &str,
    faults: &mut Faults,
) {
    if message.has_field_by_name(shorthand.field) {
        return faults.add(line, name, "is set beside another parent or scope; leave one out");
    }
    message.set_field_by_name(shorthand.field, Field::String(reference));
    let scope = shorthand.scope.and_then(|scope| {
        let field = message.descriptor().get_field_by_name("scope")?;
        let number = field.kind().as_enum()?.get_value_by_name(scope)?.number();
        Some((field, number))
    });
    if let Some((field, number)) = scope {
        message.set_field(&field, Field::EnumNumber(number));
    }
}

/// The one document of a text in YAML or JSON, as JSON. Other programs' files are read so.
///
/// # Errors
///
/// Line and fault.
pub(super) fn tree(text: &str) -> Result<serde_json::Value, String> {
    let mut nodes = node::documents(text).map_err(|node::Malformed { line, text }| format!("{line}: {text}"))?;
    match nodes.len() {
        0 => Err("1: is empty".to_owned()),
        1 => Ok(nodes.remove(0).json()),
        count => Err(format!("1: has {count} documents; expected one")),
    }
}

/// All that is wrong with the one document of a text.
pub(super) fn faults(text: String) -> Vec<String> {
    let source = source::Source { file: Path::new("").into(), text };
    let (_, faults) = read(&[source]);
    faults.into_iter().map(|Fault { path, text, .. }| format!("{path} {text}").trim().to_owned()).collect()
}
