//! Admissions and what they used, behind one lock: each changes the outbox, the credit that the node holds, and what limits
//! have used as the node sees it.

mod credit;
mod delivery;
mod settlement;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tollgate_core::config::Config;
use tollgate_core::counters::CounterKey;
use tollgate_core::credit::{Reservation, Short};
use tollgate_core::decision::{Explanation, KeyGiven, explain};
use tollgate_core::domain::{LimitKind, Timestamp};
use tollgate_core::proto::v1::CountedBatches;
use tollgate_core::reducer::{ConfigCopy, StateReader};

use crate::admission::{AdmissionId, Granted, RetargetError, Target};
use crate::answers::{Answers, UNPRICED};
use crate::backlog::Counts;
use crate::book::{Book, amounts, deadline};
use crate::clock::Clock;
use crate::credit::{Credit, Patience};
use crate::decide::{Estimate, Request, decide, key_of};
use crate::dimensions::Combinations;
use crate::judge::{Judge, Judged, admission};
use crate::outbox::state::{Id, Open, admitted, expired};
use crate::outbox::{Outbox, OutboxError};
use crate::pricing::Pricing;
use crate::refused::Refused;
use credit::{Signals, Stop, beyond};

/// The treatment of requests that cannot be recorded, since the disk or the outbox is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnFull {
    /// They are refused: nothing is used that may never be counted.
    #[default]
    Refuse,
    /// They are admitted: what they use is lost if the process ends before there is room.
    Serve,
}

/// The treatment of requests that need credit which the node does not hold, while no server can be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnOutage {
    /// They are refused: no hard limit is exceeded.
    #[default]
    Refuse,
    /// They are admitted as long as the limit is not used up as far as the node knows.
    Admit,
}

/// How a node treats admissions.
#[derive(Clone, Copy)]
pub(crate) struct Policy {
    pub(crate) admission_ttl: Duration,
    pub(crate) on_full: OnFull,
    /// Whether a start begins with what was kept on disk, and not with what the control plane tells then.
    pub(crate) keeps_copy: bool,
    /// Whether requests are refused whose price nobody knows.
    pub(crate) strict_prices: bool,
    /// How long a request may wait for credit.
    pub(crate) credit_wait: Patience,
    pub(crate) on_outage: OnOutage,
}

pub(crate) struct Engine {
    copy: StateReader<ConfigCopy>,
    clock: Clock,
    /// When it began, by the machine's steady clock.
    began: Instant,
    inner: Mutex<Inner>,
    policy: Policy,
    signals: Signals,
}

struct Inner {
    outbox: Outbox,
    book: Book,
    credit: Credit,
    /// Whether the book knows of what the outbox held at the start.
    is_assessed: bool,
    answers: Answers,
    pricing: Pricing,
    combinations: Combinations,
    counts: Counts,
}

impl Engine {
    /// Goes on with an outbox. Requests that were in flight when it was used last are charged at their estimates. Where the machine
    /// failed meanwhile (the last write `is_cut`, or it was started anew), some of them may be unknown: then the node registers a
    /// new incarnation, and all credit of the one before counts as used.
    ///
    /// # Errors
    ///
    /// The outbox cannot be written.
    pub(crate) fn start(
        copy: StateReader<ConfigCopy>,
        mut outbox: Outbox,
        is_cut: bool,
        policy: Policy,
    ) -> Result<Arc<Self>, OutboxError> {
        let clock = Clock::new();
        let (mut combinations, now) = (Combinations::default(), clock.now());
        let ended = outbox.state().open().iter().map(|(id, open)| {
            let mut estimate = open.estimate.clone();
            combinations.bound(&mut estimate, now);
            expired(*id, Some(estimate), now.parts().0)
        });
        let ended: Vec<_> = ended.collect();
        if !ended.is_empty() {
            tracing::warn!(
                requests = ended.len(),
                "requests were in flight when the node ended: they are charged at their estimate"
            );
            outbox.write(ended)?;
        }
        let signals = Signals::new(outbox.state().registration().map_or(0, |known| known.incarnation));
        let spending = outbox.state().spending();
        let slots_for = slots_for(policy.admission_ttl);
        let mut credit = Credit::new(spending, slots_for, policy.credit_wait, Arc::clone(&signals.reports));
        if spending.session > 0 && (is_cut || spending.is_of_another_boot()) {
            credit.close();
        }
        let inner = Inner {
            outbox,
            book: Book::default(),
            credit,
            is_assessed: false,
            answers: Answers::default(),
            pricing: Pricing::default(),
            combinations,
            counts: Counts::default(),
        };
        Ok(Arc::new(Self { copy, clock, began: Instant::now(), inner: Mutex::new(inner), policy, signals }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in it would leave at worst a reservation that nobody ends.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The control plane's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Hears of the control plane's time.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The decision on a request, without a reservation.
    pub(crate) fn decide(&self, request: &Request<'_>, at: Timestamp) -> Explanation {
        let config = &self.copy.state().config;
        decide(explain, config, &self.lock().book, key_of(config, request.credential, at), request, at)
    }

    /// Admits a request, or refuses it. Where it lacks credit, it waits for that, and not for long.
    pub(crate) async fn admit(self: &Arc<Self>, request: &Request<'_>) -> Result<Granted, Refused> {
        let request = Request { seed: Some(request.seed.unwrap_or_else(rand::random)), ..*request };
        let admitted = self.with_credit(|inner, got| self.try_admit(inner, &request, got)).await;
        admitted.inspect_err(|refused| {
            let mut inner = self.lock();
            inner.counts.refused += 1;
            if refused.for_credit {
                inner.credit.count_refused();
            }
        })
    }

    /// Admits a request with the credit that the node holds, some of which it may have got while it waited.
    fn try_admit(
        self: &Arc<Self>,
        inner: &mut Inner,
        request: &Request<'_>,
        got: &mut Reservation,
    ) -> Result<Granted, Stop<Refused>> {
        let (config, at) = (&self.copy.state().config, self.now());
        let key = key_of(config, request.credential, at);
        let judged = self.judge(inner, config, at).request(explain, key, request).map_err(Stop::Refused)?;
        let virtual_key_id = match key {
            KeyGiven::Key(key) => key.id.to_string(),
            _ => String::new(),
        };
        let mut open = admission(virtual_key_id, request, &judged, at);
        let Judged { explanation, estimate, demands, .. } = judged;
        let credit = match self.cover(inner, [got, &mut Reservation::default()], &demands, at) {
            Ok(credit) => credit,
            Err(Short(lacking)) => return Err(Stop::Short(demands, Refused::for_credit(explanation, &lacking, at))),
        };
        open.credit = spent_by(&credit);
        let amounts = reserved(config, &open, &explanation, at);
        let id: Id = rand::random();
        if let Err(error) = inner.record(id, open, self.policy.on_full) {
            inner.credit.abandon(credit, self.credit_time(at));
            return Err(Stop::Refused(Refused::unrecorded(explanation, &error)));
        }
        let until = self.deadline(&inner.credit, &credit);
        inner.book.reserve(id, amounts, credit, until);
        inner.counts.admitted += 1;
        Ok(Granted::new(Arc::clone(self), AdmissionId(id), explanation, estimate))
    }

    /// Moves an admission to another target, or leaves it as it is. Where it lacks credit there, it waits as an admission does.
    pub(crate) async fn retarget(
        &self,
        id: AdmissionId,
        target: &Target<'_>,
    ) -> Result<(Explanation, Estimate), RetargetError> {
        let seed = rand::random();
        self.with_credit(|inner, got| self.try_retarget(inner, id, target, seed, got)).await
    }

    fn try_retarget(
        &self,
        inner: &mut Inner,
        id: AdmissionId,
        target: &Target<'_>,
        seed: u64,
        got: &mut Reservation,
    ) -> Result<(Explanation, Estimate), Stop<RetargetError>> {
        let (config, at) = (&self.copy.state().config, self.now());
        let ended = || Stop::Refused(RetargetError::Ended);
        let before = inner.outbox.state().open().get(&id.0).cloned().ok_or_else(ended)?;
        // It does not compete with itself.
        let mut held = inner.book.release(&id.0).ok_or_else(ended)?;
        let was = held.credit.clone();
        let moved = self.judge(inner, config, at).target(&before, target, seed).map_err(Stop::Refused);
        let moved = moved.and_then(|(Judged { explanation, estimate, demands, .. }, mut open)| {
            let credit = match self.cover(inner, [got, &mut held.credit], &demands, at) {
                Ok(credit) => credit,
                Err(Short(lacking)) => {
                    let demands = beyond(demands, &held.credit);
                    return Err(Stop::Short(demands, Refused::for_credit(explanation, &lacking, at)));
                }
            };
            open.credit = spent_by(&credit);
            let amounts = reserved(config, &open, &explanation, at);
            match inner.record(id.0, open, self.policy.on_full) {
                Ok(()) => {
                    let until = self.deadline(&inner.credit, &credit);
                    inner.book.reserve(id.0, amounts, credit, until);
                    Ok((explanation, estimate))
                }
                Err(error) => {
                    held.credit = inner.credit.exchange_back(credit, &was, self.credit_time(at));
                    Err(Stop::Refused(Refused::unrecorded(explanation, &error)))
                }
            }
        });
        moved.map_err(|stop| {
            inner.book.hold(id.0, held);
            stop.map(|refused| RetargetError::Refused(Box::new(refused)))
        })
    }

    /// What [`admit`](Self::admit) would say if the node holds credit enough, and the estimate that it would hold.
    pub(crate) fn check(&self, request: &Request<'_>, at: Timestamp) -> Result<(Explanation, Estimate), Refused> {
        let config = &self.copy.state().config;
        let request = Request { seed: Some(request.seed.unwrap_or_else(rand::random)), ..*request };
        let key = key_of(config, request.credential, at);
        let judged = self.judge(&self.lock(), config, at).request(explain, key, &request)?;
        Ok((judged.explanation, judged.estimate))
    }

    fn judge<'a>(&self, inner: &'a Inner, config: &'a Config, at: Timestamp) -> Judge<'a> {
        let Inner { book, answers, credit, .. } = inner;
        let (needs_credit, strict_prices) = (credit.is_needed(), self.policy.strict_prices);
        let is_alone = credit.purse().session().is_none();
        let waits_for_slots = needs_credit && !(is_alone && self.policy.on_outage == OnOutage::Admit);
        Judge { config, book, answers, needs_credit, waits_for_slots, strict_prices, unpriced: UNPRICED, at }
    }

    /// When the time of an admission is up that holds this credit from now on: earlier than usual if it holds a slot that the node
    /// may not hold so long, since it has not been answered for a while.
    fn deadline(&self, credit: &Credit, held: &Reservation) -> Instant {
        let slots = held.amounts().iter().filter(|(key, _)| key.kind == LimitKind::Concurrency);
        let valid = slots.filter_map(|(key, _)| credit.purse().valid_until(key)).min();
        let usual = deadline(self.policy.admission_ttl);
        valid.and_then(|valid| self.began.checked_add(valid)).map_or(usual, |valid| usual.min(valid))
    }

    /// Gives an admission its whole time again. Whether it was open.
    pub(crate) fn touch(&self, id: AdmissionId) -> bool {
        let mut inner = self.lock();
        let until = inner.book.held(&id.0).map(|held| self.deadline(&inner.credit, &held.credit));
        until.is_some_and(|until| inner.book.extend(&id.0, until))
    }

    /// The time that an admission has left; none if it is not open.
    #[cfg(any(test, feature = "serve"))]
    pub(crate) fn time_left(&self, id: AdmissionId) -> Option<Duration> {
        let until = self.lock().book.held(&id.0)?.until;
        Some(until.saturating_duration_since(Instant::now()))
    }
}

impl Inner {
    /// Records an admission, if that can be done or need not be.
    fn record(&mut self, id: Id, open: Open, on_full: OnFull) -> Result<(), OutboxError> {
        let written = match self.outbox.is_full() {
            Some(full) => Err(full),
            None => self.outbox.write(vec![admitted(id, open.clone())]),
        };
        match (written, on_full) {
            (Err(OutboxError::Disk(_) | OutboxError::Full { .. }), OnFull::Serve) => {
                self.outbox.hold(admitted(id, open));
                Ok(())
            }
            (written, _) => written,
        }
    }
}

/// How long the node may hold slots that is not heard. While it is heard, no admission needs to end before its time is up.
fn slots_for(admission_ttl: Duration) -> Duration {
    admission_ttl.saturating_add(admission_ttl / 2)
}

/// The limits of which a request uses what it holds. A slot is free again when it ends.
fn spent_by(credit: &Reservation) -> Vec<CounterKey> {
    let spent = credit.amounts().iter().filter(|(key, _)| key.kind != LimitKind::Concurrency);
    spent.map(|(key, _)| key.clone()).collect()
}

/// The amounts of limits that an admission holds at this node: what it may use, and that it is open.
fn reserved(config: &Config, open: &Open, explanation: &Explanation, at: Timestamp) -> Vec<(CounterKey, i64)> {
    let mut amounts = amounts(config, &open.estimate, at);
    let slots = explanation.limits.iter().filter(|limit| limit.kind == LimitKind::Concurrency);
    amounts.extend(slots.map(|limit| (limit.counter(), 1)));
    amounts
}

/// Of each incarnation, the last of its batches that is counted.
pub(crate) fn places(counted: &[CountedBatches]) -> HashMap<i64, i64> {
    counted.iter().map(|it| (it.incarnation, it.sequence)).collect()
}

pub(crate) fn stamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = at.parts();
    prost_types::Timestamp { seconds, nanos }
}
