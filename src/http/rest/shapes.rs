//! The JSON objects of the mirrored API. Each is a message of `tollgate.v1` with the names of its fields; a [`Shape`] says
//! where it differs. Reading, writing and the OpenAPI document all go by the [`Object`]s that come of both.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::proto::FILE_DESCRIPTOR_SET;

/// The answer for a property that has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Empty {
    /// As the empty value of its type; not at all if its field tells absence.
    AsIs,
    /// Not at all.
    Absent,
    /// As `null`.
    Null,
}

/// A property that no field has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Added {
    /// The first of the list with this name. Read too, for clients that know only one.
    First(&'static str),
    /// The id of the first of the list with this name.
    FirstId(&'static str),
    /// The id of the object around this one.
    OwnerId,
    /// The value of another property.
    Copy(&'static str),
    /// The object with this name, as a JSON text.
    Text(&'static str),
    /// The empty text: there is no such thing here.
    Nothing,
}

/// The differences of an object from its message.
pub(crate) struct Shape {
    /// The full name of the message, without its package.
    message: &'static str,
    /// Fields that have no property.
    hidden: &'static [&'static str],
    /// Fields whose property has another name.
    renamed: &'static [(&'static str, &'static str)],
    /// Properties that are not answered, or answered as `null`, when they have no value.
    empty: &'static [(&'static str, Empty)],
    /// Fields of which `null` in a PUT is no omission, but clears them.
    pub(crate) cleared_by_null: &'static [&'static str],
    /// Properties without a field.
    added: &'static [(&'static str, Added)],
    /// Properties that must be given when an object is made.
    pub(crate) required: &'static [&'static str],
    /// Output-only fields that are read all the same.
    also_read: &'static [&'static str],
    /// Properties that an update ignores, because what was read may be sent back.
    pub(crate) fixed: &'static [&'static str],
    /// Differences from the mirrored gateway, by property.
    differences: &'static [(&'static str, &'static str)],
}

const PLAIN: Shape = Shape {
    message: "",
    hidden: &[],
    renamed: &[],
    empty: &[],
    cleared_by_null: &[],
    added: &[],
    required: &[],
    also_read: &[],
    fixed: &[],
    differences: &[],
};

const HASH: (&str, Added) = ("config_hash", Added::Nothing);
const BUDGET: (&str, Added) = ("budget", Added::First("budgets"));
const BUDGET_ID: (&str, Added) = ("budget_id", Added::FirstId("budgets"));
const RATE_LIMIT: (&str, Added) = ("rate_limit", Added::First("rate_limits"));
const RATE_LIMIT_ID: (&str, Added) = ("rate_limit_id", Added::FirstId("rate_limits"));
/// The properties of every owner of limits for clients that know one limit of each kind.
const LEGACY: &[(&str, Added)] = &[BUDGET, BUDGET_ID, RATE_LIMIT, RATE_LIMIT_ID, HASH];

const HASH_DIFFERS: (&str, &str) = ("config_hash", "Always empty: there is no configuration file to compare with.");
const LIMITS_DIFFER: &[(&str, &str)] = &[
    ("budget", "The first of `budgets`. Accepted in its place while there is at most one; `{}` clears them all."),
    (
        "rate_limit",
        "The first of `rate_limits`. Accepted in its place while there is at most one; `{}` clears them all.",
    ),
    HASH_DIFFERS,
];

const SHAPES: &[Shape] = &[
    Shape {
        message: "VirtualKey",
        hidden: &["value_sha256", "previous_value_sha256", "previous_value_expires_at"],
        renamed: &[("created_by", "created_by_user_id")],
        empty: &[
            ("team_id", Empty::Absent),
            ("customer_id", Empty::Absent),
            ("created_by_user_id", Empty::Absent),
            ("expires_at", Empty::Null),
        ],
        cleared_by_null: &["team_id", "customer_id", "expires_at"],
        added: LEGACY,
        required: &["name"],
        fixed: &["value"],
        differences: &[
            (
                "value",
                "In full in the answer that creates the key, and never again: afterwards a mask. Ignored by an update.",
            ),
            ("created_by_user_id", "The access token or certificate that created the key: there are no users."),
            (
                "budget",
                "The first of `budgets`. Accepted in its place while there is at most one; `{}` clears them all.",
            ),
            (
                "rate_limit",
                "The first of `rate_limits`. Accepted in its place while there is at most one; `{}` clears them all.",
            ),
            HASH_DIFFERS,
        ],
        ..PLAIN
    },
    Shape {
        message: "GetVirtualKeyQuotaResponse",
        empty: &[("rate_limit", Empty::Null)],
        added: &[RATE_LIMIT],
        differences: &[("rate_limit", "The first of `rate_limits`.")],
        ..PLAIN
    },
    Shape {
        message: "VirtualKeyProviderConfig",
        renamed: &[("blocked_models", "blacklisted_models")],
        empty: &[("weight", Empty::Null)],
        added: &[("virtual_key_id", Added::OwnerId), BUDGET, BUDGET_ID, RATE_LIMIT, RATE_LIMIT_ID],
        required: &["provider"],
        ..PLAIN
    },
    Shape {
        message: "VirtualKeyMcpConfig",
        added: &[("virtual_key_id", Added::OwnerId), ("mcp_client_id", Added::Copy("mcp_client_name"))],
        required: &["mcp_client_name"],
        differences: &[("mcp_client_id", "The name of the client, which is its id.")],
        ..PLAIN
    },
    Shape {
        message: "ProviderKey",
        // It has none where it is shown beside what names it.
        hidden: &["budgets", "rate_limits"],
        renamed: &[("id", "key_id")],
        differences: &[("key_id", "The id of the key at the data plane; there is no number beside it.")],
        ..PLAIN
    },
    Shape {
        message: "Team",
        empty: &[("customer_id", Empty::Absent), ("virtual_keys", Empty::Null)],
        cleared_by_null: &["customer_id"],
        added: LEGACY,
        required: &["name"],
        differences: LIMITS_DIFFER,
        ..PLAIN
    },
    Shape {
        message: "Customer",
        empty: &[("teams", Empty::Absent), ("virtual_keys", Empty::Absent)],
        added: LEGACY,
        required: &["name"],
        differences: LIMITS_DIFFER,
        ..PLAIN
    },
    Shape {
        message: "Budget",
        added: &[HASH],
        required: &["max_limit", "reset_duration"],
        also_read: &["calendar_aligned"],
        differences: &[
            ("max_limit", "0 is allowed, and stops each request."),
            (
                "calendar_aligned",
                "A property of the owner. In an entry without an id it stands for the owner's, if that is not given; \
                 for lengths that cannot follow the calendar it cannot be true.",
            ),
        ],
        ..PLAIN
    },
    Shape {
        message: "RateLimit",
        added: &[HASH],
        differences: &[
            ("token_max_limit", "0 is allowed, and stops each request."),
            ("request_max_limit", "0 is allowed, and stops each request."),
        ],
        ..PLAIN
    },
    Shape {
        message: "RoutingRule",
        empty: &[("scope_id", Empty::Null), ("query", Empty::Null)],
        added: &[HASH],
        required: &["name", "scope", "targets"],
        differences: &[("cel_expression", "Checked when it is written.")],
        ..PLAIN
    },
    Shape {
        message: "RoutingTarget",
        empty: &[("provider", Empty::Null), ("model", Empty::Null), ("key_id", Empty::Null)],
        required: &["weight"],
        ..PLAIN
    },
    Shape {
        message: "ModelConfig",
        empty: &[("provider", Empty::Absent), ("scope_id", Empty::Null), ("scope_name", Empty::Null)],
        added: LEGACY,
        required: &["model_name"],
        differences: &[
            ("scope", "`global` if it is missing. There are no users; `team` and `customer` are scopes too."),
            ("model_name", "May end in `*`, which stands for any rest of the name."),
        ],
        ..PLAIN
    },
    Shape { message: "ProviderGovernance", added: LEGACY, differences: LIMITS_DIFFER, ..PLAIN },
    Shape {
        message: "PricingOverride",
        empty: &[("virtual_key_id", Empty::Null), ("provider_id", Empty::Null), ("provider_key_id", Empty::Null)],
        cleared_by_null: &["virtual_key_id", "provider_id", "provider_key_id"],
        added: &[("pricing_patch", Added::Text("patch")), HASH],
        required: &["name", "scope_kind", "match_type", "pattern", "request_types"],
        differences: &[("patch", "A rate of 0 is a price."), HASH_DIFFERS],
        ..PLAIN
    },
];

/// The source of a property's value.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Field(FieldDescriptor),
    Added(Added),
}

/// A property of an object.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) source: Source,
    /// Whether only the server sets it: what a client sends is ignored.
    pub(crate) read_only: bool,
    pub(crate) empty: Empty,
    pub(crate) description: String,
    pub(crate) difference: Option<&'static str>,
}

/// An object of the API.
pub(crate) struct Object {
    pub(crate) shape: &'static Shape,
    pub(crate) message: MessageDescriptor,
    pub(crate) description: String,
    pub(crate) properties: Vec<Property>,
}

impl Object {
    pub(crate) fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Its name in the document that describes the API.
    pub(crate) fn title(&self) -> &str {
        match self.message.name() {
            "GetVirtualKeyQuotaResponse" => "VirtualKeyQuota",
            name => name,
        }
    }

    /// The name of the property of a field.
    pub(crate) fn name_of(&self, field: &str) -> Option<&str> {
        let of_field = |it: &&Property| matches!(&it.source, Source::Field(source) if source.name() == field);
        self.properties.iter().find(of_field).map(|property| property.name.as_str())
    }
}

/// The descriptors of all messages. Empty in a build whose descriptors cannot be read, which passes no test.
pub(crate) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default());

static OBJECTS: LazyLock<HashMap<String, Object>> = LazyLock::new(|| {
    let comments = Comments::new(&POOL);
    let own = POOL.all_messages().filter(|it| it.package_name() == "tollgate.v1" && !it.is_map_entry());
    own.map(|message| (message.full_name().to_owned(), resolve(message, &comments))).collect()
});

/// The object of a message.
pub(crate) fn object(message: &MessageDescriptor) -> Option<&'static Object> {
    OBJECTS.get(message.full_name())
}

/// The object of the message with this name, without its package.
pub(crate) fn named(message: &str) -> Option<&'static Object> {
    OBJECTS.get(&format!("tollgate.v1.{message}"))
}

/// The names of an enum's values as they stand in JSON: in lower case, without what all of them begin with. The first, which
/// says nothing, is left out.
pub(crate) fn choices(of: &EnumDescriptor) -> impl Iterator<Item = (String, i32)> {
    let prefix = of.default_value().name().trim_end_matches("UNSPECIFIED").to_owned();
    let values: Vec<_> = of.values().filter(|value| value.number() != 0).collect();
    values.into_iter().map(move |value| (value.name().trim_start_matches(&*prefix).to_lowercase(), value.number()))
}

fn resolve(message: MessageDescriptor, comments: &Comments) -> Object {
    let shape = SHAPES.iter().find(|shape| shape.message == message.name()).unwrap_or(&PLAIN);
    let given = |list: &[(&'static str, Empty)], name: &str| list.iter().find(|(it, _)| *it == name).map(|(_, to)| *to);
    let difference = |name: &str| shape.differences.iter().find(|(it, _)| *it == name).map(|(_, text)| *text);
    let fields = message.fields().filter(|field| !shape.hidden.contains(&field.name()));
    let mut properties: Vec<Property> = fields
        .map(|field| {
            let renamed = shape.renamed.iter().find(|(from, _)| *from == field.name()).map(|(_, to)| *to);
            let name = renamed.unwrap_or(field.name()).to_owned();
            let description = comments.of(&field);
            Property {
                read_only: comments.is_output_only(&field) && !shape.also_read.contains(&field.name()),
                empty: given(shape.empty, &name).unwrap_or(Empty::AsIs),
                difference: difference(&name),
                source: Source::Field(field),
                description,
                name,
            }
        })
        .collect();
    properties.extend(shape.added.iter().map(|(name, added)| Property {
        name: (*name).to_owned(),
        source: Source::Added(*added),
        read_only: !matches!(added, Added::First(_)),
        empty: given(shape.empty, name).unwrap_or(match added {
            Added::First(_) | Added::FirstId(_) | Added::Text(_) => Empty::Absent,
            Added::OwnerId | Added::Copy(_) | Added::Nothing => Empty::AsIs,
        }),
        description: String::new(),
        difference: difference(name),
    }));
    Object { shape, description: comments.of_message(&message), message, properties }
}

/// The comments of the protos.
struct Comments(HashMap<(String, Vec<i32>), String>);

impl Comments {
    fn new(pool: &DescriptorPool) -> Self {
        let mut comments = HashMap::new();
        for file in pool.file_descriptor_protos() {
            for location in file.source_code_info.iter().flat_map(|info| &info.location) {
                if let Some(text) = &location.leading_comments {
                    comments.insert((file.name().to_owned(), location.path.clone()), unwrapped(text));
                }
            }
        }
        Self(comments)
    }

    fn of_message(&self, message: &MessageDescriptor) -> String {
        let key = (message.parent_file().name().to_owned(), message.path().to_vec());
        self.0.get(&key).cloned().unwrap_or_default()
    }

    fn of(&self, field: &FieldDescriptor) -> String {
        let file = field.parent_message().parent_file();
        self.0.get(&(file.name().to_owned(), field.path().to_vec())).cloned().unwrap_or_default()
    }

    /// Whether only the server sets a field. That is how its comment says it, or that of its oneof; a test holds them to it.
    fn is_output_only(&self, field: &FieldDescriptor) -> bool {
        let says = |comment: &str| comment.starts_with("Output only");
        let file = field.parent_message().parent_file().name().to_owned();
        let of_oneof = field.containing_oneof().and_then(|oneof| self.0.get(&(file, oneof.path().to_vec())));
        says(&self.of(field)) || of_oneof.is_some_and(|comment| says(comment))
    }
}

/// A comment without its line breaks, but for those between paragraphs.
fn unwrapped(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|it| it.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}
