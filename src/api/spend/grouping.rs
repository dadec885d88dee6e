//! The properties by which spend is listed apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::domain::{Customer, Labels, Path, Team, Violations, VirtualKey};
use crate::proto::v1;
use crate::usage::SpendSeries;

/// The most labels to group by: a page token holds their values.
const MAX_LABELS: usize = 3;
/// Stands between the parts of a key, and in none of them.
const SEPARATOR: char = '\u{1}';

enum Property {
    Customer,
    Team,
    VirtualKey,
    Provider,
    Model,
    Label(String),
}

impl Property {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "customer" => Self::Customer,
            "team" => Self::Team,
            "virtual_key" => Self::VirtualKey,
            "provider" => Self::Provider,
            "model" => Self::Model,
            _ => Self::Label(text.strip_prefix("label:").filter(|name| !name.is_empty())?.to_owned()),
        })
    }
}

/// Properties, in the client's order.
pub(super) struct Grouping(Vec<Property>);

impl Grouping {
    pub(super) fn parse(group_by: &[String], violations: &mut Violations) -> Self {
        let mut properties = Vec::with_capacity(group_by.len());
        for (index, text) in group_by.iter().enumerate() {
            let list = Path::root("group_by");
            let path = list.index(index);
            match Property::parse(text) {
                None => {
                    let text = "is no property; must be customer, team, virtual_key, provider, model or label:NAME";
                    violations.add(path, text);
                }
                Some(_) if group_by.iter().take(index).any(|before| before == text) => {
                    violations.add(path, "is a duplicate; name each property once");
                }
                Some(property) => properties.push(property),
            }
        }
        let labels = properties.iter().filter(|property| matches!(property, Property::Label(_))).count();
        if labels > MAX_LABELS {
            let text = format!("has {labels} labels; must have at most {MAX_LABELS}");
            violations.add(Path::root("group_by"), text);
        }
        Self(properties)
    }

    /// The group of a series: a text by which groups are ordered, and a row with what they have in common.
    pub(super) fn of(&self, series: &SpendSeries, config: &Config) -> (String, v1::SpendRow) {
        let (mut key, mut row) = (String::new(), v1::SpendRow::default());
        for property in &self.0 {
            let part = match property {
                Property::Customer => {
                    let stored = config.get::<Customer>(&series.customer_id);
                    row.customer_name = stored.map(|it| it.resource.name.to_string()).unwrap_or_default();
                    row.customer_id = series.customer_id.to_string();
                    Arc::clone(&series.customer_id)
                }
                Property::Team => {
                    let stored = config.get::<Team>(&series.team_id);
                    row.team_name = stored.map(|it| it.resource.name.to_string()).unwrap_or_default();
                    row.team_id = series.team_id.to_string();
                    Arc::clone(&series.team_id)
                }
                Property::VirtualKey => {
                    let stored = config.get::<VirtualKey>(&series.virtual_key_id);
                    row.virtual_key_name = stored.map(|it| it.resource.name.to_string()).unwrap_or_default();
                    row.virtual_key_id = series.virtual_key_id.to_string();
                    Arc::clone(&series.virtual_key_id)
                }
                Property::Provider => {
                    row.provider = series.provider.to_string();
                    Arc::clone(&series.provider)
                }
                Property::Model => {
                    row.model = series.model.to_string();
                    Arc::clone(&series.model)
                }
                Property::Label(name) => {
                    let value = label(series, config, name);
                    row.labels.extend(value.map(|value| (name.clone(), value.to_owned())));
                    value.unwrap_or_default().into()
                }
            };
            key.push_str(&part);
            key.push(SEPARATOR);
        }
        (key, row)
    }
}

/// The label of the virtual key, else of the team, else of the customer.
fn label<'a>(series: &SpendSeries, config: &'a Config, name: &str) -> Option<&'a str> {
    let labels: [Option<&Labels>; 3] = [
        config.get::<VirtualKey>(&series.virtual_key_id).map(|it| &it.resource.labels),
        config.get::<Team>(&series.team_id).map(|it| &it.resource.labels),
        config.get::<Customer>(&series.customer_id).map(|it| &it.resource.labels),
    ];
    labels.into_iter().flatten().find_map(|labels: &BTreeMap<_, Box<str>>| labels.get(name)).map(AsRef::as_ref)
}
