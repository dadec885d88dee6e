//! The fields that only the server sets, as the comments of the protos say.

use std::collections::HashSet;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};

use crate::cli::remote::pool;

/// Names of messages and fields.
static FIELDS: LazyLock<HashSet<(String, String)>> = LazyLock::new(|| pool().map(read).unwrap_or_default());

/// Messages whose ids the server makes, and which are matched without them.
const NUMBERED: [&str; 4] = ["Budget", "RateLimit", "VirtualKeyProviderConfig", "VirtualKeyMcpConfig"];

/// Whether only the server sets the field.
pub(super) fn is_output_only(message: &MessageDescriptor, field: &str) -> bool {
    FIELDS.contains(&(message.name().to_owned(), field.to_owned()))
}

/// Whether the field is the id of a part of a resource. It means nothing in another store.
pub(super) fn is_part_id(message: &MessageDescriptor, field: &str) -> bool {
    field == "id" && NUMBERED.contains(&message.name())
}

fn read(pool: &DescriptorPool) -> HashSet<(String, String)> {
    let mut found = HashSet::new();
    for message in pool.all_messages().filter(|message| message.package_name() == "tollgate.v1") {
        let file = message.parent_file();
        let oneofs = message.oneofs().filter(|oneof| is_marked(&file, oneof.path()));
        let of_oneofs: HashSet<String> =
            oneofs.flat_map(|oneof| oneof.fields().map(|field| field.name().to_owned()).collect::<Vec<_>>()).collect();
        let fields = message.fields();
        let fields = fields.filter(|field| of_oneofs.contains(field.name()) || is_marked(&file, field.path()));
        found.extend(fields.map(|field| (message.name().to_owned(), field.name().to_owned())));
    }
    found
}

/// Whether the comment of what is at this path begins with these words.
fn is_marked(file: &FileDescriptor, path: &[i32]) -> bool {
    let source = file.file_descriptor_proto().source_code_info.as_ref();
    let place = source.and_then(|source| source.location.iter().find(|location| location.path == path));
    place.is_some_and(|place| place.leading_comments().trim_start().starts_with("Output only"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_tell_which_fields_the_server_sets() {
        let message = |name: &str| pool().unwrap().get_message_by_name(&format!("tollgate.v1.{name}")).unwrap();
        let cases = [
            ("Customer", "id", true),
            ("Customer", "virtual_keys", true),
            ("Customer", "budgets", false),
            ("Team", "customer_id", false),
            ("Budget", "team_id", true),
            ("Budget", "current_usage", true),
            ("Budget", "max_limit", false),
            ("RateLimit", "token_anchor", true),
            ("VirtualKey", "value_sha256", false),
            ("VirtualKey", "created_by", true),
            ("ProviderKey", "id", false),
        ];
        for (name, field, expected) in cases {
            assert_eq!(is_output_only(&message(name), field), expected, "{name}.{field}");
        }
    }
}
