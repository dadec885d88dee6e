//! The dimensions of spend in entries of usage: end user, session, tool, tags. Callers may make them up, so a node bounds how many
//! combinations of them it keeps apart.

use std::collections::HashSet;

use tollgate_core::domain::Timestamp;
use tollgate_core::proto::v1::UsageEntry;

/// Combinations that are kept apart in a minute. What has none does not count.
const KEPT: usize = 1_000;
/// The end user, session and tool of what is not kept apart.
const OTHER: &str = "other";

/// End user, session and tool, and the tags.
pub(crate) type Combination = ([String; 3], Vec<String>);

/// The dimensions of an entry.
pub(crate) fn combination(entry: &UsageEntry) -> Combination {
    let UsageEntry { end_user, session, tool, tags, .. } = entry;
    ([end_user, session, tool].map(String::clone), tags.clone())
}

/// Gives an entry the dimensions of another.
pub(crate) fn keep(of: &UsageEntry, entry: &mut UsageEntry) {
    put(entry, combination(of));
}

/// Takes the dimensions from an entry.
pub(crate) fn forget(entry: &mut UsageEntry) {
    put(entry, Combination::default());
}

fn put(entry: &mut UsageEntry, (texts, tags): Combination) {
    [entry.end_user, entry.session, entry.tool] = texts;
    entry.tags = tags;
}

/// The combinations of the present minute.
#[derive(Default)]
pub(crate) struct Combinations {
    minute: i64,
    kept: HashSet<Combination>,
    joined: u64,
}

impl Combinations {
    /// Joins an entry that ends now with others, if its combination is one too many.
    pub(crate) fn bound(&mut self, entry: &mut UsageEntry, now: Timestamp) {
        let UsageEntry { end_user, session, tool, tags, .. } = entry;
        if [end_user, session, tool].into_iter().all(|text| text.is_empty()) && tags.is_empty() {
            return;
        }
        let minute = now.parts().0.div_euclid(60);
        if minute != self.minute {
            (self.minute, self.kept) = (minute, HashSet::new());
        }
        let own = combination(entry);
        if self.kept.contains(&own) {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.insert(own);
            return;
        }
        put(entry, ([OTHER; 3].map(ToOwned::to_owned), Vec::new()));
        self.joined += 1;
    }

    /// Entries that were joined since the start.
    pub(crate) fn joined(&self) -> u64 {
        self.joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(end_user: &str, tags: &[&str]) -> UsageEntry {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        UsageEntry { end_user: end_user.to_owned(), tags, ..UsageEntry::default() }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_thousand_combinations_a_minute_are_kept_apart_and_the_rest_is_other() {
        let mut combinations = Combinations::default();
        let mut bounded = |entry: UsageEntry, second: i64| {
            let mut entry = entry;
            combinations.bound(&mut entry, at(second));
            (combination(&entry), combinations.joined())
        };
        let as_is = |entry: &UsageEntry, joined: u64| (combination(entry), joined);
        for user in 0..999 {
            let entry = of(&user.to_string(), &[]);
            assert_eq!(bounded(entry.clone(), 60), as_is(&entry, 0));
        }
        // The same user with a tag is another combination, and the last.
        let tagged = of("7", &["beta"]);
        assert_eq!(bounded(tagged.clone(), 61), as_is(&tagged, 0));
        let other = ([OTHER; 3].map(ToOwned::to_owned), Vec::new());
        assert_eq!(bounded(of("7", &["gamma"]), 119), (other.clone(), 1));
        assert_eq!(bounded(of("1000", &[]), 119), (other, 2));
        // Those that are known stay apart, and what has no dimensions has none.
        assert_eq!(bounded(tagged.clone(), 119), as_is(&tagged, 2));
        assert_eq!(bounded(of("", &[]), 119), as_is(&of("", &[]), 2));
        // The next minute has its own.
        let late = of("1000", &[]);
        assert_eq!(bounded(late.clone(), 120), as_is(&late, 2));
    }
}
