//! The configuration, as far as the server's credit goes by it.

use std::time::Duration;

use super::{Book, Outcome, Terms};
use crate::counters::{CounterKey, Dimension};
use crate::domain::{LimitKind, Timestamp};

impl Book {
    /// Takes what the configuration says of a limit at the time `now`: its ceiling and the end of its window. Credit of
    /// windows that an edit did away with moves to the window of now. With `opens`, credit can be asked for from now on.
    /// `counted` tells what was counted in a window.
    pub fn review(
        &mut self,
        limit: &Dimension<'_>,
        opens: bool,
        lease: Option<Duration>,
        now: Timestamp,
        counted: impl Fn(&CounterKey) -> i64,
    ) -> Outcome {
        let (current, window) = (limit.counter(now), limit.window(now));
        let known: Vec<CounterKey> = self.windows(&limit.limit_id, limit.kind).cloned().collect();
        // Slots are freed when their node says, whatever becomes of other credit.
        let lease = lease.filter(|_| limit.kind != LimitKind::Concurrency);
        let mut outcome = Outcome::default();
        if !opens && known.is_empty() {
            return outcome;
        }
        let gone: Vec<&CounterKey> =
            known.iter().filter(|key| **key != current && self.is_gone(key, limit, now)).collect();
        if opens || known.contains(&current) || !gone.is_empty() {
            self.set_counted(&current, counted(&current));
            let raised_until = limit.raised_until(&window);
            let terms = Terms { max: limit.max(now), ends: window.end, lease, raised_until };
            outcome.append(self.set_terms(&current, terms));
            self.set_counted(&current, counted(&current));
        }
        for key in gone {
            self.set_counted(key, counted(key));
            outcome.append(self.move_window(key, &current));
        }
        outcome
    }

    /// Whether an edit did away with a window in which credit is open or could still be asked for.
    fn is_gone(&self, key: &CounterKey, limit: &Dimension<'_>, now: Timestamp) -> bool {
        let window = limit.window(key.window_start);
        self.pool(key).is_some_and(|row| {
            let is_whole = window.start == key.window_start && window.end == row.terms.ends;
            !row.is_moved && !is_whole && (now < row.terms.ends || self.outstanding(key) > 0)
        })
    }
}
