//! JSON Schemas of the objects of the API, as they are answered and as they may be sent.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind};
use serde_json::{Map, Value as Json, json};

use crate::http::rest::shapes::{Added, Empty, Object, Property, Source, choices, object};

/// The side of the API for which an object is described.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// An answer.
    Answer,
    /// A new resource.
    Create,
    /// The changes of a resource.
    Update,
    /// An entry of a list that is sent.
    Entry,
    /// One limit that is sent in place of a list.
    Single,
}

/// The schemas that were needed so far.
#[derive(Default)]
pub(super) struct Schemas(pub(super) BTreeMap<String, Json>);

impl Schemas {
    /// A reference to the schema of an object, which is made if it is not there.
    pub(super) fn reference(&mut self, of: &Object, side: Side) -> Json {
        let title = of.title();
        let name = match side {
            Side::Answer => title.to_owned(),
            Side::Create => format!("Create{title}Request"),
            Side::Update => format!("Update{title}Request"),
            Side::Entry => format!("{title}Entry"),
            Side::Single => format!("{title}Change"),
        };
        if !self.0.contains_key(&name) {
            // Objects contain each other, so its place is taken before it is made.
            self.0.insert(name.clone(), Json::Null);
            let schema = self.schema(of, side);
            self.0.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// A reference to the schema of an enum. It has one of its own, so that generated clients have one type for it.
    pub(super) fn choice(&mut self, of: &EnumDescriptor) -> Json {
        let names: Vec<String> = choices(of).map(|(name, _)| name).collect();
        self.0.insert(of.name().to_owned(), json!({ "type": "string", "enum": names }));
        json!({ "$ref": format!("#/components/schemas/{}", of.name()) })
    }

    fn schema(&mut self, of: &Object, side: Side) -> Json {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for property in &of.properties {
            let needed = match side {
                Side::Answer => is_always_answered(property),
                Side::Create => of.shape.required.contains(&&*property.name),
                // An entry that names its id keeps these.
                Side::Entry => of.shape.required.contains(&&*property.name) && !KEPT.contains(&&*property.name),
                Side::Update | Side::Single => false,
            };
            if needed {
                required.push(Json::from(property.name.as_str()));
            }
            let schema = match side {
                Side::Answer => self.answered(of, property),
                _ if property.read_only || (side == Side::Update && of.shape.fixed.contains(&&*property.name)) => {
                    json!({ "description": "Set by the server; ignored when it is sent." })
                }
                _ => {
                    // As in the side that reads: null is no statement.
                    let schema = self.sent(of, property);
                    if needed { schema } else { or_null(schema) }
                }
            };
            properties.insert(property.name.clone(), described(schema, property));
        }
        if side == Side::Update {
            properties.extend(self.besides(of));
        }
        let mut schema = json!({ "type": "object", "description": of.description, "properties": properties });
        if !required.is_empty() {
            schema["required"] = Json::Array(required);
        }
        if side != Side::Answer {
            schema["additionalProperties"] = Json::Bool(false);
        }
        schema
    }

    /// The properties of an update beside the fields of its resource.
    fn besides(&self, of: &Object) -> Map<String, Json> {
        let mut besides = Map::new();
        besides.insert(
            "revision".to_owned(),
            json!({
                "type": ["integer", "null"], "format": "int64", "minimum": 0, "x-tollgate-difference": "There is none there.",
                "description": "If it is not 0: change only what still has this revision. Otherwise the answer is 409.",
            }),
        );
        if of.property("budgets").is_some() {
            for (name, what) in [("reset_budget_usage", "budgets"), ("reset_rate_limit_usage", "rate limits")] {
                let text = format!("Also set what the current windows of the {what} have counted to zero.");
                besides.insert(name.to_owned(), json!({ "type": ["boolean", "null"], "description": text }));
            }
        }
        besides
    }

    fn answered(&mut self, of: &Object, property: &Property) -> Json {
        let schema = match &property.source {
            Source::Field(field) => self.of_field(field, Side::Answer),
            Source::Added(Added::First(list)) => self.one_of(of, list, Side::Answer),
            Source::Added(_) => json!({ "type": "string" }),
        };
        // The quota answers null: they are no matter of the holder of the virtual key.
        let is_of_quota = (of.message.name(), &*property.name) == ("VirtualKeyProviderConfig", "keys");
        if property.empty == Empty::Null || is_of_quota { or_null(schema) } else { schema }
    }

    fn sent(&mut self, of: &Object, property: &Property) -> Json {
        match &property.source {
            Source::Field(field) => self.of_field(field, Side::Entry),
            Source::Added(Added::First(list)) => self.one_of(of, list, Side::Single),
            Source::Added(_) => json!({}),
        }
    }

    /// One element of a list of an object.
    fn one_of(&mut self, of: &Object, list: &str, side: Side) -> Json {
        of.message.get_field_by_name(list).map_or_else(|| json!({}), |field| self.of_kind(&field.kind(), side))
    }

    fn of_field(&mut self, field: &FieldDescriptor, side: Side) -> Json {
        if field.is_map() {
            return json!({ "type": "object", "additionalProperties": { "type": "string" } });
        }
        let one = self.of_kind(&field.kind(), side);
        if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
    }

    fn of_kind(&mut self, kind: &Kind, side: Side) -> Json {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 => json!({ "type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX }),
            Kind::Int64 => json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX }),
            Kind::Double => json!({ "type": "number" }),
            Kind::Enum(of) => self.choice(of),
            Kind::Message(of) => match (of.full_name(), object(of)) {
                ("google.protobuf.Timestamp", _) => json!({ "type": "string", "format": "date-time" }),
                ("google.protobuf.Struct", _) => json!({ "type": "object", "additionalProperties": true }),
                (_, Some(of)) => self.reference(of, side),
                (_, None) => json!({ "type": "object" }),
            },
            _ => json!({ "type": "string" }),
        }
    }
}

/// The properties that an entry with an id may leave out.
const KEPT: [&str; 2] = ["provider", "mcp_client_name"];

fn is_always_answered(property: &Property) -> bool {
    match &property.source {
        Source::Field(field) => match property.empty {
            Empty::Null => true,
            Empty::Absent => false,
            Empty::AsIs => field.is_list() || (!field.supports_presence() && field.kind().as_enum().is_none()),
        },
        Source::Added(_) => property.empty != Empty::Absent,
    }
}

fn described(mut schema: Json, property: &Property) -> Json {
    if schema.get("description").is_none() && !property.description.is_empty() {
        let text = property.description.trim_start_matches("Output only. ");
        schema["description"] = Json::from(text);
    }
    if let Some(difference) = property.difference {
        schema["x-tollgate-difference"] = Json::from(difference);
        if schema.get("description").is_none() {
            schema["description"] = Json::from(difference);
        }
    }
    schema
}

/// A schema that `null` is valid for too.
fn or_null(mut schema: Json) -> Json {
    match schema.get("type").cloned() {
        Some(Json::String(one)) => {
            schema["type"] = json!([one, "null"]);
            schema
        }
        Some(_) => schema,
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}
