//! JSON objects of the mirrored API as messages. Presence decides: a property that is not there, or is `null`, is no
//! statement, except where `null` clears.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};

use super::legacy;
use super::shapes::{Added, Object, Property, Source, choices, object};
use crate::domain::{Path, ResetDuration, Violations};

/// Faults that are collected at most: a request has no end of room for more.
const MAX_FAULTS: usize = 100;

/// The purpose for which an object is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A new resource.
    Create,
    /// The fields of a resource that change.
    Update,
    /// An entry of a list, which is said as a whole.
    Entry,
    /// The properties of one limit that change.
    Patch,
}

/// A message that was read of an object.
pub(super) struct Read {
    pub(super) message: DynamicMessage,
    /// The fields that the object says something about.
    pub(super) said: Vec<String>,
}

/// Reads one request.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) violations: Violations,
    /// The alignments of their owner that budgets ask for, and the places of these budgets.
    alignments: Vec<(bool, String)>,
}

/// The place of a property.
pub(super) fn at<'a>(parent: Option<&'a Path<'a>>, name: &'a str) -> Path<'a> {
    parent.map_or_else(|| Path::root(name), |parent| parent.field(name))
}

impl Reader {
    pub(super) fn fault(&mut self, path: &Path<'_>, text: impl Into<String>) {
        if self.violations.iter().len() < MAX_FAULTS {
            self.violations.add(path, text);
        }
    }

    /// Reads a whole resource. `current` is the stored one, where an update needs it ([`legacy::needs_current`]).
    pub(super) fn resource(
        &mut self,
        of: &MessageDescriptor,
        json: &Map<String, Json>,
        purpose: Purpose,
        current: Option<&DynamicMessage>,
    ) -> Read {
        let mut read = self.object(DynamicMessage::new(of.clone()), json, None, purpose, current);
        self.align(&mut read, json);
        if of.name() == "ModelConfig" && purpose == Purpose::Create {
            // The first of the choices: all traffic.
            let global = of.get_field_by_name("scope").filter(|scope| !read.message.has_field(scope));
            if let Some(scope) = global {
                read.message.set_field(&scope, Value::EnumNumber(1));
            }
        }
        read
    }

    /// Reads an object onto `onto`.
    pub(super) fn object(
        &mut self,
        onto: DynamicMessage,
        json: &Map<String, Json>,
        path: Option<&Path<'_>>,
        purpose: Purpose,
        current: Option<&DynamicMessage>,
    ) -> Read {
        let mut read = Read { message: onto, said: Vec::new() };
        let Some(shape) = object(&read.message.descriptor()) else { return read };
        for (name, value) in json {
            match shape.property(name) {
                Some(property) => self.property(&mut read, property, value, json, path, purpose, current),
                None => self.unknown(shape, name, path),
            }
        }
        if let (Purpose::Entry, Some(current)) = (purpose, current) {
            legacy::keep(&mut read, current);
        }
        if matches!(purpose, Purpose::Create | Purpose::Entry) {
            for name in shape.shape.required {
                let said = shape.property(name).is_some_and(|property| match &property.source {
                    Source::Field(field) => {
                        json.get(*name).is_some_and(|it| !it.is_null()) || read.message.has_field(field)
                    }
                    Source::Added(_) => false,
                });
                if !said {
                    self.fault(&at(path, name), "is missing");
                }
            }
        }
        if read.message.descriptor().name() == "Budget" {
            self.alignment(json, path);
        }
        read
    }

    #[expect(clippy::too_many_arguments, reason = "all of them are the property's surroundings")]
    fn property(
        &mut self,
        read: &mut Read,
        property: &Property,
        value: &Json,
        around: &Map<String, Json>,
        parent: Option<&Path<'_>>,
        purpose: Purpose,
        current: Option<&DynamicMessage>,
    ) {
        let of = read.message.descriptor();
        let shape = object(&of).map(|it| it.shape);
        let is_fixed = shape.is_some_and(|it| it.fixed.contains(&&*property.name)) && purpose == Purpose::Update;
        if property.read_only || is_fixed {
            return;
        }
        let path = at(parent, &property.name);
        match &property.source {
            Source::Field(field) => {
                let clears = shape.is_some_and(|it| it.cleared_by_null.contains(&field.name()));
                let is_blank = value.as_str().is_some_and(str::is_empty) && clears;
                if value.is_null() || is_blank {
                    if clears {
                        read.said.push(field.name().to_owned());
                    }
                    return;
                }
                read.said.push(field.name().to_owned());
                // It is the owner's matter, and remembered for it.
                if of.name() == "Budget" && field.name() == "calendar_aligned" {
                    if !value.is_boolean() {
                        self.fault(&path, format!("is {}; must be true or false", kind_of(value)));
                    }
                    return;
                }
                if let Some(value) = self.field(field, value, &path, current) {
                    read.message.set_field(field, value);
                }
            }
            Source::Added(Added::First(list)) if !value.is_null() => {
                let Some(field) = of.get_field_by_name(list) else { return };
                let stored = current.map(|it| it.get_field(&field).into_owned());
                let stored = stored.as_ref().and_then(Value::as_list).unwrap_or_default();
                let keeps = matches!(purpose, Purpose::Update | Purpose::Entry);
                let stored = if keeps { stored } else { &[] };
                if let Some(limits) = legacy::single(self, &field, value, around, &path, stored) {
                    read.said.push(field.name().to_owned());
                    read.message.set_field(&field, Value::List(limits));
                }
            }
            Source::Added(_) => {}
        }
    }

    fn unknown(&mut self, shape: &Object, name: &str, parent: Option<&Path<'_>>) {
        let shown: String = name.chars().filter(|it| !it.is_control()).take(64).collect();
        let known = shape.properties.iter().filter(|it| !it.read_only).map(|it| it.name.as_str());
        let known = known.collect::<Vec<_>>().join(", ");
        self.fault(&at(parent, &shown), format!("is no field; the fields are {known}"));
    }

    fn field(
        &mut self,
        field: &FieldDescriptor,
        json: &Json,
        path: &Path<'_>,
        current: Option<&DynamicMessage>,
    ) -> Option<Value> {
        if field.is_map() {
            let Some(entries) = json.as_object() else { return self.wrong(json, path, "an object of texts") };
            let mut map = std::collections::HashMap::new();
            for (key, value) in entries {
                match value.as_str() {
                    Some(text) => drop(map.insert(MapKey::String(key.clone()), Value::String(text.to_owned()))),
                    None => self.fault(&path.key(key), format!("is {}; must be a text", kind_of(value))),
                }
            }
            return Some(Value::Map(map));
        }
        if field.is_list() {
            let Some(items) = json.as_array() else { return self.wrong(json, path, "a list") };
            let stored = current.filter(|_| legacy::CONFIGS.contains(&field.name()));
            let stored = stored.map(|it| it.get_field(field).into_owned());
            let stored = stored.as_ref().and_then(Value::as_list).unwrap_or_default();
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                let path = path.index(index);
                let current = legacy::with_id(stored, item.get("id"));
                list.extend(self.single(&field.kind(), item, &path, current));
            }
            return Some(Value::List(list));
        }
        self.single(&field.kind(), json, path, None)
    }

    fn single(&mut self, kind: &Kind, json: &Json, path: &Path<'_>, current: Option<&DynamicMessage>) -> Option<Value> {
        match kind {
            Kind::String => match json.as_str() {
                Some(text) => Some(Value::String(text.to_owned())),
                None => self.wrong(json, path, "a text"),
            },
            Kind::Bool => match json.as_bool() {
                Some(flag) => Some(Value::Bool(flag)),
                None => self.wrong(json, path, "true or false"),
            },
            Kind::Double => match json.as_f64() {
                Some(number) => Some(Value::F64(number)),
                None => self.wrong(json, path, "a number"),
            },
            Kind::Int32 => match whole(json).and_then(|it| i32::try_from(it).ok()) {
                Some(number) => Some(Value::I32(number)),
                None => self.wrong(json, path, "a whole number of 32 bits"),
            },
            Kind::Int64 => match whole(json) {
                Some(number) => Some(Value::I64(number)),
                None => self.wrong(json, path, "a whole number of 64 bits"),
            },
            Kind::Enum(of) => {
                let found = json.as_str().and_then(|text| choices(of).find(|(name, _)| name == text));
                if found.is_none() {
                    let known = choices(of).map(|(name, _)| name).collect::<Vec<_>>().join(", ");
                    let given = json.as_str().map(|text| format!("{:?}", text.chars().take(64).collect::<String>()));
                    let given = given.unwrap_or_else(|| shown(json));
                    self.fault(path, format!("is {given}; must be one of {known}"));
                }
                found.map(|(_, number)| Value::EnumNumber(number))
            }
            Kind::Message(of) => self.message(of, json, path, current),
            _ => None,
        }
    }

    fn message(
        &mut self,
        of: &MessageDescriptor,
        json: &Json,
        path: &Path<'_>,
        current: Option<&DynamicMessage>,
    ) -> Option<Value> {
        match of.full_name() {
            "google.protobuf.Timestamp" => {
                let parsed = json.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
                let Some(time) = parsed else { return self.wrong(json, path, "a time such as 2027-01-31T12:00:00Z") };
                let nanos = time.subsec_nanosecond();
                let (seconds, nanos) =
                    if nanos < 0 { (time.as_second() - 1, nanos + 1_000_000_000) } else { (time.as_second(), nanos) };
                let mut message = DynamicMessage::new(of.clone());
                message.set_field_by_name("seconds", Value::I64(seconds));
                message.set_field_by_name("nanos", Value::I32(nanos));
                Some(Value::Message(message))
            }
            "google.protobuf.Struct" => {
                if !json.is_object() {
                    return self.wrong(json, path, "an object");
                }
                match DynamicMessage::deserialize(of.clone(), json) {
                    Ok(message) => Some(Value::Message(message)),
                    Err(_) => self.wrong(json, path, "an object of JSON values"),
                }
            }
            _ => {
                let Some(json) = json.as_object() else { return self.wrong(json, path, "an object") };
                let onto = DynamicMessage::new(of.clone());
                Some(Value::Message(self.object(onto, json, Some(path), Purpose::Entry, current).message))
            }
        }
    }

    fn wrong(&mut self, json: &Json, path: &Path<'_>, wanted: &str) -> Option<Value> {
        self.fault(path, format!("is {}; must be {wanted}", shown(json)));
        None
    }

    /// Remembers what a budget says of the alignment of its owner. An entry with an id may come from an answer, where the
    /// flag tells what holds.
    fn alignment(&mut self, json: &Map<String, Json>, path: Option<&Path<'_>>) {
        let Some(aligned) = json.get("calendar_aligned").and_then(Json::as_bool) else { return };
        if json.get("id").is_some_and(|id| !id.is_null()) {
            return;
        }
        let path = at(path, "calendar_aligned");
        let length = json.get("reset_duration").and_then(Json::as_str).and_then(ResetDuration::parse);
        match length {
            Some(length) if !length.can_align() => {
                if aligned {
                    let text =
                        format!("is true, but windows of {length} cannot follow the calendar; use d, w, M, Q or Y");
                    self.fault(&path, text);
                }
            }
            Some(_) | None => self.alignments.push((aligned, path.to_string())),
        }
    }

    /// Lets what budgets say of the calendar be said of their owner.
    fn align(&mut self, read: &mut Read, json: &Map<String, Json>) {
        let alignments = std::mem::take(&mut self.alignments);
        let said = json.get("calendar_aligned").and_then(Json::as_bool);
        let Some(aligned) = said.or_else(|| alignments.first().map(|(aligned, _)| *aligned)) else { return };
        if let Some((_, place)) = alignments.iter().find(|(other, _)| *other != aligned) {
            let text = format!(
                "is {}, but another says {aligned}; all limits of an owner follow the calendar, or none",
                !aligned
            );
            self.fault(&Path::root(place), text);
        }
        if said.is_none() && read.message.descriptor().get_field_by_name("calendar_aligned").is_some() {
            read.message.set_field_by_name("calendar_aligned", Value::Bool(aligned));
            read.said.push("calendar_aligned".to_owned());
        }
    }
}

/// A whole number, however it is written.
fn whole(json: &Json) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    json.as_i64().or_else(|| {
        let number = json.as_f64().filter(|it| it.fract() == 0.0 && (-LIMIT..LIMIT).contains(it))?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
        Some(number as i64)
    })
}

/// A value, short enough to be sent back; texts may be secrets.
fn shown(json: &Json) -> String {
    match json {
        Json::Number(number) => number.to_string(),
        Json::Bool(_) | Json::Null | Json::String(_) | Json::Array(_) | Json::Object(_) => kind_of(json).to_owned(),
    }
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(true) => "true",
        Json::Bool(false) => "false",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
