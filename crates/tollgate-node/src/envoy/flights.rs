//! Admissions that were made for Envoy and have not ended, and what ends them. Whoever takes one ends it, so that it ends
//! once: the meter of its answer, or, where there was none, the access log.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::kind::Kind;
use super::meter::Reading;
use crate::admission::{AdmissionId, Used};
use crate::decide::{Estimate, tokens_of_bytes};
use crate::node::Node;

/// An admission, with what its end needs.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: AdmissionId,
    pub(super) kind: Kind,
    pub(super) estimate: Estimate,
    /// Headers of the answer that tell of limits.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Flights(Mutex<Open>);

#[derive(Default)]
struct Open {
    flights: HashMap<AdmissionId, Flight>,
    /// In the order in which they began.
    began: VecDeque<(Instant, AdmissionId)>,
}

impl Flights {
    /// Adds one, and forgets those that began `longest` ago or earlier: their time is up.
    pub(super) fn add(&self, flight: Flight, longest: Duration) {
        let now = Instant::now();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while open.began.front().is_some_and(|(began, _)| now - *began >= longest) {
            if let Some((_, id)) = open.began.pop_front() {
                open.flights.remove(&id);
            }
        }
        open.began.push_back((now, flight.id));
        open.flights.insert(flight.id, flight);
    }

    pub(super) fn take(&self, id: AdmissionId) -> Option<Flight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flights.remove(&id)
    }
}

/// Counts of ended admissions, by where their usage came from.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    reported: AtomicI64,
    estimated: AtomicI64,
    unused: AtomicI64,
}

impl Ended {
    /// Names and counts.
    pub(crate) fn counts(&self) -> [(&'static str, i64); 3] {
        let read = |count: &AtomicI64| count.load(Ordering::Relaxed);
        [("reported", read(&self.reported)), ("estimated", read(&self.estimated)), ("none", read(&self.unused))]
    }
}

/// The end of an admission.
#[derive(PartialEq, Eq, Debug)]
enum End {
    /// Nothing was used.
    Unused,
    /// So much was used, as the provider says.
    Reported(Used),
    /// So much was used, as far as is known.
    Estimated(Used),
}

impl Flight {
    /// Ends it with what was read of its answer; `None` if no answer began.
    pub(super) async fn end(self, node: &Node, answer: Option<Reading>, ended: &Ended) {
        let (count, used) = match self.end_of(answer.as_ref()) {
            End::Unused => return self.give_up(node, ended),
            End::Reported(used) => (&ended.reported, used),
            End::Estimated(used) => (&ended.estimated, used),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = node.settle(self.id, &used).await {
            unrecorded(&error);
        }
    }

    /// Ends it without any usage.
    pub(super) fn give_up(self, node: &Node, ended: &Ended) {
        ended.unused.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = node.abandon(self.id) {
            unrecorded(&error);
        }
    }

    fn end_of(&self, answer: Option<&Reading>) -> End {
        let Self { kind, estimate, .. } = self;
        let Some(Reading { status, tokens, text, is_whole }) = answer else {
            // The provider may be at work already.
            return End::Estimated(self.used(Reading::default(), estimate.output_tokens));
        };
        if !(200..300).contains(status) {
            return End::Unused;
        }
        let output = if kind.has_output() { tokens.output } else { Some(0) };
        let reading = Reading { tokens: *tokens, ..Reading::default() };
        match output {
            Some(_) if *is_whole && tokens.input.is_some() => End::Reported(self.used(reading, output)),
            _ => {
                let of_text = text.map(tokens_of_bytes);
                End::Estimated(self.used(reading, output.max(of_text).or(estimate.output_tokens)))
            }
        }
    }

    fn used(&self, Reading { tokens, .. }: Reading, output: Option<i64>) -> Used {
        Used {
            input_tokens: tokens.input.or(self.estimate.input_tokens).unwrap_or_default(),
            cache_read_tokens: tokens.cache_read.unwrap_or_default(),
            cache_creation_tokens: tokens.cache_creation.unwrap_or_default(),
            output_tokens: output.unwrap_or_default(),
            ..Used::default()
        }
    }
}

fn unrecorded(error: &dyn std::error::Error) {
    tracing::warn!(%error, "the end of an admission is not recorded: it is charged at its estimate when its time is up");
}

#[cfg(test)]
mod tests {
    use super::super::tokens::Tokens;
    use super::*;

    fn flight(kind: Kind) -> Flight {
        let estimate = Estimate::of(100, Some(50));
        Flight { id: AdmissionId([1; 16]), kind, estimate, headers: Vec::new() }
    }

    fn used(input_tokens: i64, output_tokens: i64) -> Used {
        Used { input_tokens, output_tokens, ..Used::default() }
    }

    #[test]
    fn an_admission_ends_with_the_best_that_is_known() {
        let told = |input, output| Tokens { input, output, ..Tokens::default() };
        let chat = Kind::ChatCompletion;
        for (kind, status, tokens, text, is_whole, expected) in [
            (chat, 200, told(Some(7), Some(3)), None, true, End::Reported(used(7, 3))),
            (chat, 200, told(Some(7), Some(3)), Some(4_000), true, End::Reported(used(7, 3))),
            (Kind::Embeddings, 200, told(Some(7), None), None, true, End::Reported(used(7, 0))),
            (chat, 429, Tokens::default(), None, true, End::Unused),
            (chat, 504, told(Some(7), Some(3)), None, false, End::Unused),
            // Cut: the prompt as it is known, and the text so far.
            (Kind::Messages, 200, told(Some(7), Some(1)), Some(41), false, End::Estimated(used(7, 11))),
            (chat, 200, Tokens::default(), Some(41), false, End::Estimated(used(100, 11))),
            (chat, 200, Tokens::default(), Some(0), false, End::Estimated(used(100, 0))),
            (chat, 200, Tokens::default(), None, false, End::Estimated(used(100, 50))),
            // Whole, without usage.
            (chat, 200, Tokens::default(), Some(41), true, End::Estimated(used(100, 11))),
            (chat, 200, told(None, Some(3)), None, true, End::Estimated(used(100, 3))),
            (chat, 200, Tokens::default(), None, true, End::Estimated(used(100, 50))),
            (Kind::Embeddings, 200, Tokens::default(), None, true, End::Estimated(used(100, 0))),
        ] {
            let reading = Reading { status, tokens, text, is_whole };
            assert_eq!(flight(kind).end_of(Some(&reading)), expected, "{kind:?} {reading:?}");
        }
        assert_eq!(flight(chat).end_of(None), End::Estimated(used(100, 50)));
    }

    #[test]
    fn whoever_takes_a_flight_has_it_alone_and_old_ones_are_forgotten() {
        let flights = Flights::default();
        let minute = Duration::from_secs(60);
        let id = |number| AdmissionId([number; 16]);
        let of = |number| Flight { id: id(number), ..flight(Kind::Messages) };
        flights.add(of(1), minute);
        flights.add(of(2), minute);
        assert!(flights.take(id(1)).is_some() && flights.take(id(1)).is_none());
        flights.add(of(3), Duration::ZERO);
        assert!(flights.take(id(2)).is_none() && flights.take(id(3)).is_some());
    }
}
