//! Update masks (AIP-134): which fields of a sent message go into the stored one.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::domain::{Error, Path, Stored, Violations};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::wire::{Form, Wire};

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

fn descriptor<M: Name>() -> Result<MessageDescriptor, Error> {
    POOL.as_ref()
        .and_then(|pool| pool.get_message_by_name(&M::full_name()))
        .ok_or_else(|| Error::Internal(format!("no descriptor of {}", M::full_name())))
}

fn dynamic<M: Message + Name>(message: &M) -> Result<DynamicMessage, Error> {
    let bytes = message.encode_to_vec();
    DynamicMessage::decode(descriptor::<M>()?, bytes.as_slice()).map_err(|error| Error::Internal(error.to_string()))
}

/// The fields that an update changes, and what it changes them to.
pub(super) struct Patch<R: Wire> {
    fields: Vec<String>,
    sent: R::Message,
    dynamic: DynamicMessage,
}

impl<R: Wire> Patch<R> {
    /// # Errors
    /// `Invalid` if the mask names what cannot be changed, or what is no top-level field.
    pub(super) fn new(sent: R::Message, mask: Option<prost_types::FieldMask>) -> Result<Self, Error> {
        let dynamic = dynamic(&sent)?;
        let descriptor = descriptor::<R::Message>()?;
        let writable = |name: &str| !R::OUTPUT_ONLY.contains(&name);
        let all = || descriptor.fields().map(|field| field.name().to_owned()).filter(|name| writable(name));
        let mut violations = Violations::new();
        let fields = match mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty()) {
            None => all().filter(|name| dynamic.has_field_by_name(name)).collect(),
            Some(paths) if paths == ["*"] => all().collect(),
            Some(paths) => {
                let root = Path::root("update_mask");
                let list = root.field("paths");
                for (index, path) in paths.iter().enumerate() {
                    let shown: String = path.chars().take(100).collect();
                    let problem = if path == "*" {
                        "is \"*\", which means all fields and stands alone".to_owned()
                    } else if path.contains('.') {
                        format!("is {shown:?}; name top-level fields only, such as {:?}", top(&shown))
                    } else if descriptor.get_field_by_name(path).is_none() {
                        let fields: Vec<String> = all().collect();
                        format!("is {shown:?}, which is no field; the fields are {}", fields.join(", "))
                    } else if path == "value" && !writable(path) {
                        "is \"value\", which cannot be updated; use RotateVirtualKey".to_owned()
                    } else if !writable(path) {
                        format!("is {shown:?}, which only the server sets; remove it")
                    } else {
                        continue;
                    };
                    violations.add(list.index(index), problem);
                }
                paths
            }
        };
        Ok(violations.or(Self { fields, sent, dynamic })?)
    }

    /// What becomes of `stored`. Without it, tells what is wrong with the sent fields alone.
    ///
    /// # Errors
    /// All violations.
    pub(super) fn merge(&self, stored: Option<&Stored<R>>) -> Result<R, Violations> {
        let root = Path::root(R::KIND.name());
        let mut violations = Violations::new();
        let Some(stored) = stored else {
            let parsed = R::parse(self.sent.clone(), &root, &mut violations);
            violations.retain(|violation| self.fields.iter().any(|field| is_of(&violation.field, R::KIND.name(), field)));
            return match parsed {
                Some(parsed) => violations.or(parsed),
                None => Err(violations),
            };
        };
        let current = R::render(stored, Form::Answer(stored.updated_at));
        let Ok(mut merged) = dynamic(&current) else {
            violations.add(root, "cannot be merged");
            return Err(violations);
        };
        for field in &self.fields {
            let value = self.dynamic.get_field_by_name(field);
            if R::IMMUTABLE.contains(&field.as_str()) {
                // The name of a kind whose name is its id: sent or not, it has found the resource already.
                let same = R::NAMED_BY_ID || value == merged.get_field_by_name(field);
                if !same {
                    violations.add(root.field(field), "cannot be changed; create another resource instead");
                }
                continue;
            }
            match value {
                Some(value) if self.dynamic.has_field_by_name(field) => {
                    merged.set_field_by_name(field, value.into_owned());
                }
                _ => merged.clear_field_by_name(field),
            }
        }
        let mut merged: R::Message = match merged.transcode_to() {
            Ok(merged) => merged,
            Err(_) => {
                violations.add(root, "cannot be merged");
                return Err(violations);
            }
        };
        R::mend(&mut merged, &self.fields);
        match R::parse(merged, &root, &mut violations) {
            Some(parsed) => violations.or(parsed),
            None => Err(violations),
        }
    }
}

fn top(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// Whether `violation` is of `root.field` or of something in it.
fn is_of(violation: &str, root: &str, field: &str) -> bool {
    violation
        .strip_prefix(root)
        .and_then(|rest| rest.strip_prefix('.'))
        .and_then(|rest| rest.strip_prefix(field))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
