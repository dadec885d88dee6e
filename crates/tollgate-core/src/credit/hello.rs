//! The server's side of sessions: how nodes come and go, and windows with them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::book::{Book, Change, NodeRow, Outcome};
use super::pool::PoolRow;
use super::{Account, Directive, Hello, Stated};
use crate::counters::CounterKey;
use crate::domain::{LimitKind, Timestamp};

/// How long a limit waits for the nodes' hellos after commits were lost.
const AWAITED: Duration = Duration::from_secs(60);

fn after(at: Timestamp, span: Duration) -> Timestamp {
    at.plus_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

impl NodeRow {
    /// Until when it may hold slots, after it asked for so much time at `now`.
    fn slots_until_after(&self, now: Timestamp, slots_for: Duration) -> Timestamp {
        if slots_for.is_zero() { self.slots_until } else { self.slots_until.max(after(now, slots_for)) }
    }
}

impl Book {
    /// Begins a session. A hello that is repeated gets the same answer.
    ///
    /// A hello carries nothing that gives credit back: one that comes late may be of a process that ended, and the process
    /// after it may have been told that the credit is there.
    pub fn hello(&mut self, incarnation: i64, hello: &Hello, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        let Hello { connection, session, stated, slots_for } = hello;
        let node = self.nodes.get(&incarnation).cloned().unwrap_or_default();
        if node.is_closed {
            outcome.directives.push((incarnation, Directive::Closed));
            return outcome;
        }
        let is_repeated = node.session > 0 && node.connection == *connection;
        let session = if is_repeated { node.session } else { node.session.max(*session).saturating_add(1) };
        let slots_until = node.slots_until_after(now, *slots_for);
        let node = NodeRow { session, connection: *connection, seen: now, is_closed: false, slots_until };
        self.write(Change::Node(incarnation, node), &mut outcome);
        for stated in stated {
            self.compare(incarnation, stated, now, &mut outcome);
        }
        self.await_no_more(incarnation, &mut outcome);
        let credits = self.keys(incarnation).filter_map(|key| self.credit(key, incarnation, now)).collect();
        outcome.directives.push((incarnation, Directive::Welcome { connection: *connection, session, credits }));
        outcome
    }

    /// Compares what a node remembers with the rows: if they are behind, the server lost commits. Then the larger numbers
    /// hold, usage that was acknowledged is counted again, and nothing is granted until all others have said hello.
    fn compare(&mut self, incarnation: i64, stated: &Stated, now: Timestamp, outcome: &mut Outcome) {
        let Stated { key, granted, acknowledged } = stated;
        let Some(pool) = self.pools.get(key) else { return };
        let account = pool.account(incarnation);
        if account.granted >= *granted && account.used >= *acknowledged {
            return;
        }
        let lost = acknowledged.saturating_sub(account.used).max(0);
        let counted = pool.counted.saturating_add(lost);
        let mut row = pool.row.clone();
        row.epoch += 1;
        row.awaited = pool.incarnations().filter(|other| *other != incarnation).collect();
        row.awaited.retain(|other| self.nodes.get(other).is_some_and(|node| !node.is_closed));
        row.awaited_until = now.plus_micros(AWAITED.as_micros() as i64);
        for other in &row.awaited {
            let session = self.nodes.get(other).map_or(0, |node| node.session);
            outcome.directives.push((*other, Directive::Stale { session }));
        }
        self.write(Change::Pool(key.clone(), row), outcome);
        let to = Account { granted: *granted, used: *acknowledged, returned: 0 };
        self.raise(key, incarnation, &to, outcome);
        if lost > 0 {
            self.set_counted(key, counted);
            outcome.recounted.push((key.clone(), counted));
        }
    }

    /// Waits no more for an incarnation that said hello or was closed.
    fn await_no_more(&mut self, incarnation: i64, outcome: &mut Outcome) {
        let keys: Vec<_> = self.keys(incarnation).cloned().collect();
        for key in keys {
            let Some(row) = self.pools.get(&key).map(|pool| &pool.row) else { continue };
            if row.awaited.contains(&incarnation) {
                let mut row = row.clone();
                row.awaited.remove(&incarnation);
                if row.awaited.is_empty() {
                    outcome.freed.push(key.clone());
                }
                self.write(Change::Pool(key, row), outcome);
            }
        }
    }

    /// Gives credit that expires more time, and slots as much as the node says.
    pub fn renew(
        &mut self,
        incarnation: i64,
        session: i64,
        sent: Duration,
        slots_for: Duration,
        now: Timestamp,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if self.has_session(incarnation, session, &mut outcome)
            && let Some(node) = self.nodes.get(&incarnation)
        {
            let slots_until = node.slots_until_after(now, slots_for);
            let node = NodeRow { seen: now, slots_until, ..node.clone() };
            self.write(Change::Node(incarnation, node), &mut outcome);
            outcome.directives.push((incarnation, Directive::Renewed { session, sent }));
        }
        outcome
    }

    /// Frees credit that expired: on limits with a lease, of nodes that were not heard for so long, and slots of nodes whose time
    /// is up. Their sessions end, so that they hear of it before they are granted more.
    pub fn expire(&mut self, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::default();
        let mut expired = BTreeSet::new();
        for (incarnation, node) in self.nodes.clone() {
            let is_silent = |lease: Duration| now >= after(node.seen, lease);
            let keys: Vec<_> = self.keys(incarnation).cloned().collect();
            for key in keys {
                let lease = self.pools.get(&key).and_then(|pool| pool.row.terms.lease);
                let is_over = match key.kind {
                    LimitKind::Concurrency => now >= node.slots_until,
                    _ => lease.is_some_and(is_silent),
                };
                if is_over && self.account(&key, incarnation).outstanding() > 0 {
                    self.void(&key, incarnation, &mut outcome);
                    expired.insert(incarnation);
                }
            }
        }
        for incarnation in expired {
            if let Some(node) = self.nodes.get(&incarnation).cloned() {
                let session = node.session;
                let node = NodeRow { session: session + 1, connection: 0, ..node };
                self.write(Change::Node(incarnation, node), &mut outcome);
                outcome.directives.push((incarnation, Directive::Stale { session }));
            }
        }
        outcome
    }

    /// Closes an incarnation that will not come back: its credit is freed. What it still reports is counted, and lies outside
    /// of the bound.
    pub fn close(&mut self, incarnation: i64) -> Outcome {
        let mut outcome = Outcome::default();
        let node = self.nodes.get(&incarnation).cloned().unwrap_or_default();
        self.write(Change::Node(incarnation, NodeRow { is_closed: true, ..node }), &mut outcome);
        let keys: Vec<_> = self.keys(incarnation).cloned().collect();
        for key in keys {
            self.void(&key, incarnation, &mut outcome);
        }
        self.await_no_more(incarnation, &mut outcome);
        outcome.directives.push((incarnation, Directive::Closed));
        outcome
    }

    /// Gives all outstanding credit of an account back.
    fn void(&mut self, key: &CounterKey, incarnation: i64, outcome: &mut Outcome) {
        let mut account = self.account(key, incarnation);
        account.void();
        self.raise(key, incarnation, &account, outcome);
    }

    /// Moves a limit to another window, since an edit moved the bounds of its current one. Open credit of the old window
    /// counts in the new one, whose terms must be known, until it is used or given back.
    pub fn move_window(&mut self, from: &CounterKey, to: &CounterKey) -> Outcome {
        let mut outcome = Outcome::default();
        let rows = self.pools.get(from).zip(self.pools.get(to)).map(|(from, to)| (from.row.clone(), to.row.clone()));
        if let Some((old, mut new)) = rows {
            // A window may have been moved before, and back.
            new.is_moved = false;
            // Usage moves, too.
            new.uncovered = old.uncovered;
            for key in old.carried.iter().chain([from]) {
                if key != to && !new.carried.contains(key) {
                    new.carried.push(key.clone());
                }
            }
            self.write(Change::Pool(to.clone(), new), &mut outcome);
            self.write(
                Change::Pool(from.clone(), PoolRow { is_moved: true, carried: Vec::new(), ..old }),
                &mut outcome,
            );
        }
        outcome
    }

    /// Forgets a window, since its limit is gone.
    pub fn discard(&mut self, key: &CounterKey) -> Outcome {
        let mut outcome = Outcome::default();
        self.write(Change::Forgotten(key.clone()), &mut outcome);
        outcome
    }

    /// Forgets a window if no credit is open in it. Whether it did. Until then its counters must be kept.
    pub fn forget(&mut self, key: &CounterKey) -> (bool, Outcome) {
        let mut outcome = Outcome::default();
        let is_over = self.outstanding(key) == 0;
        if is_over {
            self.write(Change::Forgotten(key.clone()), &mut outcome);
        }
        (is_over, outcome)
    }
}
