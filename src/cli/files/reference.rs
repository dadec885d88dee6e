//! References as people write them: `team: Acme/Search` instead of `team_id: name:Acme/Search`.

use crate::domain::Kind;

/// A name of a field that stands for another one in documents.
pub(in crate::cli) struct Shorthand {
    /// The field that it stands for.
    pub(in crate::cli) field: &'static str,
    /// The kind that it refers to.
    pub(super) refers_to: Kind,
    /// The value of `scope` that it implies.
    pub(super) scope: Option<&'static str>,
}

/// The shorthand `name` of documents of `kind`.
pub(in crate::cli) fn shorthand(kind: Kind, name: &str) -> Option<Shorthand> {
    let refers_to = match name {
        "customer" => Kind::Customer,
        "team" => Kind::Team,
        "virtual_key" => Kind::VirtualKey,
        _ => return None,
    };
    let (field, scope) = match (kind, refers_to) {
        (Kind::Team | Kind::VirtualKey, Kind::Customer) => ("customer_id", None),
        (Kind::VirtualKey, Kind::Team) => ("team_id", None),
        (Kind::PricingOverride, Kind::VirtualKey) => ("virtual_key_id", None),
        (Kind::RoutingRule, Kind::Customer) => ("scope_id", Some("ROUTING_SCOPE_CUSTOMER")),
        (Kind::RoutingRule, Kind::Team) => ("scope_id", Some("ROUTING_SCOPE_TEAM")),
        (Kind::RoutingRule, Kind::VirtualKey) => ("scope_id", Some("ROUTING_SCOPE_VIRTUAL_KEY")),
        (Kind::ModelConfig, Kind::Customer) => ("scope_id", Some("MODEL_CONFIG_SCOPE_CUSTOMER")),
        (Kind::ModelConfig, Kind::Team) => ("scope_id", Some("MODEL_CONFIG_SCOPE_TEAM")),
        (Kind::ModelConfig, Kind::VirtualKey) => ("scope_id", Some("MODEL_CONFIG_SCOPE_VIRTUAL_KEY")),
        _ => return None,
    };
    Some(Shorthand { field, refers_to, scope })
}

/// Whether a text is an id of a customer, team or key.
pub(in crate::cli) fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// A path or an id as the API takes it. A team without customer and a key without either may be named alone.
///
/// # Errors
///
/// A sentence for people, if the path has another form.
pub(in crate::cli) fn reference(kind: Kind, text: &str) -> Result<String, String> {
    if is_id(text) || text.starts_with("name:") {
        return Ok(text.to_owned());
    }
    let slashes = text.matches('/').count();
    let missing = match kind {
        Kind::Customer => 0,
        Kind::Team => 1,
        _ => 2,
    };
    match slashes {
        _ if text.is_empty() => Err("is empty".to_owned()),
        0 => Ok(format!("name:{}{text}", "/".repeat(missing))),
        slashes if slashes == missing => Ok(format!("name:{text}")),
        _ => Err(format!("is no path; {}", grammar(kind))),
    }
}

/// How the path of a kind is written.
const fn grammar(kind: Kind) -> &'static str {
    match kind {
        Kind::Customer => "write the name of the customer, with `/` in a name as %2F",
        Kind::Team => "write Customer/Team, or the name of a team without customer, with `/` in a name as %2F",
        _ => {
            "write Customer/Team/Key, Customer//Key or /Team/Key, or the name of a key that has neither, with `/` in a \
             name as %2F"
        }
    }
}

/// A name as a segment of a path.
pub(in crate::cli) fn segment(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// The name that a segment of a path stands for.
pub(in crate::cli) fn unescaped(segment: &str) -> String {
    segment.replace("%2F", "/").replace("%2f", "/").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_references_of_the_api() {
        let cases = [
            (Kind::Customer, "Acme", "name:Acme"),
            (Kind::Team, "Acme/Search", "name:Acme/Search"),
            (Kind::Team, "Search", "name:/Search"),
            (Kind::Team, "/Search", "name:/Search"),
            (Kind::VirtualKey, "notebook", "name://notebook"),
            (Kind::VirtualKey, "Acme//notebook", "name:Acme//notebook"),
            (Kind::VirtualKey, "name:Acme//notebook", "name:Acme//notebook"),
            (Kind::Team, "0190a8f0-0000-7000-8000-000000000000", "0190a8f0-0000-7000-8000-000000000000"),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(reference(kind, text).as_deref(), Ok(expected));
        }
        for (kind, text) in [(Kind::Customer, "a/b"), (Kind::VirtualKey, "Acme/notebook"), (Kind::Team, "")] {
            assert!(reference(kind, text).is_err(), "{text}");
        }
        assert_eq!(segment("50% of R/D"), "50%25 of R%2FD");
        for name in ["50% of R/D", "%2F", "a", "%252F"] {
            assert_eq!(unescaped(&segment(name)), name);
        }
    }
}
