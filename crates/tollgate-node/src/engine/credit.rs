//! Requests that need credit, and the session by which the node gets it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tollgate_core::config::Config;
use tollgate_core::counters::{CounterKey, owned_limits};
use tollgate_core::credit::{Demand, Directive, Now, Report, Reservation, Short};
use tollgate_core::domain::{AnyResource, LimitId, Timestamp};
use tollgate_core::reducer::ResourceChange;

use super::{Engine, Inner, OnOutage};
use crate::outbox::record::{Event, Session};
use crate::outbox::spending::boot_id;

/// The signals by which tasks hear of each other.
pub(super) struct Signals {
    /// There are reports to be sent.
    pub(super) reports: Arc<Notify>,
    /// The incarnation by which the node is registered; 0 for none.
    pub(super) incarnation: watch::Sender<i64>,
    /// The revision that the node decides with; 0 for none.
    pub(super) applied: watch::Sender<i64>,
    /// Whether it is known if the control plane grants credit.
    pub(super) is_settled: watch::Sender<bool>,
    /// The incarnation was closed: the node has to register a new one.
    pub(super) closed: Notify,
    /// The last error on the way to the control plane, for people.
    pub(super) last_error: watch::Sender<String>,
}

impl Signals {
    pub(super) fn new(incarnation: i64) -> Self {
        Self {
            reports: Arc::default(),
            incarnation: watch::Sender::new(incarnation),
            applied: watch::Sender::new(0),
            is_settled: watch::Sender::new(false),
            closed: Notify::new(),
            last_error: watch::Sender::default(),
        }
    }
}

/// Why a request is not admitted.
pub(super) enum Stop<E> {
    /// It is refused.
    Refused(E),
    /// It lacks credit for these, and is refused if none comes.
    Short(Vec<Demand>, E),
}

impl<E> Stop<E> {
    pub(super) fn map<F>(self, map: impl FnOnce(E) -> F) -> Stop<F> {
        match self {
            Self::Refused(error) => Stop::Refused(map(error)),
            Self::Short(demands, error) => Stop::Short(demands, map(error)),
        }
    }
}

/// The part of demands that a request does not hold already.
pub(super) fn beyond(mut demands: Vec<Demand>, held: &Reservation) -> Vec<Demand> {
    for demand in &mut demands {
        let own = held.amounts().iter().filter(|(key, _)| *key == demand.key);
        demand.amount = own.fold(demand.amount, |amount, (_, own)| amount.saturating_sub(*own));
    }
    demands.retain(|demand| demand.amount > 0);
    demands
}

/// The place of a request among those that wait. Dropped, it is left.
struct Turn<'a> {
    engine: &'a Engine,
    number: Option<u64>,
    wake: Arc<Notify>,
}

impl Turn<'_> {
    /// Waits until the request got credit, or nobody can be asked any more. Whether to try again.
    async fn has_come(&self) -> bool {
        let until = || self.number.and_then(|number| self.engine.lock().credit.until(number));
        // Others may be asked to give credit back meanwhile, which gives it more time.
        while let Some(until) = until() {
            if until <= Instant::now() {
                return false;
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
        true
    }

    /// Leaves the place, with the credit that the request got.
    fn leave(mut self, inner: &mut Inner) -> Reservation {
        self.number.take().map(|number| inner.credit.leave(number)).unwrap_or_default()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            let now = self.engine.credit_time(self.engine.now());
            let mut inner = self.engine.lock();
            let got = inner.credit.leave(number);
            inner.credit.abandon(got, now);
        }
    }
}

impl Engine {
    /// The time for the purse.
    pub(super) fn credit_time(&self, at: Timestamp) -> Now {
        Now { at, elapsed: self.began.elapsed() }
    }

    /// Tries something that needs credit. Where that lacks, it waits and tries again with what it got, and for no longer than
    /// requests may wait.
    pub(super) async fn with_credit<T, E>(
        &self,
        mut attempt: impl FnMut(&mut Inner, &mut Reservation) -> Result<T, Stop<E>>,
    ) -> Result<T, E> {
        let since = Instant::now();
        let mut turn: Option<Turn<'_>> = None;
        loop {
            let (next, refused) = {
                let mut inner = self.lock();
                let mut got = turn.take().map(|turn| turn.leave(&mut inner)).unwrap_or_default();
                let stop = match attempt(&mut inner, &mut got) {
                    Ok(done) => return Ok(done),
                    Err(stop) => stop,
                };
                let now = self.credit_time(self.now());
                inner.credit.abandon(got, now);
                match stop {
                    Stop::Refused(error) => return Err(error),
                    Stop::Short(demands, error) => (inner.credit.wait(demands, since, now), error),
                }
            };
            let Some((number, wake)) = next else { return Err(refused) };
            let waiting = Turn { engine: self, number: Some(number), wake };
            if !waiting.has_come().await {
                self.lock().credit.lapse(number);
                return Err(refused);
            }
            turn = Some(waiting);
        }
    }

    /// Holds credit for a request, in place of what it holds already. While no server can be asked, it may go on without.
    pub(super) fn cover(
        &self,
        inner: &mut Inner,
        before: [&mut Reservation; 2],
        demands: &[Demand],
        at: Timestamp,
    ) -> Result<Reservation, Short> {
        let now = self.credit_time(at);
        let is_alone = inner.credit.purse().session().is_none();
        let [one, other] = before;
        match (inner.credit.exchange([&mut *one, &mut *other], demands, now), self.policy.on_outage) {
            (Err(_), OnOutage::Admit) if is_alone => {
                for held in [one, other] {
                    inner.credit.abandon(std::mem::take(held), now);
                }
                Ok(Reservation::default())
            }
            (covered, _) => covered,
        }
    }

    /// Begins a connection with a server. The last session and all that the node holds are told.
    pub(crate) fn hello(&self, connection: u64) -> Report {
        self.lock().credit.hello(connection, self.credit_time(self.now()))
    }

    /// Takes a directive of a server.
    pub(crate) fn direct(&self, directive: Directive) {
        let now = self.credit_time(self.now());
        let mut inner = self.lock();
        let Inner { outbox, credit, .. } = &mut *inner;
        if let Some(session) = credit.take(directive, now) {
            // It says how far a server may have forgotten. Where it cannot be written, the next one is.
            let begun = Session { session, boot_id: boot_id(), ..Session::default() };
            let _ = outbox.write(vec![Event::Session(begun).into()]);
            self.signals.is_settled.send_replace(true);
        }
        if credit.purse().is_closed() {
            self.signals.closed.notify_one();
        }
    }

    /// The session, while there is one.
    pub(crate) fn session(&self) -> Option<i64> {
        self.lock().credit.purse().session()
    }

    /// The connection to the server is lost.
    pub(crate) fn disconnected(&self) {
        self.lock().credit.disconnected(self.credit_time(self.now()));
    }

    /// Whether hard limits are decided by credit.
    pub(crate) fn needs_credit(&self) -> bool {
        self.lock().credit.is_needed()
    }

    /// The control plane grants this node no credit. Whether that is new.
    pub(crate) fn withhold(&self, why: &str) -> bool {
        let is_new = self.lock().credit.withhold(why.to_owned());
        self.signals.is_settled.send_replace(true);
        is_new
    }

    /// Waits until it is known whether the control plane grants credit.
    pub(crate) async fn credit_is_settled(&self) {
        // The sender is the engine's own.
        let _ = self.signals.is_settled.subscribe().wait_for(|is_settled| *is_settled).await;
    }

    /// The incarnation by which the node is registered, as it changes; 0 for none.
    pub(crate) fn incarnation(&self) -> watch::Receiver<i64> {
        self.signals.incarnation.subscribe()
    }

    /// Waits until the incarnation was closed.
    pub(crate) async fn closed(&self) {
        self.signals.closed.notified().await;
    }

    /// Whether the incarnation was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().credit.purse().is_closed()
    }

    /// The revision that the node decides with, as it changes; 0 for none.
    pub(crate) fn applied(&self) -> watch::Receiver<i64> {
        self.signals.applied.subscribe()
    }

    /// Waits until there are reports to be sent.
    pub(crate) async fn has_reports(&self) {
        self.signals.reports.notified().await;
    }

    /// The reports to be sent.
    pub(crate) fn reports(&self) -> Vec<Report> {
        self.lock().credit.reports()
    }

    /// When wants are to be repeated.
    pub(crate) fn ask_again_at(&self) -> Option<Instant> {
        self.lock().credit.again_at()
    }

    /// Repeats wants that wait for others to give credit back.
    pub(crate) fn ask_again(&self) {
        self.lock().credit.ask_again(self.credit_time(self.now()));
    }

    /// Notes an error on the way to the control plane.
    pub(crate) fn note_error(&self, why: &str) {
        self.signals.last_error.send_replace(why.to_owned());
    }

    /// The last error on the way to the control plane; empty if there was none.
    pub(crate) fn last_error(&self) -> String {
        self.signals.last_error.borrow().clone()
    }

    /// How often more time is to be asked for; `None` if no credit expires.
    pub(crate) fn renewal(&self) -> Option<std::time::Duration> {
        self.lock().credit.purse().renewal()
    }

    /// Asks for more time for credit that expires.
    pub(crate) fn renew_credit(&self) {
        self.lock().credit.renew(self.credit_time(self.now()));
    }

    /// Gives idle credit back, and forgets windows that are over.
    pub(crate) fn tidy_credit(&self) {
        let now = self.credit_time(self.now());
        let mut inner = self.lock();
        let Inner { outbox, credit, .. } = &mut *inner;
        credit.tidy(now);
        outbox.retain_spending(|key| credit.purse().knows(key));
    }

    /// Gives all credit back that no request in flight holds.
    pub(crate) fn give_all_credit_back(&self) {
        self.lock().credit.give_all_back();
    }

    /// The copy has moved on to this revision. Where an edit moved the window of a limit, or removed it, credit of the window
    /// before is given back. `None` if anything may have changed.
    pub(crate) fn applied_revision(&self, revision: i64, changes: Option<&[ResourceChange<AnyResource>]>) {
        let copy = self.copy.state();
        let mut inner = self.lock();
        let changed = changes.and_then(limits_before);
        let concerns = |key: &CounterKey| changed.as_ref().is_none_or(|ids| ids.contains(&key.limit_id));
        let held = inner.credit.purse().accounts().map(|(key, _)| key);
        let keys: Vec<CounterKey> = held.filter(|key| concerns(key)).cloned().collect();
        keys.iter().filter(|key| has_moved(&copy.config, key)).for_each(|key| inner.credit.move_window(key));
        drop(inner);
        self.signals.applied.send_if_modified(|applied| std::mem::replace(applied, revision) != revision);
    }
}

/// The limits that had what changed; `None` if others may be concerned: what belongs to a customer or team follows its calendar.
fn limits_before(changes: &[ResourceChange<AnyResource>]) -> Option<HashSet<LimitId>> {
    let mut ids = HashSet::new();
    for any in changes.iter().filter_map(|change| change.before.as_ref()) {
        if matches!(any, AnyResource::Customer(_) | AnyResource::Team(_)) {
            return None;
        }
        ids.extend(owned_limits(any).into_iter().flat_map(|(_, limits)| limits.ids().cloned()));
    }
    Some(ids)
}

/// Whether what was a window of a limit is none any more.
fn has_moved(config: &Config, key: &CounterKey) -> bool {
    config.limit(&key.limit_id, key.kind).is_none_or(|limit| limit.counter(key.window_start) != *key)
}
