//! What a column holds beyond plain numbers and texts, and back: instants, hashes, lists, free structures. Used by the
//! files of the resources.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::error::StoreError;
use super::persist::Names;
use crate::domain::{
    AlertPercents, AllowList, Calendar, Enforcement, Id, RATE_NAMES, Rates, RequestTypes, Reserve, ResetDuration,
    Scope, ScopeKind, Sha256Hash, Struct, StructValue, Timestamp,
};

/// The row that is being read, to be named if it is corrupt.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Reading<'_> {
    pub(super) fn corrupt(self, why: impl Into<String>) -> StoreError {
        StoreError::corrupt(self.table, self.id, why)
    }

    /// An instant that protobuf can express.
    pub(super) fn time(self, micros: i64) -> Result<Timestamp, StoreError> {
        let instant = Timestamp::from_micros(micros);
        match (Timestamp::MIN..=Timestamp::MAX).contains(&instant) {
            true => Ok(instant),
            false => Err(self.corrupt(format!("{micros} µs is no instant of the years 1 to 9999"))),
        }
    }

    pub(super) fn hash(self, bytes: &[u8]) -> Result<Sha256Hash, StoreError> {
        Sha256Hash::from_slice(bytes).ok_or_else(|| self.corrupt(format!("a hash has {} bytes", bytes.len())))
    }

    pub(super) fn duration(self, text: &str) -> Result<ResetDuration, StoreError> {
        ResetDuration::parse(text).ok_or_else(|| self.corrupt(format!("{text:?} is no duration")))
    }

    /// Thresholds of a limit, separated by commas; the usual ones are left out.
    pub(super) fn alert_percents(self, text: Option<&str>) -> Result<AlertPercents, StoreError> {
        let Some(text) = text else { return Ok(AlertPercents::default()) };
        let percents = text.split(',').map(|percent| percent.parse().ok()).collect::<Option<Vec<i32>>>();
        percents
            .and_then(AlertPercents::new)
            .filter(|percents| !percents.are_usual())
            .ok_or_else(|| self.corrupt(format!("{text:?} is no list of percentages other than the usual ones")))
    }

    /// The calendar of an owner of limits: time zone, first day of the week and first month of the year.
    pub(super) fn calendar(self, text: Option<&str>) -> Result<Option<Box<Calendar>>, StoreError> {
        let Some(text) = text else { return Ok(None) };
        let parts: Vec<&str> = text.split(' ').collect();
        let calendar = match parts[..] {
            [zone, day, month] => {
                day.parse().ok().zip(month.parse().ok()).and_then(|(day, month)| Calendar::new(zone, day, month))
            }
            _ => None,
        };
        calendar.map(|it| Some(Box::new(it))).ok_or_else(|| self.corrupt(format!("{text:?} is no calendar")))
    }

    /// Parts in the order of the client's list, each with its place in it.
    pub(super) fn in_order<T>(self, mut parts: Vec<(i32, T)>) -> Result<impl Iterator<Item = T>, StoreError> {
        parts.sort_by_key(|(ord, _)| *ord);
        match parts.iter().zip(0..).all(|((ord, _), place)| *ord == place) {
            true => Ok(parts.into_iter().map(|(_, part)| part)),
            false => Err(self.corrupt("its parts in another table are not numbered from 0 without a gap")),
        }
    }

    /// Kinds of request, of which all must be known.
    pub(super) fn request_types(self, bits: i32) -> Result<RequestTypes, StoreError> {
        let mut known = RequestTypes::default();
        for number in RequestTypes(u32::try_from(bits).unwrap_or_default()).numbers() {
            known.insert(number);
        }
        match i64::from(known.0) == i64::from(bits) {
            true => Ok(known),
            false => Err(self.corrupt(format!("{bits} has bits that stand for no kind of request"))),
        }
    }

    pub(super) fn enforcement(self, name: &str) -> Result<Enforcement, StoreError> {
        Enforcement::from_name(name).ok_or_else(|| self.corrupt(format!("there is no enforcement {name:?}")))
    }

    pub(super) fn reserve(self, name: &str) -> Result<Reserve, StoreError> {
        Reserve::from_name(name).ok_or_else(|| self.corrupt(format!("there is no reserve {name:?}")))
    }

    /// A limit, which is at least 0.
    pub(super) fn limit(self, limit: i64) -> Result<i64, StoreError> {
        match limit >= 0 {
            true => Ok(limit),
            false => Err(self.corrupt(format!("a limit is {limit}"))),
        }
    }

    pub(super) fn list(self, json: &str) -> Result<Vec<Box<str>>, StoreError> {
        // By far the most lists are empty.
        if json == "[]" {
            return Ok(Vec::new());
        }
        serde_json::from_str::<Vec<Box<str>>>(json)
            .map_err(|error| self.corrupt(format!("a list is no JSON list of strings: {error}")))
    }

    /// A list of ids.
    pub(super) fn ids<R>(self, json: &str, names: &mut Names) -> Result<Box<[Id<R>]>, StoreError> {
        Ok(self.list(json)?.iter().map(|id| names.share(id)).collect())
    }

    pub(super) fn permit(self, json: &str) -> Result<AllowList, StoreError> {
        match json {
            "[]" => Ok(AllowList::none()),
            "[\"*\"]" => Ok(AllowList::All),
            _ => self.list(json).map(|names| AllowList::Only(names.into())),
        }
    }

    /// A scope; the global one has an empty id.
    pub(super) fn scope(self, kind: &str, id: &str, names: &mut Names) -> Result<Scope, StoreError> {
        let kind = ScopeKind::from_name(kind).ok_or_else(|| self.corrupt(format!("there is no scope {kind:?}")))?;
        Ok(match kind {
            ScopeKind::Global if id.is_empty() => Scope::Global,
            ScopeKind::Global => return Err(self.corrupt(format!("the global scope has the id {id:?}"))),
            ScopeKind::VirtualKey => Scope::VirtualKey(names.share(id)),
            ScopeKind::Team => Scope::Team(names.share(id)),
            ScopeKind::Customer => Scope::Customer(names.share(id)),
        })
    }

    pub(super) fn rates(self, json: &str) -> Result<Rates, StoreError> {
        let rate = |(name, value): (String, StructValue)| match (RATE_NAMES.iter().zip(0..), value) {
            (mut known, StructValue::Number(rate)) if rate >= 0.0 => {
                let place = known.find(|(known, _)| **known == name).map(|(_, place)| place);
                place.map(|place| (place, rate)).ok_or_else(|| self.corrupt(format!("there is no rate {name:?}")))
            }
            _ => Err(self.corrupt(format!("the rate {name:?} is no number of at least 0"))),
        };
        let rates = self.structure(Some(json))?.unwrap_or_default();
        let mut rates = rates.into_iter().map(rate).collect::<Result<Vec<_>, _>>()?;
        rates.sort_by_key(|(place, _)| *place);
        Ok(Rates(rates))
    }

    pub(super) fn structure(self, json: Option<&str>) -> Result<Option<Struct>, StoreError> {
        let parse = |json| match serde_json::from_str(json).ok().and_then(value) {
            Some(StructValue::Struct(structure)) => Ok(structure),
            _ => Err(self.corrupt("a structure is no JSON object")),
        };
        json.map(parse).transpose()
    }
}

/// Reads a value by hand, because serde_json's numbers may be off by the last bit and Rust's are exact.
fn value(raw: &RawValue) -> Option<StructValue> {
    let text = raw.get();
    Some(match text.as_bytes().first()? {
        b'n' => StructValue::Null,
        b't' => StructValue::Bool(true),
        b'f' => StructValue::Bool(false),
        b'"' => StructValue::String(serde_json::from_str(text).ok()?),
        b'[' => {
            let values: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            StructValue::List(values.into_iter().map(value).collect::<Option<_>>()?)
        }
        b'{' => {
            let values: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let values = values.into_iter().map(|(name, raw)| Some((name, value(raw)?)));
            StructValue::Struct(values.collect::<Option<_>>()?)
        }
        _ => StructValue::Number(text.parse().ok().filter(|number: &f64| number.is_finite())?),
    })
}

/// Thresholds of a limit, separated by commas; `None` for the usual ones.
pub(super) fn alert_percents(percents: &AlertPercents) -> Option<String> {
    let listed = || percents.percents().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    (!percents.are_usual()).then(listed)
}

/// A list of strings as JSON.
pub(super) fn list(items: &[Box<str>]) -> String {
    json(items.iter().map(AsRef::as_ref))
}

/// A list of ids as JSON.
pub(super) fn ids<R>(ids: &[Id<R>]) -> String {
    if ids.is_empty() { "[]".to_owned() } else { json(ids.iter().map(Id::as_str)) }
}

/// What is permitted, as the API has it: everything is `["*"]`.
pub(super) fn permit(permit: &AllowList) -> String {
    match permit {
        AllowList::All => "[\"*\"]".to_owned(),
        AllowList::Only(names) => list(names),
    }
}

fn json<'a>(items: impl Iterator<Item = &'a str>) -> String {
    serde_json::Value::Array(items.map(serde_json::Value::from).collect()).to_string()
}

/// Rates as a JSON object.
pub(super) fn rates(rates: &Rates) -> String {
    structure(&rates.named().map(|(name, rate)| (name.to_owned(), StructValue::Number(rate))).collect())
}

/// A free structure as JSON. Numbers are written so that they read back as the same.
pub(super) fn structure(structure: &Struct) -> String {
    object(structure).to_string()
}

fn object(structure: &Struct) -> serde_json::Value {
    fn plain(value: &StructValue) -> serde_json::Value {
        match value {
            StructValue::Null => serde_json::Value::Null,
            StructValue::Bool(bool) => (*bool).into(),
            StructValue::Number(number) => (*number).into(),
            StructValue::String(text) => text.as_str().into(),
            StructValue::List(values) => values.iter().map(plain).collect(),
            StructValue::Struct(structure) => object(structure),
        }
    }
    serde_json::Value::Object(structure.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
}
