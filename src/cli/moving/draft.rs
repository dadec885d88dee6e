//! The documents that a migration makes, and what was spent on their limits.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use prost_reflect::DynamicMessage;
use serde_json::{Map, Value};

use super::money::moment;
use super::report::{Fate, Report, SpendNote};
use crate::cli::Failure;
use crate::cli::change::apply::label;
use crate::cli::files::faults;
use crate::cli::files::reference::segment;
use crate::cli::files::render::{Paths, document};
use crate::cli::remote::{amount, dynamic};
use crate::cli::resource::place::{Places, shortened};
use crate::cli::resource::subject::noun;
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::config_resource::Resource;

/// The order of kinds in files: what is referred to comes first.
pub(super) const ORDER: [(Kind, &str); 9] = [
    (Kind::Provider, "providers"),
    (Kind::McpClient, "mcp-clients"),
    (Kind::Customer, "customers"),
    (Kind::Team, "teams"),
    (Kind::VirtualKey, "keys"),
    (Kind::ModelConfig, "model-configs"),
    (Kind::ProviderGovernance, "governance"),
    (Kind::RoutingRule, "rules"),
    (Kind::PricingOverride, "overrides"),
];

/// The longest name, in bytes.
const MAX_NAME: usize = 1_024;
/// The most labels of a resource, and the longest name of one, in bytes.
const MAX_LABELS: usize = 64;
const MAX_LABEL_NAME: usize = 128;

/// How long the value that a key had before may work.
const GRACE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Usage of a budget in its current window.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spend {
    /// The length of the window.
    pub(super) length: String,
    /// The provider for which a key has the budget; empty if it is the owner's own.
    pub(super) provider: String,
    /// Nano-dollars.
    pub(super) amount: i64,
    pub(super) place: String,
}

impl Spend {
    /// Its fate, for the report.
    pub(super) fn note(&self, subject: &str, outcome: String) -> SpendNote {
        let Self { length, provider, amount: spent, place } = self;
        let of = if provider.is_empty() { String::new() } else { format!(" for {provider}") };
        SpendNote {
            subject: subject.to_owned(),
            place: place.clone(),
            limit: format!("budget of {length}{of}"),
            amount: amount(v1::LimitKind::Budget, *spent),
            outcome,
        }
    }
}

/// A document.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) resource: v1::ConfigResource,
    /// Kind and path, for people.
    pub(super) subject: String,
    place: String,
    pub(super) spend: Vec<Spend>,
    /// As it is written into a file.
    pub(super) text: String,
}

/// All documents.
#[derive(Default, Debug)]
pub(super) struct Drafts {
    pub(super) all: Vec<Draft>,
}

impl Drafts {
    /// Adds a document, if it is right. Returns its kind and path, for people.
    pub(super) fn add(
        &mut self,
        resource: Resource,
        place: &str,
        spend: Vec<Spend>,
        report: &mut Report,
    ) -> Result<String, Failure> {
        let resource = v1::ConfigResource { resource: Some(resource) };
        let (kind, message) = parts(&resource)?;
        let subject = format!("{} {}", noun(kind), label(&resource));
        let text = format!("# {}\n{}", place.replace(char::is_control, " "), document(&message, &Named));
        let wrong = faults(text.clone());
        if wrong.is_empty() {
            self.all.push(Draft { kind, resource, subject: subject.clone(), place: place.to_owned(), spend, text });
        } else {
            report.add(Fate::Impossible, &subject, place, format!("left out: {}", wrong.join("; ")));
        }
        Ok(subject)
    }

    /// Puts the documents into the order of files, leaves out those whose parents were left out, and tells what was made.
    /// Each amount that was spent is said to stay behind.
    pub(super) fn finish(&mut self, report: &mut Report) {
        let order = |kind: Kind| ORDER.iter().position(|(other, _)| *other == kind);
        self.all.sort_by_key(|draft| order(draft.kind));
        let mut known: HashSet<(Kind, String)> = HashSet::new();
        self.all.retain(|draft| {
            let missing = references(&draft.resource).into_iter().find(|reference| !known.contains(reference));
            if let Some((kind, path)) = missing {
                let text =
                    format!("left out, because the {} {} was", noun(kind), shortened(path.trim_start_matches("name:")));
                report.add(Fate::Impossible, &draft.subject, &draft.place, text);
                return false;
            }
            if let Some(path) = path(&draft.resource) {
                known.insert((draft.kind, path));
            }
            report.made(&noun(draft.kind), &draft.subject, &draft.place);
            true
        });
        let behind = "stays behind: documents have no counts; --apply, or `tollgate usage adjust`, brings it along";
        for draft in &self.all {
            report.spend.extend(draft.spend.iter().map(|spend| spend.note(&draft.subject, behind.to_owned())));
        }
    }
}

/// The kind of a resource, and its message.
fn parts(resource: &v1::ConfigResource) -> Result<(Kind, DynamicMessage), Failure> {
    let any = dynamic(resource)?;
    let found = ORDER.into_iter().find_map(|(kind, _)| {
        any.has_field_by_name(kind.name())
            .then(|| any.get_field_by_name(kind.name())?.as_message().cloned())?
            .map(|it| (kind, it))
    });
    found.ok_or_else(|| Failure::Failed("a resource of a kind that no file has".into()))
}

/// The reference to a customer.
pub(super) fn customer(name: &str) -> String {
    format!("name:{}", segment(name))
}

/// The reference to a team; of a team without customer with an empty one.
pub(super) fn team(customer: &str, name: &str) -> String {
    format!("name:{}/{}", segment(customer), segment(name))
}

/// The reference by which other documents name this one.
pub(super) fn path(resource: &v1::ConfigResource) -> Option<String> {
    let parent = |id: &str| id.trim_start_matches("name:").to_owned();
    match resource.resource.as_ref()? {
        Resource::Customer(it) => Some(customer(&it.name)),
        Resource::Team(it) => Some(format!("name:{}/{}", parent(&it.customer_id), segment(&it.name))),
        Resource::VirtualKey(it) if it.team_id.is_empty() => {
            Some(format!("name:{}//{}", parent(&it.customer_id), segment(&it.name)))
        }
        Resource::VirtualKey(it) => Some(format!("name:{}/{}", parent(&it.team_id), segment(&it.name))),
        _ => None,
    }
}

/// The customers, teams and keys that a resource names.
fn references(resource: &v1::ConfigResource) -> Vec<(Kind, String)> {
    let scoped = |kind: Option<Kind>, id: &str| kind.map(|kind| (kind, id.to_owned()));
    let found = match &resource.resource {
        Some(Resource::Team(it)) => vec![scoped(Some(Kind::Customer), &it.customer_id)],
        Some(Resource::VirtualKey(it)) => {
            vec![scoped(Some(Kind::Customer), &it.customer_id), scoped(Some(Kind::Team), &it.team_id)]
        }
        Some(Resource::ModelConfig(it)) => {
            let kind = match it.scope() {
                v1::ModelConfigScope::Customer => Some(Kind::Customer),
                v1::ModelConfigScope::Team => Some(Kind::Team),
                v1::ModelConfigScope::VirtualKey => Some(Kind::VirtualKey),
                v1::ModelConfigScope::Global | v1::ModelConfigScope::Unspecified => None,
            };
            vec![scoped(kind, &it.scope_id)]
        }
        Some(Resource::RoutingRule(it)) => {
            let kind = match it.scope() {
                v1::RoutingScope::Customer => Some(Kind::Customer),
                v1::RoutingScope::Team => Some(Kind::Team),
                v1::RoutingScope::VirtualKey => Some(Kind::VirtualKey),
                v1::RoutingScope::Global | v1::RoutingScope::Unspecified => None,
            };
            vec![scoped(kind, &it.scope_id)]
        }
        Some(Resource::PricingOverride(it)) => vec![scoped(Some(Kind::VirtualKey), &it.virtual_key_id)],
        _ => Vec::new(),
    };
    found.into_iter().flatten().filter(|(_, id)| !id.is_empty()).collect()
}

/// References by name, as documents write them.
struct Named;

impl Paths for Named {
    fn shorthand(&self, message: &DynamicMessage, field: &str) -> Option<(String, String)> {
        let (name, reference) = Places::default().shorthand(message, field)?;
        Some((name, shortened(reference.trim_start_matches("name:"))))
    }
}

/// Names that are taken, by the place where they must be unique.
#[derive(Default, Debug)]
pub(super) struct Names(HashMap<String, HashSet<String>>);

impl Names {
    /// A name that is free in `place`: the one that is wished for, or else with the beginning of `id` behind it. A change
    /// is told.
    pub(super) fn take(
        &mut self,
        place: &str,
        wished: Option<&str>,
        fallback: &str,
        id: &str,
        told: &mut Told,
    ) -> String {
        let plain = |text: &str| text.replace(char::is_control, " ").trim().to_owned();
        let mut name = plain(wished.unwrap_or_default());
        if name.is_empty() {
            name = plain(fallback);
            told.changed("it has no name, and is called by its id");
        } else if Some(name.as_str()) != wished {
            told.changed("white space and control characters of its name are gone");
        }
        if name.len() > MAX_NAME - 16 {
            name = name
                .chars()
                .scan(0, |bytes, c| {
                    *bytes += c.len_utf8();
                    (*bytes <= MAX_NAME - 16).then_some(c)
                })
                .collect();
            told.changed("its name is cut to 1,008 bytes");
        }
        let taken = self.0.entry(place.to_owned()).or_default();
        let short: String = id.chars().take(8).collect();
        let mut free = name.clone();
        for count in 1.. {
            if taken.insert(free.clone()) {
                break;
            }
            free = if count == 1 { format!("{name} ({short})") } else { format!("{name} ({short}-{count})") };
        }
        if free != name {
            told.changed("another one there has its name; the beginning of its id stands behind it");
        }
        free
    }
}

/// Findings about an entry, to be told once its document has a name.
#[derive(Default, Debug)]
pub(super) struct Told(Vec<(Fate, String)>);

impl Told {
    pub(super) fn changed(&mut self, text: impl Into<String>) {
        self.0.push((Fate::Changed, text.into()));
    }

    pub(super) fn impossible(&mut self, text: impl Into<String>) {
        self.0.push((Fate::Impossible, text.into()));
    }

    /// Tells it.
    pub(super) fn tell(self, subject: &str, place: &str, report: &mut Report) {
        for (fate, text) in self.0 {
            report.add(fate, subject, place, text);
        }
    }
}

/// The hash of the value that a key had before its rotation, and until when that works.
pub(super) fn previous_value(
    hash: Vec<u8>,
    until: Timestamp,
    now: Timestamp,
    told: &mut Told,
) -> Option<(Vec<u8>, prost_types::Timestamp)> {
    if until.duration_since(now) > GRACE {
        told.impossible("its earlier value works no more: here one does for at most 30 days");
        return None;
    }
    told.changed(format!("its earlier value works until {until}; a document that is applied later must do without it"));
    Some((hash, moment(until)))
}

/// Free data as labels, as far as it fits: texts, numbers, booleans, and lists of texts. What looks like a secret is left out.
pub(super) fn labels(data: &Map<String, Value>, passed_over: &[&str], told: &mut Told) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, value) in data.iter().filter(|(name, _)| !passed_over.contains(&name.as_str())) {
        let named = shown(name);
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(items) if items.iter().all(Value::is_string) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            Value::Array(_) | Value::Object(_) => {
                told.impossible(format!("{named} of its metadata is nested, and labels are texts"));
                continue;
            }
        };
        let fits = !name.trim().is_empty() && name.len() <= MAX_LABEL_NAME && text.len() <= MAX_NAME;
        if is_secret(name, &text) {
            told.impossible(format!("{named} of its metadata looks like a secret, and files have none"));
        } else if !fits || labels.len() >= MAX_LABELS || [name, &text].iter().any(|it| it.contains(char::is_control)) {
            told.impossible(format!(
                "{named} of its metadata is no label: there are at most 64, of one line, with names of 128 bytes and values \
                 of 1,024"
            ));
        } else {
            if !value.is_string() {
                told.changed(format!("{named} of its metadata is the text of a label"));
            }
            labels.insert(name.clone(), text);
        }
    }
    labels
}

/// A name of a field for the report.
pub(super) fn shown(name: &str) -> String {
    let cut: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("`{cut}`")
}

/// Whether a setting may be a secret, by its name or by its value.
fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let names =
        ["secret", "password", "passwd", "token", "credential", "api_key", "apikey", "private_key", "authorization"];
    let values = ["sk-", "Bearer ", "os.environ/", "env.", "-----BEGIN", "AKIA", "ghp_", "xoxb-", "eyJ"];
    names.iter().any(|part| name.contains(part)) || values.iter().any(|start| value.trim_start().starts_with(start))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_clash_or_are_missing_get_the_beginning_of_the_id() {
        let (mut names, mut told) = (Names::default(), Told::default());
        let mut take = |wished, id| names.take("p", wished, &format!("key-{id}"), id, &mut told);
        assert_eq!(take(Some("a"), "0123456789"), "a");
        assert_eq!(take(Some("a"), "abcdefghij"), "a (abcdefgh)");
        assert_eq!(take(Some("a"), "abcdefghij"), "a (abcdefgh-2)");
        assert_eq!(take(Some(" b\n"), "x"), "b");
        assert_eq!(take(None, "x"), "key-x");
        assert_eq!(told.0.len(), 4);
    }

    #[test]
    fn labels_have_no_secrets() {
        let data = json!({
            "cost_centre": "4711", "tags": ["a", "b"], "floor": 3, "nested": {"a": 1}, "api_key": "x", "note": "sk-1234",
            "logging": [{"secret": 1}],
        });
        let mut told = Told::default();
        let found = labels(data.as_object().unwrap(), &["logging"], &mut told);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("cost_centre", "4711"), ("floor", "3"), ("tags", "a,b")]);
        assert_eq!(told.0.iter().filter(|(fate, _)| *fate == Fate::Impossible).count(), 3);
    }
}
