//! A record of another gateway: a row of its database, or an entry of its configuration. The same fields come
//! as JSON from the one and as texts from the other.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::cli::Failure;
use crate::cli::files::tree;
use crate::store::ForeignRow;

/// A thing of another gateway.
#[derive(Clone, Default, Debug)]
pub(super) struct Record {
    /// Where it stands, for people.
    pub(super) place: String,
    fields: Map<String, Value>,
}

impl Record {
    /// An entry of a configuration.
    pub(super) fn new(place: String, value: &Value) -> Self {
        Self { place, fields: value.as_object().cloned().unwrap_or_default() }
    }

    /// A row of a database; `place` names it by its other fields.
    pub(super) fn of_row(row: ForeignRow, place: impl FnOnce(&Self) -> String) -> Self {
        let fields = row.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect();
        let record = Self { place: String::new(), fields };
        Self { place: place(&record), ..record }
    }

    /// A field as it stands there.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// Sets a field.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// The names of its fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// A text that is not blank; of a number its digits, since ids may be numbers.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        number(self.get(name)?)
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_i64(),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::Number(number) => Some(number.as_f64() != Some(0.0)),
            Value::String(text) => match text.to_lowercase().as_str() {
                "true" | "t" | "1" => Some(true),
                "false" | "f" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// A list or an object, also one that is written in a text.
    pub(super) fn json(&self, name: &str) -> Option<Value> {
        match self.get(name)? {
            Value::String(text) => serde_json::from_str(text).ok().filter(|value: &Value| !value.is_null()),
            value => Some(value.clone()),
        }
    }

    /// The texts of a list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.json(name) {
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => Vec::new(),
        }
    }

    /// The entries of an object.
    pub(super) fn object(&self, name: &str) -> Map<String, Value> {
        match self.json(name) {
            Some(Value::Object(entries)) => entries,
            _ => Map::new(),
        }
    }

    /// A time; in UTC if it does not say another zone.
    pub(super) fn time(&self, name: &str) -> Option<Timestamp> {
        time(&self.text(name)?)
    }
}

/// A finite number, or the text of one.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_f64()?,
    };
    Some(number).filter(|number| number.is_finite())
}

/// A time, as databases and configurations write it.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // Go writes the name of the zone behind its offset.
    let text = text.split_once(" m=").map_or(text, |(time, _)| time);
    let text = text.strip_suffix(" UTC").map_or_else(|| text.to_owned(), |time| time.replace(" +", "+"));
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    text.parse::<Timestamp>().ok().or_else(civil)
}

/// Reads a file with one document in YAML or JSON.
pub(super) fn read(path: &Path) -> Result<Value, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Failed(format!("{shown} cannot be read: {error}").into()))?;
    let value = tree(&text).map_err(|fault| Failure::Failed(format!("{shown}:{fault}").into()))?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(Failure::Failed(format!("{shown} is no configuration: it must be a mapping of settings").into())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_from_json_and_from_texts_of_databases() {
        let native = json!({
            "max": 1.5, "many": 7, "on": true, "list": ["a"], "map": {"a": 1}, "at": "2026-11-29T08:00:00Z", "none": null,
        });
        let texts = json!({
            "max": "1.5", "many": "7", "on": "1", "list": "[\"a\"]", "map": "{\"a\": 1}", "at": "2026-11-29 08:00:00.000",
        });
        for value in [native, texts] {
            let record = Record::new("x".to_owned(), &value);
            assert_eq!(
                (record.number("max"), record.whole("many"), record.flag("on")),
                (Some(1.5), Some(7), Some(true))
            );
            assert_eq!((record.list("list"), record.object("map").len()), (vec!["a".to_owned()], 1));
            assert_eq!(record.time("at"), "2026-11-29T08:00:00Z".parse().ok());
            assert_eq!((record.get("none"), record.text("absent")), (None, None));
        }
        for text in ["2026-11-29 08:00:00+00", "2026-11-29 09:00:00+01:00", "2026-11-29 08:00:00 +0000 UTC"] {
            assert_eq!(time(text), "2026-11-29T08:00:00Z".parse().ok(), "{text}");
        }
        assert_eq!(time("tomorrow"), None);
    }
}
