//! Names, and paths of names by which customers, teams and virtual keys are found.

use super::Kind;

/// The beginning of a reference that is a path of names and no id.
const PREFIX: &str = "name:";

/// Whether nothing is seen of a character: white space, or one that only says how others are shown.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '\u{ad}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{2064}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0001}'
                | '\u{e0020}'..='\u{e007f}'
        )
}

/// A name without what is not seen of it at either end; empty if nothing is seen of it.
pub fn trimmed_name(name: &str) -> &str {
    name.trim_matches(is_invisible)
}

/// A path of names from the root: a customer, a team, a virtual key. A level that is missing is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamePath(Vec<String>);

impl NamePath {
    /// Whether `reference` is meant as a path, not as an id.
    pub fn is_path(reference: &str) -> bool {
        reference.starts_with(PREFIX)
    }

    /// The kind of resource that a path is one of, by the number of its segments.
    pub fn kind_of(reference: &str) -> Option<Kind> {
        match reference.strip_prefix(PREFIX)?.split('/').count() {
            1 => Some(Kind::Customer),
            2 => Some(Kind::Team),
            3 => Some(Kind::VirtualKey),
            _ => None,
        }
    }

    /// The path of a resource of `kind`, which is a customer, a team or a virtual key.
    ///
    /// # Errors
    /// The fault and the grammar, for the field that it stands in.
    pub fn parse(reference: &str, kind: Kind) -> Result<Self, String> {
        let grammar = match kind {
            Kind::Customer => "name:<customer>",
            Kind::Team => "name:<customer>/<team>, or name:/<team> for a team without a customer",
            _ => {
                "name:<customer>/<team>/<key>, with nothing for a level that is missing, as in name:<customer>//<key> \
                 or name://<key>"
            }
        };
        let wrong = || {
            let shown: String = reference.chars().take(100).collect();
            format!("is {shown:?}; write {grammar}, `/` within a name as %2F and `%` as %25")
        };
        if Self::kind_of(reference) != Some(kind) {
            return Err(wrong());
        }
        let segments = reference.strip_prefix(PREFIX).unwrap_or_default().split('/').map(unescaped);
        let segments: Vec<String> = segments.collect::<Option<_>>().ok_or_else(wrong)?;
        match segments.last() {
            Some(last) if !trimmed_name(last).is_empty() => Ok(Self(segments)),
            _ => Err(wrong()),
        }
    }

    /// The name of the resource itself.
    pub fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The name of the customer above it, empty if there is none.
    pub fn customer(&self) -> &str {
        if self.0.len() > 1 { &self.0[0] } else { "" }
    }

    /// The name of the team above it, empty if there is none.
    pub fn team(&self) -> &str {
        if self.0.len() > 2 { &self.0[1] } else { "" }
    }
}

/// A segment as the name that it stands for; `None` if a `%` begins nothing.
fn unescaped(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "2F" | "2f" => '/',
            "25" => '%',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_a_segment_for_each_level() {
        let parse = |text: &str, kind| NamePath::parse(text, kind).map(|path| path.0.join("|"));
        let good = [
            ("name:Acme", Kind::Customer, "Acme"),
            ("name:Acme/Search", Kind::Team, "Acme|Search"),
            ("name:/Search", Kind::Team, "|Search"),
            ("name:Acme/Search/notebook", Kind::VirtualKey, "Acme|Search|notebook"),
            ("name:/Search/notebook", Kind::VirtualKey, "|Search|notebook"),
            ("name:Acme//notebook", Kind::VirtualKey, "Acme||notebook"),
            ("name://notebook", Kind::VirtualKey, "||notebook"),
            ("name:A%2FB%25%2f", Kind::Customer, "A/B%/"),
            ("name:name:x y", Kind::Customer, "name:x y"),
        ];
        for (text, kind, segments) in good {
            assert_eq!(parse(text, kind).as_deref(), Ok(segments));
        }
        for (text, kind) in [
            ("name:", Kind::Customer),
            ("name:Acme/Search", Kind::Customer),
            ("name:Acme/", Kind::Team),
            ("name:Acme", Kind::Team),
            ("name:Acme/Search/notebook", Kind::Team),
            ("name:Acme/Search", Kind::VirtualKey),
            ("name:a/b/c/d", Kind::VirtualKey),
            ("name:50%", Kind::Customer),
            ("name:%41", Kind::Customer),
            ("name:\u{200b} ", Kind::Customer),
            ("0190a8f0", Kind::Customer),
        ] {
            let wrong = parse(text, kind).unwrap_err();
            assert!(wrong.contains("write name:<customer>") && wrong.contains("%2F"), "{wrong}");
        }
    }

    #[test]
    fn names_lose_what_is_not_seen_at_their_ends() {
        assert_eq!(trimmed_name("\u{feff} a\u{200b}b \u{200d}\u{e0061}"), "a\u{200b}b");
        assert_eq!(trimmed_name("\u{200b}\u{a0}"), "");
        assert_eq!(trimmed_name("👩‍👩‍👧"), "👩‍👩‍👧");
    }
}
