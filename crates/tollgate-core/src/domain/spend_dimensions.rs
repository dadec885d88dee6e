//! The dimensions of spend that a gateway tells of a request.

use super::{Path, Violations};

/// Whom and what requests were for, as their gateway tells it: for reports on spend alone, no limit asks for it. A text is empty where
/// nothing is told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct SpendDimensions {
    end_user: String,
    session: String,
    tool: String,
    tags: Vec<String>,
}

impl SpendDimensions {
    /// Nothing is told.
    pub const NONE: Self =
        Self { end_user: String::new(), session: String::new(), tool: String::new(), tags: Vec::new() };
    /// The most bytes of each of them.
    pub const MAX_BYTES: usize = 128;
    /// The most tags.
    pub const MAX_TAGS: usize = 16;

    /// These dimensions, without white space around them. Tags are a set: in order, each once.
    ///
    /// # Errors
    ///
    /// Every violation: a text that is too long or has control characters, a tag that is empty, too many tags.
    pub fn new<T: AsRef<str>>(
        end_user: &str,
        session: &str,
        tool: &str,
        tags: impl IntoIterator<Item = T>,
    ) -> Result<Self, Violations> {
        let mut violations = Violations::new();
        let end_user = bounded(end_user, &Path::root("end_user"), &mut violations);
        let session = bounded(session, &Path::root("session"), &mut violations);
        let tool = bounded(tool, &Path::root("tool"), &mut violations);
        let list = Path::root("tags");
        let mut set = Vec::new();
        for (index, tag) in tags.into_iter().enumerate() {
            let path = list.index(index);
            let tag = bounded(tag.as_ref(), &path, &mut violations);
            if tag.is_empty() {
                violations.add(path, "is empty; name the tag or leave it out");
            }
            set.push(tag);
        }
        set.sort_unstable();
        set.dedup();
        if set.len() > Self::MAX_TAGS {
            violations.add(list, format!("has {} tags; must have at most {}", set.len(), Self::MAX_TAGS));
        }
        violations.or(Self { end_user, session, tool, tags: set })
    }

    /// The end user: the person or the account that the gateway's caller serves.
    pub fn end_user(&self) -> &str {
        &self.end_user
    }

    /// The session: a conversation, or one run of an agent.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The tool: the program or the step that made the request.
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The tags, in order, each once.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

fn bounded(text: &str, path: &Path<'_>, violations: &mut Violations) -> String {
    let text = text.trim();
    let (length, most) = (text.len(), SpendDimensions::MAX_BYTES);
    if length > most {
        violations.add(path, format!("has {length} bytes; must have at most {most}"));
    }
    if text.contains(char::is_control) {
        violations.add(path, "has control characters; must be printable");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[&str]) -> Result<SpendDimensions, Violations> {
        SpendDimensions::new("", "", "", tags)
    }

    #[test]
    fn tags_are_a_set_and_white_space_is_no_part_of_anything() {
        let given = SpendDimensions::new(" ada ", "s-1\n", "", ["b", " a", "b "]).unwrap();
        assert_eq!((given.end_user(), given.session(), given.tool()), ("ada", "s-1", ""));
        assert_eq!(given.tags(), ["a", "b"]);
        assert_eq!(tags(&[]).unwrap(), SpendDimensions::NONE);
        // Sixteen, of which the last is told twice.
        let names: Vec<_> = (0..16).map(|number| format!("tag-{number:02}")).collect();
        let given = SpendDimensions::new("", "", "", names.iter().chain(names.last())).unwrap();
        assert_eq!(given.tags(), names);
    }

    #[test]
    fn every_fault_is_told_with_its_field() {
        // 128 bytes are 64 letters of two bytes.
        let (fits, long) = ("ä".repeat(64), format!("{}a", "ä".repeat(64)));
        assert_eq!(SpendDimensions::new(&fits, &fits, &fits, [&fits]).unwrap().end_user(), fits);
        let found = SpendDimensions::new(&long, "a\nb", "x", ["", &long]).unwrap_err();
        let found: Vec<_> = found.iter().map(|it| format!("{}: {}", it.field, it.description)).collect();
        let expected = [
            "end_user: has 129 bytes; must have at most 128",
            "session: has control characters; must be printable",
            "tags[0]: is empty; name the tag or leave it out",
            "tags[1]: has 129 bytes; must have at most 128",
        ];
        assert_eq!(found, expected);
        let names: Vec<_> = (0..17).map(|number| number.to_string()).collect();
        let found = SpendDimensions::new("", "", "", names).unwrap_err();
        assert_eq!(
            found.iter().map(|it| it.description.as_str()).collect::<Vec<_>>(),
            ["has 17 tags; must have at most 16"]
        );
    }
}
