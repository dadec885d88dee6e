//! The report: the fate of everything that another gateway has.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::files::plural;

/// Of so many things with one fate the report for people names the places.
const SHOWN: usize = 20;

/// The fate of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Fate {
    /// It means the same here.
    Exact,
    /// It means something similar here.
    Changed,
    /// There is nothing like it here.
    Impossible,
    /// It belongs to the gateway, which goes on reading it where it is.
    Stays,
}

impl Fate {
    const ALL: [Self; 4] = [Self::Impossible, Self::Changed, Self::Stays, Self::Exact];

    const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Changed => "changed",
            Self::Impossible => "impossible",
            Self::Stays => "stays",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Exact => "Taken over exactly",
            Self::Changed => "Changed",
            Self::Impossible => "Impossible",
            Self::Stays => "Stays with the gateway",
        }
    }
}

/// A line of the report.
#[derive(Clone, PartialEq, Debug)]
struct Note {
    fate: Fate,
    /// The resource that it became or belongs to; empty for none.
    subject: String,
    place: String,
    text: String,
}

/// The fate of an amount that was spent.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct SpendNote {
    pub(super) subject: String,
    pub(super) place: String,
    /// The limit that counts it, for people.
    pub(super) limit: String,
    /// With its unit.
    pub(super) amount: String,
    pub(super) outcome: String,
}

/// The report.
#[derive(Default, Debug)]
pub(super) struct Report {
    source: String,
    notes: Vec<Note>,
    documents: usize,
    pub(super) spend: Vec<SpendNote>,
}

impl Report {
    pub(super) fn new(source: String) -> Self {
        Self { source, ..Self::default() }
    }

    pub(super) fn add(&mut self, fate: Fate, subject: &str, place: &str, text: impl Into<String>) {
        self.notes.push(Note { fate, subject: subject.to_owned(), place: place.to_owned(), text: text.into() });
    }

    /// A document was made of what stands at `place`.
    pub(super) fn made(&mut self, noun: &str, subject: &str, place: &str) {
        self.documents += 1;
        self.add(Fate::Exact, subject, place, format!("as a {noun}, but for what is said above"));
    }

    pub(super) fn count(&self, fate: Fate) -> usize {
        self.notes.iter().filter(|note| note.fate == fate).count()
    }

    /// One line, for people.
    pub(super) fn summary(&self) -> String {
        let Self { documents, .. } = self;
        let (changed, impossible) = (self.count(Fate::Changed), self.count(Fate::Impossible));
        format!("{documents} document{}; {changed} changed, {impossible} impossible", plural(*documents))
    }

    /// The report for programs.
    pub(super) fn json(&self) -> Value {
        let of = |fate| {
            let notes = self.notes.iter().filter(move |note| note.fate == fate);
            let entry =
                |Note { subject, place, text, .. }: &Note| json!({"subject": subject, "place": place, "text": text});
            notes.map(entry).collect::<Vec<_>>()
        };
        let mut report = json!({"source": self.source, "documents": self.documents});
        for fate in Fate::ALL {
            report[fate.name()] = of(fate).into();
        }
        let spend = self.spend.iter().map(|it| {
            let SpendNote { subject, place, limit, amount, outcome } = it;
            json!({"subject": subject, "place": place, "limit": limit, "amount": amount, "outcome": outcome})
        });
        report["spend"] = spend.collect();
        report
    }

    /// The report for people, in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("# Migration from {}\n\n{}.\n", self.source, self.summary());
        for fate in Fate::ALL {
            let mut groups: BTreeMap<&str, Vec<&Note>> = BTreeMap::new();
            for note in self.notes.iter().filter(|note| note.fate == fate) {
                groups.entry(&note.text).or_default().push(note);
            }
            if groups.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n## {}\n", fate.title());
            for (said, notes) in groups {
                let _ = writeln!(text, "- {said}");
                for Note { subject, place, .. } in notes.iter().take(SHOWN) {
                    let subject = if subject.is_empty() { String::new() } else { format!("{subject}: ") };
                    let _ = writeln!(text, "  - {subject}{place}");
                }
                if notes.len() > SHOWN {
                    let _ = writeln!(text, "  - and {} more; `--json` prints all", notes.len() - SHOWN);
                }
            }
        }
        if !self.spend.is_empty() {
            let _ = writeln!(text, "\n## Spend\n");
            for SpendNote { subject, place, limit, amount, outcome } in &self.spend {
                let _ = writeln!(text, "- {subject}, {limit}: {amount} {outcome} ({place})");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sentences_are_told_once_with_their_places() {
        let mut report = Report::new("x".to_owned());
        for index in 0..25 {
            report.add(Fate::Impossible, &format!("key k{index}"), &format!("row {index}"), "users are unknown here");
        }
        report.made("team", "team a", "row t");
        let text = report.markdown();
        assert_eq!(text.matches("users are unknown here").count(), 1, "{text}");
        assert!(text.contains("  - key k0: row 0\n") && text.contains("  - and 5 more;"), "{text}");
        assert!(text.find("## Impossible") < text.find("## Taken over exactly"), "{text}");
        let json = report.json();
        assert_eq!((json["impossible"].as_array().unwrap().len(), json["documents"].clone()), (25, 1.into()));
        assert_eq!(report.summary(), "1 document; 0 changed, 25 impossible");
    }
}
