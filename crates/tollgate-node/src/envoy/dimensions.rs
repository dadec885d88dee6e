//! The dimensions of spend of a request as it comes by HTTP: from headers of Tollgate's own, and the end user from the body too, where
//! APIs of providers have one.

use std::collections::BTreeMap;

use tollgate_core::domain::SpendDimensions;

/// The headers that tell dimensions. None of them reaches a provider.
pub(super) const HEADERS: [&str; 4] =
    ["x-tollgate-end-user", "x-tollgate-session", "x-tollgate-tool", "x-tollgate-tags"];

/// The dimensions of a request, whose body tells of this end user. One in the body that cannot be recorded is not told: it is meant for
/// the provider.
///
/// # Errors
///
/// The fault of a header, for people.
pub(super) fn dimensions(headers: &BTreeMap<String, String>, end_user: &str) -> Result<SpendDimensions, String> {
    let [told, session, tool, tags] = HEADERS.map(|name| headers.get(name).map_or("", |value| value.trim()));
    let of_body = SpendDimensions::new(end_user, "", "", [""; 0]).unwrap_or_default();
    let end_user = if told.is_empty() { of_body.end_user() } else { told };
    let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
    SpendDimensions::new(end_user, session, tool, tags).map_err(|violations| {
        let name = |field: &str| format!("x-tollgate-{}", field.replace('_', "-"));
        let faults: Vec<_> = violations.iter().map(|it| format!("{}: {}", name(&it.field), it.description)).collect();
        faults.join("; ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], end_user: &str) -> Result<SpendDimensions, String> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        dimensions(&headers, end_user)
    }

    #[test]
    fn headers_tell_dimensions_and_the_body_the_end_user() {
        let all =
            [(HEADERS[0], "ada"), (HEADERS[1], "s-1"), (HEADERS[2], "search"), (HEADERS[3], "beta, team-a,,beta")];
        let told = SpendDimensions::new("ada", "s-1", "search", ["beta", "team-a"]).unwrap();
        assert_eq!(of(&all, "eve"), Ok(told));
        let end_user = |end_user| Ok(SpendDimensions::new(end_user, "", "", [""; 0]).unwrap());
        assert_eq!(of(&[], "eve"), end_user("eve"));
        assert_eq!(of(&[(HEADERS[0], " ")], "eve"), end_user("eve"));
        // The provider may take what is not recorded.
        assert_eq!(of(&[], &"x".repeat(129)), end_user(""));
        let long = of(&[(HEADERS[3], &"x".repeat(129))], "eve").unwrap_err();
        assert_eq!(long, "x-tollgate-tags[0]: has 129 bytes; must have at most 128");
        let long = of(&[(HEADERS[0], &"x".repeat(129))], "").unwrap_err();
        assert_eq!(long, "x-tollgate-end-user: has 129 bytes; must have at most 128");
    }
}
