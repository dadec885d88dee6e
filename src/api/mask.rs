//! Update masks (AIP-134): which fields of a sent message go into the stored one.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::encoding::{DecodeContext, decode_key, skip_field};
use prost::{DecodeError, Message, Name};
use prost_reflect::DescriptorPool;

use crate::domain::{Error, Path, Stored, Violations};
use crate::proto::FILE_DESCRIPTOR_SET;
use crate::wire::{Form, Wire};

/// The fields of each message in the order of their declaration: their names and numbers.
static FIELDS: LazyLock<HashMap<String, Vec<(String, u32)>>> = LazyLock::new(|| {
    let Ok(pool) = DescriptorPool::decode(FILE_DESCRIPTOR_SET) else { return HashMap::new() };
    let messages = pool.all_messages();
    let fields = messages.map(|message| {
        let fields = message.fields().map(|field| (field.name().to_owned(), field.number()));
        (message.full_name().to_owned(), fields.collect())
    });
    fields.collect()
});

/// The fields of a virtual key that only its creation and its rotation set.
const SECRETS: [&str; 4] = ["value", "value_sha256", "previous_value_sha256", "previous_value_expires_at"];

fn fields_of<M: Name>() -> Result<&'static [(String, u32)], Error> {
    let fields = FIELDS.get(&M::full_name()).map(Vec::as_slice);
    fields.ok_or_else(|| Error::Internal(format!("no descriptor of {}", M::full_name())))
}

/// An encoded message as its fields, each with its number. A field that repeats is there as often.
fn split(mut encoded: &[u8]) -> Result<Vec<(u32, &[u8])>, DecodeError> {
    let mut fields = Vec::new();
    while !encoded.is_empty() {
        let mut rest = encoded;
        let (number, wire_type) = decode_key(&mut rest)?;
        skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
        let (field, _) = encoded.split_at(encoded.len() - rest.len());
        fields.push((number, field));
        encoded = rest;
    }
    Ok(fields)
}

/// Those of the fields whose number is one of `numbers`.
fn only(fields: &[(u32, &[u8])], numbers: &[u32]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (_, field) in fields.iter().filter(|(number, _)| numbers.contains(number)) {
        kept.extend_from_slice(field);
    }
    kept
}

/// The fields that an update changes, and what it changes them to.
pub(super) struct Patch<R: Wire> {
    /// Those of the mask, as they are named in it.
    fields: Vec<&'static str>,
    sent: R::Message,
    /// The numbers of those that may change, and what is sent of them, encoded: an absent one is cleared.
    changing: (Vec<u32>, Vec<u8>),
    /// The numbers of those that may not, and what is sent of them.
    fixed: Vec<(&'static str, u32, Vec<u8>)>,
}

impl<R: Wire> Patch<R> {
    /// # Errors
    /// `Invalid` if the mask names what cannot be changed, or what is no top-level field.
    pub(super) fn new(mut sent: R::Message, mask: Option<prost_types::FieldMask>) -> Result<Self, Error> {
        let known = fields_of::<R::Message>()?;
        R::tidy(&mut sent);
        let encoded = sent.encode_to_vec();
        let split = split(&encoded).map_err(|error| Error::Internal(error.to_string()))?;
        let writable = |name: &str| !R::OUTPUT_ONLY.contains(&name);
        let all = || known.iter().filter(|(name, _)| writable(name));
        let mut violations = Violations::new();
        let named: Vec<&(String, u32)> = match mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty()) {
            None => all().filter(|(_, number)| split.iter().any(|(sent, _)| sent == number)).collect(),
            Some(paths) if paths == ["*"] => all().collect(),
            Some(paths) => {
                let root = Path::root("update_mask");
                let list = root.field("paths");
                let mut named = Vec::with_capacity(paths.len());
                for (index, path) in paths.iter().enumerate() {
                    let shown: String = path.chars().take(100).collect();
                    let problem = if path == "*" {
                        "is \"*\", which means all fields and stands alone".to_owned()
                    } else if path.contains('.') {
                        format!("is {shown:?}; name top-level fields only, such as {:?}", top(&shown))
                    } else if SECRETS.contains(&path.as_str()) && !writable(path) {
                        format!("is {shown:?}, which cannot be updated; use RotateVirtualKey")
                    } else if let Some(field) = known.iter().find(|(name, _)| name == path) {
                        if writable(path) {
                            named.push(field);
                            continue;
                        }
                        format!("is {shown:?}, which only the server sets; remove it")
                    } else {
                        let fields: Vec<&str> = all().map(|(name, _)| name.as_str()).collect();
                        format!("is {shown:?}, which is no field; the fields are {}", fields.join(", "))
                    };
                    violations.add(list.index(index), problem);
                }
                named
            }
        };
        let by_path = R::given_by_path(&sent);
        let is_fixed = |name: &str| R::IMMUTABLE.contains(&name) && !by_path.contains(&name);
        let (fixed, changing): (Vec<_>, Vec<_>) = named.iter().copied().partition(|(name, _)| is_fixed(name));
        let changing: Vec<u32> = changing.into_iter().map(|(_, number)| *number).collect();
        let of_changing = only(&split, &changing);
        let fixed =
            fixed.into_iter().map(|(name, number)| (name.as_str(), *number, only(&split, &[*number]))).collect();
        let fields = named.iter().map(|(name, _)| name.as_str()).collect();
        Ok(violations.or(Self { fields, sent, changing: (changing, of_changing), fixed })?)
    }

    /// What becomes of `stored`. Without it, tells what is wrong with the sent fields alone.
    ///
    /// # Errors
    /// All violations.
    pub(super) fn merge(&self, stored: Option<&Stored<R>>) -> Result<R, Violations> {
        let root = Path::root(R::KIND.name());
        let mut violations = Violations::new();
        let Some(stored) = stored else {
            let parsed = R::accept(self.sent.clone(), &root, &mut violations);
            violations
                .retain(|violation| self.fields.iter().any(|field| is_of(&violation.field, R::KIND.name(), field)));
            return match parsed {
                Some(parsed) => violations.or(parsed),
                None => Err(violations),
            };
        };
        let current = R::render(stored, Form::Answer(stored.updated_at));
        let encoded = current.encode_to_vec();
        let Ok(split) = split(&encoded) else {
            violations.add(root, "cannot be merged");
            return Err(violations);
        };
        // The name of a kind whose name is its id: sent or not, it has found the resource already.
        for (name, number, sent) in self.fixed.iter().filter(|_| !R::NAMED_BY_ID) {
            if *sent != only(&split, &[*number]) {
                violations.add(root.field(name), "cannot be changed; create another resource instead");
            }
        }
        let (changing, of_changing) = &self.changing;
        let mut merged = Vec::with_capacity(encoded.len() + of_changing.len());
        for (_, field) in split.iter().filter(|(number, _)| !changing.contains(number)) {
            merged.extend_from_slice(field);
        }
        merged.extend_from_slice(of_changing);
        let Ok(mut merged) = R::Message::decode(merged.as_slice()) else {
            violations.add(root, "cannot be merged");
            return Err(violations);
        };
        R::mend(&mut merged, &self.fields);
        violations.append(review_of_change::<R>(&current, &merged, &root));
        match R::parse(merged, &root, &mut violations) {
            Some(parsed) => violations.or(parsed),
            None => Err(violations),
        }
    }
}

/// What a client may not write and has not been there before, wherever in its lists it stood.
fn review_of_change<R: Wire>(before: &R::Message, after: &R::Message, root: &Path<'_>) -> Violations {
    let review = |message| {
        let mut violations = Violations::new();
        R::review(message, root, &mut violations);
        violations
    };
    let old = review(before);
    let mut old: Vec<_> = old.iter().map(|it| (without_places(&it.field), it.description.as_str())).collect();
    let mut found = review(after);
    found.retain(|it| {
        let same = (without_places(&it.field), it.description.as_str());
        old.iter().position(|old| *old == same).map(|place| old.swap_remove(place)).is_none()
    });
    found
}

/// A path without the places in lists.
fn without_places(path: &str) -> String {
    path.split('[').map(|part| part.split_once(']').map_or(part, |(_, rest)| rest)).collect()
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
