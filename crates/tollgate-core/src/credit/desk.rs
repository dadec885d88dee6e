//! The memory of one replica about wants: those that wait, and who asked lately. If it is lost, nodes ask again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::{Answer, Book, Directive, Outcome, Want};
use crate::counters::CounterKey;
use crate::domain::Timestamp;

/// How long a node that asked counts among those that share what is left.
const LATELY: Duration = Duration::from_secs(10);

/// How long a node has to answer a recall before it is asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// The wants that came to one replica.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// Those that wait for credit, the oldest first.
    waiting: VecDeque<Waiting>,
    /// When each incarnation asked for credit last, and when it was asked to give some back.
    asked: HashMap<CounterKey, Times>,
    recalled: HashMap<CounterKey, Times>,
}

/// A time of each incarnation.
type Times = BTreeMap<i64, Timestamp>;

#[derive(Clone, Debug)]
struct Waiting {
    incarnation: i64,
    session: i64,
    wants: Vec<Want>,
    until: Timestamp,
}

impl Desk {
    /// Takes a want to the book. If it is not met and others were asked to give credit back, it waits until `until`.
    pub fn want(
        &mut self,
        book: &mut Book,
        incarnation: i64,
        session: i64,
        wants: Vec<Want>,
        until: Timestamp,
        now: Timestamp,
    ) -> Outcome {
        for want in &wants {
            let asked = self.asked.entry(want.key.clone()).or_default();
            keep_since(asked, now, LATELY);
            asked.insert(incarnation, now);
        }
        let (answer, mut outcome) = book.want(incarnation, session, &wants, |key, left| self.share(key, left), now);
        outcome.directives.retain(|(holder, directive)| match directive {
            Directive::Recall { keys, .. } => keys.iter().any(|key| self.note_recall(key, *holder, now)),
            _ => true,
        });
        // A node has one want at a time: a later one stands for it.
        self.waiting.retain(|waiting| waiting.incarnation != incarnation);
        if answer == (Answer::Unmet { recalling: true }) {
            self.waiting.push_back(Waiting { incarnation, session, wants, until });
        }
        outcome
    }

    /// Tries the wants that wait once more, since credit was freed, and drops those whose time is up.
    pub fn retry(&mut self, book: &mut Book, now: Timestamp) -> Outcome {
        let mut all = Outcome::default();
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting { incarnation, session, wants, until } = &waiting;
            if *until <= now {
                continue;
            }
            let (answer, outcome) = book.want(*incarnation, *session, wants, |key, left| self.share(key, left), now);
            match answer {
                Answer::Met => {
                    all.changes.extend(outcome.changes);
                    all.directives.extend(outcome.directives);
                }
                // Whoever holds credit was asked before.
                Answer::Unmet { .. } => self.waiting.push_back(waiting),
                Answer::Dropped => {}
            }
        }
        all
    }

    /// The limits and windows of the wants that wait.
    pub fn keys(&self) -> BTreeSet<CounterKey> {
        self.waiting.iter().flat_map(|waiting| &waiting.wants).map(|want| want.key.clone()).collect()
    }

    /// Whether a recall is to be sent: one that was sent a moment ago is on its way.
    fn note_recall(&mut self, key: &CounterKey, holder: i64, now: Timestamp) -> bool {
        let recalled = self.recalled.entry(key.clone()).or_default();
        keep_since(recalled, now, AGAIN);
        let is_new = !recalled.contains_key(&holder);
        recalled.entry(holder).or_insert(now);
        is_new
    }

    /// Forgets limits that nobody asked for lately; to be called now and then.
    pub fn tidy(&mut self, now: Timestamp) {
        for (times, since) in [(&mut self.asked, LATELY), (&mut self.recalled, AGAIN)] {
            times.values_mut().for_each(|times| keep_since(times, now, since));
            times.retain(|_, times| !times.is_empty());
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How much of a limit one node may be granted ahead of its needs: less, the more nodes asked lately.
    fn share(&self, key: &CounterKey, left: i64) -> i64 {
        let asked = self.asked.get(key).map_or(1, |asked| asked.len().max(1));
        left / i64::try_from(asked).unwrap_or(i64::MAX).saturating_mul(2)
    }
}

fn keep_since(times: &mut Times, now: Timestamp, since: Duration) {
    let since = now.plus_micros(-(since.as_micros() as i64));
    times.retain(|_, at| *at > since);
}
