//! Deciding a group of reports.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{CreditRequest, Crediting, Freed, HelloReply, INTERVAL, Outbox};
use crate::counters::CounterKey;
use crate::credit::{Book, Change, Directive, Hello, Outcome, Report, RowKey, Stated, Used, Want};
use crate::domain::{Enforcement, Error, Timestamp};
use crate::ledger::retention::ago;
use crate::state::{State, Tally};
use crate::store::{CreditGroup, StoreError};

/// How long a want waits for credit that others are asked to give back.
const CREDIT_WAIT: Duration = Duration::from_millis(250);
/// How long a window without open credit is kept after its end, for usage that comes late.
const KEPT: Duration = Duration::from_secs(300);
/// Windows that are forgotten in one transaction.
const FORGOTTEN: usize = 1_000;

/// What becomes of a group of reports, to be written first.
#[derive(Default)]
pub(in crate::ledger) struct Decided {
    /// The rows.
    pub(in crate::ledger) group: CreditGroup,
    /// Whether other servers should look at it soon: credit is free that is waited for there, or nodes there are asked for some.
    pub(in crate::ledger) announces: bool,
    /// The credit that is granted, by what it counts.
    pub(super) granted: Freed,
    /// Directives: of the outbox, or else of the session of the incarnation.
    pub(super) sends: Vec<(Option<Outbox>, i64, Directive)>,
    pub(super) hellos: Vec<(i64, Outbox, HelloReply)>,
    pub(super) closes: Vec<(oneshot::Sender<Result<Freed, Error>>, Freed)>,
    /// Those whose reports are in the group.
    pub(super) outboxes: Vec<Outbox>,
}

impl Decided {
    /// What becomes of a group that was not written, or may not have been: its nodes say hello anew, and are told.
    pub(in crate::ledger) fn failed(self, error: &StoreError) {
        for outbox in self.outboxes {
            outbox.end();
        }
        // A caller that is gone has nothing to hear.
        for (_, _, reply) in self.hellos {
            let _ = reply.send(Err(error.to_domain()));
        }
        for (reply, _) in self.closes {
            let _ = reply.send(Err(error.to_domain()));
        }
    }
}

/// A group, while it is decided.
struct Group<'a, 't> {
    state: &'a State,
    tally: &'a mut Tally<'t>,
    book: Book,
    lease: Option<Duration>,
    now: Timestamp,
    decided: Decided,
    /// The consequences, but for directives to those who reported.
    outcome: Outcome,
}

impl Crediting {
    /// Decides what was used by incarnations whose batches are counted in `tally`, then `requests`, then what is due. The book
    /// that it leads to. `is_callers` tells whether an incarnation is of a node and was registered by a caller.
    pub(in crate::ledger) fn decide(
        &mut self,
        state: &State,
        tally: &mut Tally<'_>,
        now: Timestamp,
        used: Vec<(i64, Vec<Used>)>,
        requests: Vec<CreditRequest>,
        is_callers: impl Fn(i64, &str, &str) -> bool,
    ) -> (Book, Decided) {
        let (book, lease) = (state.credit().clone(), self.lease);
        let mut group =
            Group { state, tally, book, lease, now, decided: Decided::default(), outcome: Outcome::default() };
        for (limit_id, kind) in self.changed_limits(state) {
            group.review(&CounterKey { limit_id, kind, window_start: now }, false);
        }
        self.reviewed = Some(state.revision());
        group.count(used);
        for request in requests {
            self.take(&mut group, request, &is_callers);
        }
        if self.next <= Instant::now() {
            self.next = Instant::now() + INTERVAL;
            self.desk.tidy(now);
            group.tidy();
        }
        if self.waits() {
            for key in self.desk.keys() {
                group.review(&key, false);
            }
            let outcome = self.desk.retry(&mut group.book, now);
            group.outcome.append(outcome);
        }
        group.close(|incarnation| self.sessions.has(incarnation))
    }

    fn take(
        &mut self,
        group: &mut Group<'_, '_>,
        request: CreditRequest,
        is_callers: &impl Fn(i64, &str, &str) -> bool,
    ) {
        match request {
            CreditRequest::Hello { caller, node_id, incarnation, hello, outbox, reply } => {
                if is_callers(incarnation, &node_id, &caller) {
                    let outcome = group.hello(incarnation, &hello);
                    group.reported(incarnation, &outbox, outcome);
                    group.decided.hellos.push((incarnation, outbox, reply));
                } else {
                    // A caller that is gone has nothing to hear.
                    let _ = reply.send(Err(Error::NodeNotRegistered { node_id, incarnation }));
                }
            }
            CreditRequest::Report { incarnation, report, outbox } => {
                let (book, now) = (&mut group.book, group.now);
                let outcome = match report {
                    Report::Hello(hello) => group.hello(incarnation, &hello),
                    Report::Want { session, wants } => self.want(group, incarnation, session, wants),
                    Report::Return { session, returns } => book.give_back(incarnation, session, &returns),
                    Report::Renew { session, sent, slots_for } => {
                        book.renew(incarnation, session, sent, slots_for, now)
                    }
                };
                group.reported(incarnation, &outbox, outcome);
            }
            CreditRequest::Close { incarnations, reply } => {
                let mut freed = Freed::new();
                for incarnation in incarnations {
                    for (key, account) in group.book.accounts_of(incarnation) {
                        let sum = freed.entry(key.kind).or_default();
                        *sum = sum.saturating_add(account.outstanding());
                    }
                    let outcome = group.book.close(incarnation);
                    group.outcome.append(outcome);
                }
                group.decided.closes.push((reply, freed));
            }
        }
    }

    fn want(&mut self, group: &mut Group<'_, '_>, incarnation: i64, session: i64, wants: Vec<Want>) -> Outcome {
        let closed = wants.iter().map(|want| &want.key).filter(|key| !group.review(key, true));
        let keys: Vec<CounterKey> = closed.cloned().collect();
        if keys.is_empty() {
            let until = group.now.plus_micros(CREDIT_WAIT.as_micros() as i64);
            return self.desk.want(&mut group.book, incarnation, session, wants, until, group.now);
        }
        // Of a stale session the book says so.
        let mut outcome = group.book.give_back(incarnation, session, &[]);
        if outcome.directives.is_empty() {
            outcome.directives.push((incarnation, Directive::Unmet { session, keys, recalling: false }));
        }
        outcome
    }
}

impl Group<'_, '_> {
    /// Takes what the configuration says of the limit of `key`, and what was counted of it. Whether credit can be asked for in
    /// the window of `key`, which is opened if it is to be.
    fn review(&mut self, key: &CounterKey, opens: bool) -> bool {
        let limit = self.state.config().limit(&key.limit_id, key.kind);
        let Some(limit) = limit.filter(|limit| limit.enforcement == Enforcement::Hard) else { return false };
        let is_current = limit.counter(self.now) == *key;
        let is_open = self.book.pool(key).is_some();
        let tally = &*self.tally;
        let counted = |key: &CounterKey| tally.used(key);
        let outcome = self.book.review(&limit, opens && is_current, self.lease, self.now, counted);
        self.outcome.append(outcome);
        // What is counted when credit is first asked for, nobody held any for. What an edit moves here was told of before.
        if !is_open && self.book.pool(key).is_some_and(|row| row.carried.is_empty()) {
            let outcome = self.book.add_uncovered(key, self.tally.used(key));
            self.outcome.append(outcome);
        }
        is_current
    }

    /// Takes what incarnations used, as the batches tell that are counted, and sees how much of what is counted nobody held
    /// credit for.
    fn count(&mut self, used: Vec<(i64, Vec<Used>)>) {
        let mut beyond: BTreeMap<CounterKey, i64> = BTreeMap::new();
        if self.book.pools_after(None).next().is_some() {
            let moved = self.tally.moved().filter(|(key, _)| self.book.pool(key).is_some());
            beyond.extend(moved.map(|(key, amount)| (key.clone(), amount)));
        }
        for (incarnation, used) in used {
            let is_closed = self.book.node(incarnation).is_some_and(|node| node.is_closed);
            for Used { key, used, uncovered } in used {
                if self.book.pool(&key).is_none() {
                    self.review(&key, true);
                }
                let more = used.saturating_sub(self.book.account(&key, incarnation).used).max(0);
                // Credit of an incarnation that was closed is free: all that it used since is beyond it.
                let covered = if is_closed { 0 } else { more.saturating_sub(uncovered).max(0) };
                let of_limit = beyond.entry(key.clone()).or_default();
                *of_limit = of_limit.saturating_sub(covered);
                let outcome = self.book.set_used(incarnation, &[(key, used)]);
                self.outcome.append(outcome);
            }
        }
        // Of a limit that is not hard now, too: it may be again before its window ends.
        for (key, amount) in beyond {
            let outcome = self.book.add_uncovered(&key, amount);
            self.outcome.append(outcome);
        }
    }

    fn hello(&mut self, incarnation: i64, hello: &Hello) -> Outcome {
        // A server that lost commits may have lost the window, too.
        for Stated { key, .. } in &hello.stated {
            self.review(key, true);
        }
        let outcome = self.book.hello(incarnation, hello, self.now);
        for (key, counted) in &outcome.recounted {
            let limit = self.state.config().limit(&key.limit_id, key.kind);
            self.tally.raise(key, *counted, limit.as_ref());
        }
        outcome
    }

    /// Takes the consequences of a report. What is said to whoever reported goes where the report came from.
    fn reported(&mut self, incarnation: i64, outbox: &Outbox, mut outcome: Outcome) {
        let directives = std::mem::take(&mut outcome.directives);
        let (own, others) = directives.into_iter().partition(|(to, _)| *to == incarnation);
        let own: Vec<(i64, Directive)> = own;
        self.decided.sends.extend(own.into_iter().map(|(to, directive)| (Some(outbox.clone()), to, directive)));
        outcome.directives = others;
        self.outcome.append(outcome);
        self.decided.outboxes.push(outbox.clone());
    }

    /// Frees what expired, and forgets windows that are over.
    fn tidy(&mut self) {
        let outcome = self.book.expire(self.now);
        self.outcome.append(outcome);
        let raised = self.book.pools_after(None);
        let raised = raised.filter(|(_, row)| row.terms.raised_until.is_some_and(|until| until <= self.now));
        for key in raised.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.review(&key, false);
        }
        let before = ago(self.now, KEPT);
        let over = self.book.pools_after(None).filter(|(key, row)| {
            row.terms.ends <= before || row.is_moved || self.state.config().limit(&key.limit_id, key.kind).is_none()
        });
        let over: Vec<CounterKey> = over.map(|(key, _)| key.clone()).take(FORGOTTEN).collect();
        for key in over {
            let is_deleted = self.state.config().limit(&key.limit_id, key.kind).is_none();
            let outcome = if is_deleted { self.book.discard(&key) } else { self.book.forget(&key).1 };
            self.outcome.append(outcome);
        }
    }

    /// The book, and what is to be written and sent.
    fn close(self, is_here: impl Fn(i64) -> bool) -> (Book, Decided) {
        let Self { state, book, mut decided, outcome, .. } = self;
        let Outcome { changes, directives, recounted: _, freed } = outcome;
        for (incarnation, directive) in directives {
            match directive {
                Directive::Recall { keys, .. } if !is_here(incarnation) => {
                    decided.group.recalls.extend(keys.into_iter().map(|key| (incarnation, key)));
                }
                // Other servers read the rest off the rows.
                directive => decided.sends.push((None, incarnation, directive)),
            }
        }
        for row in changes.iter().map(Change::row).collect::<BTreeSet<_>>() {
            if let RowKey::Account(key, incarnation) = &row {
                let granted = |book: &Book| book.account(key, *incarnation).granted;
                let sum = decided.granted.entry(key.kind).or_default();
                *sum = sum.saturating_add(granted(&book).saturating_sub(granted(state.credit())).max(0));
            }
        }
        decided.announces = !freed.is_empty() || !decided.group.recalls.is_empty();
        decided.group.changes = changes;
        (book, decided)
    }
}
