//! Parts of Envoy's messages.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use prost_types::{Struct, Value};

use super::proto::envoy::config::core::v3 as core;
use crate::admission::AdmissionId;

/// The namespaces of the metadata that an admission may be in: what external processing sets, and external authorization.
const NAMESPACES: [&str; 2] = ["tollgate", "envoy.filters.http.ext_authz"];
/// The name of the admission there.
const ADMISSION: &str = "admission_id";

/// Metadata that carry an admission to other filters and to the access log. External authorization has a namespace already.
pub(super) fn metadata(id: AdmissionId, has_namespace: bool) -> Struct {
    let of = |name: &str, value| Struct { fields: [(name.to_owned(), value)].into() };
    let own = of(ADMISSION, Value { kind: Some(Kind::StringValue(id.to_string())) });
    if has_namespace { own } else { of(NAMESPACES[0], Value { kind: Some(Kind::StructValue(own)) }) }
}

/// The admission that metadata carry.
pub(super) fn admission_of(metadata: Option<&core::Metadata>) -> Option<AdmissionId> {
    let metadata = &metadata?.filter_metadata;
    NAMESPACES.iter().find_map(|name| match metadata.get(*name)?.fields.get(ADMISSION)?.kind.as_ref()? {
        Kind::StringValue(id) => id.parse().ok(),
        _ => None,
    })
}

/// A header to set, whatever it was before. External authorization reads its value as text, and external processing as bytes.
pub(super) fn set_header(name: &str, value: &str, as_text: bool) -> core::HeaderValueOption {
    let (text, raw_value) =
        if as_text { (value.to_owned(), Vec::new()) } else { (String::new(), value.as_bytes().to_vec()) };
    core::HeaderValueOption {
        header: Some(core::HeaderValue { key: name.to_owned(), value: text, raw_value }),
        append_action: core::header_value_option::HeaderAppendAction::OverwriteIfExistsOrAdd.into(),
    }
}

/// Headers by their names. Of those that stand there more than once, all values, separated by commas.
pub(super) fn headers(map: Option<core::HeaderMap>) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for core::HeaderValue { key, value, raw_value } in map.unwrap_or_default().headers {
        let value = if raw_value.is_empty() { value } else { String::from_utf8_lossy(&raw_value).into_owned() };
        headers.entry(key).and_modify(|all: &mut String| *all = format!("{all},{value}")).or_insert(value);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admission_comes_back_from_the_metadata_that_carry_it() {
        let id = AdmissionId([7; 16]);
        let Some(Kind::StructValue(own)) = metadata(id, false).fields["tollgate"].kind.clone() else {
            panic!("no namespace")
        };
        assert_eq!(own, metadata(id, true));
        for namespace in NAMESPACES {
            let metadata = core::Metadata { filter_metadata: [(namespace.to_owned(), own.clone())].into() };
            assert_eq!(admission_of(Some(&metadata)), Some(id));
        }
        let other = core::Metadata { filter_metadata: [("other".to_owned(), own)].into() };
        assert_eq!(admission_of(Some(&other)), None);
        assert_eq!(admission_of(None), None);
    }
}
