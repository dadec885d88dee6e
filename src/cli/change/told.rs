//! Plans for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compare::{Difference, differences, fields};
use super::parts::MAX_CHANGES;
use crate::cli::Failure;
use crate::cli::remote::printable;
use crate::cli::resource::subject::noun;
use crate::cli::table::{Tone, colour, paint, raw};
use crate::domain::Kind;
use crate::proto::v1;
use crate::proto::v1::{ApplyOperation, ApplyOutcome};

/// The longest value that is shown whole.
const LONG: usize = 200;

/// The fate of one resource.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: Option<Kind>,
    pub(super) name: String,
    pub(super) operation: ApplyOperation,
    pub(super) differences: Vec<Difference>,
    /// The one who changed it since it was applied, and when.
    pub(super) drift: Option<String>,
}

/// How many resources have which fate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub(super) created: usize,
    pub(super) updated: usize,
    pub(super) deleted: usize,
    unchanged: usize,
}

impl Item {
    /// `name` is how people know the resource; of `None`, its own name.
    pub(super) fn new(outcome: &ApplyOutcome, name: Option<String>) -> Result<Self, Failure> {
        let key = outcome.key.clone().unwrap_or_default();
        let state = |resource: &Option<v1::ConfigResource>| resource.as_ref().map(fields).transpose();
        let (before, after) = (state(&outcome.before)?, state(&outcome.after)?);
        let own = || {
            let named = [&after, &before].into_iter().flatten();
            let text = |value: &Value| {
                ["name", "model_name", "provider"]
                    .into_iter()
                    .find_map(|field| value[field].as_str().map(str::to_owned))
            };
            named.filter_map(text).next().unwrap_or_else(|| key.id.clone())
        };
        let differences = match (&before, &after) {
            (Some(before), Some(after)) => differences(before, after),
            _ => Vec::new(),
        };
        let name = name.unwrap_or_else(own);
        Ok(Self { kind: Kind::from_number(key.kind), name, operation: outcome.operation(), differences, drift: None })
    }
}

impl Counts {
    pub(super) fn of(items: &[Item]) -> Self {
        let mut counts = Self::default();
        for item in items {
            match item.operation {
                ApplyOperation::Created => counts.created += 1,
                ApplyOperation::Updated => counts.updated += 1,
                ApplyOperation::Deleted => counts.deleted += 1,
                ApplyOperation::Unchanged | ApplyOperation::Unspecified => counts.unchanged += 1,
            }
        }
        counts
    }

    pub(super) const fn is_nothing(self) -> bool {
        self.created + self.updated + self.deleted == 0
    }

    /// `1 created, 2 changed, 0 deleted, 7 unchanged`.
    pub(super) fn text(self) -> String {
        let Self { created, updated, deleted, unchanged } = self;
        format!("{created} created, {updated} changed, {deleted} deleted, {unchanged} unchanged")
    }

    /// `1 to create, 2 to change, 0 to delete, 7 unchanged`.
    pub(super) fn plan(self) -> String {
        let Self { created, updated, deleted, unchanged } = self;
        format!("{created} to create, {updated} to change, {deleted} to delete, {unchanged} unchanged")
    }
}

/// Shows what changes, and how.
pub(super) fn show(items: &[Item]) -> Result<(), Failure> {
    if items.len() > MAX_CHANGES && items.iter().any(|item| item.operation == ApplyOperation::Updated) {
        eprintln!("tollgate: of more than {MAX_CHANGES} documents it is not shown which fields change");
    }
    let colour = colour();
    lines(items, colour).iter().try_for_each(|line| raw(line))
}

fn lines(items: &[Item], colour: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for Item { kind, name, operation, differences, drift } in items {
        let (sign, tone) = match operation {
            ApplyOperation::Created => ("+", Tone::Good),
            ApplyOperation::Updated => ("~", Tone::Warning),
            ApplyOperation::Deleted => ("-", Tone::Bad),
            ApplyOperation::Unchanged | ApplyOperation::Unspecified => continue,
        };
        let kind = kind.map_or_else(|| "resource".to_owned(), noun);
        let drift = drift.as_ref().map(|who| format!("  (changed {who})")).unwrap_or_default();
        lines.push(paint(&printable(&format!("{sign} {kind} {name}{drift}")), tone, colour));
        for Difference { path, before, after } in differences {
            let (before, after) = (text(before.as_ref()), text(after.as_ref()));
            lines.push(printable(&format!("    {path}: {before} → {after}")));
        }
    }
    lines
}

fn text(value: Option<&Value>) -> String {
    let text = match value {
        None => "(nothing)".to_owned(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() > LONG { text.chars().take(LONG).chain(['…']).collect() } else { text }
}

/// Other resources that change, by kind.
pub(super) fn others(keys: &[v1::ResourceKey], count: i32) -> Option<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for key in keys {
        let kind = Kind::from_number(key.kind).map_or_else(|| "resource".to_owned(), noun);
        *kinds.entry(kind).or_default() += 1;
    }
    let told: Vec<_> =
        kinds.into_iter().map(|(kind, count)| format!("{count} {kind}{}", crate::cli::files::plural(count))).collect();
    let more = if count == 1 { "other" } else { "others" };
    (count > 0).then(|| format!("{count} {more} with them: {}", told.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_told_field_by_field() {
        let item = |operation, name: &str, differences| Item {
            kind: Some(Kind::VirtualKey),
            name: name.to_owned(),
            operation,
            differences,
            drift: None,
        };
        let path = "budgets[0].max_limit".to_owned();
        let changed = vec![Difference { path, before: Some(json!(500.0)), after: Some(json!(800.0)) }];
        let items = [
            item(ApplyOperation::Created, "Acme/Search/a", Vec::new()),
            item(ApplyOperation::Updated, "Acme/Search/b", changed),
            item(ApplyOperation::Unchanged, "c", Vec::new()),
            item(ApplyOperation::Deleted, "d\u{7}", Vec::new()),
        ];
        assert_eq!(
            lines(&items, false),
            [
                "+ virtual key Acme/Search/a",
                "~ virtual key Acme/Search/b",
                "    budgets[0].max_limit: 500.0 → 800.0",
                "- virtual key d\u{fffd}",
            ]
        );
        assert!(lines(&items, true)[0].starts_with("\u{1b}[32m+ virtual key"));
        assert_eq!(Counts::of(&items).plan(), "1 to create, 1 to change, 1 to delete, 1 unchanged");
    }
}
