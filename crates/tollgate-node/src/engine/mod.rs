//! Admissions and what they used, behind one lock: each changes the outbox, and what limits have used as the node sees it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tollgate_core::config::Config;
use tollgate_core::counters::ToldUsage;
use tollgate_core::decision::{Explanation, KeyGiven, explain};
use tollgate_core::domain::Timestamp;
use tollgate_core::proto::v1::{CountedBatches, UsageEntry};
use tollgate_core::reducer::{ConfigCopy, StateReader};

use crate::admission::{AdmissionId, Granted, RetargetError, SettleError, Settled, Target, Used};
use crate::answers::{Answers, UNPRICED};
use crate::backlog::{Backlog, Counts};
use crate::book::{Book, amounts, deadline};
use crate::clock::Clock;
use crate::decide::{Estimate, Request, decide, key_of};
use crate::judge::{Judge, admission, covers};
use crate::outbox::record::{Acknowledged, Event, How, Record, Registered};
use crate::outbox::state::{Batch, Ended, Id, Open, Place, Registration, admitted, closed, expired};
use crate::outbox::{Durable, Outbox, OutboxError};
use crate::pricing::Pricing;
use crate::refused::Refused;

/// The treatment of requests that cannot be recorded, since the disk or the outbox is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnFull {
    /// They are refused: nothing is used that may never be counted.
    #[default]
    Refuse,
    /// They are admitted: what they use is lost if the process ends before there is room.
    Serve,
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
}

pub(crate) struct Engine {
    copy: StateReader<ConfigCopy>,
    clock: Clock,
    inner: Mutex<Inner>,
    policy: Policy,
}

struct Inner {
    outbox: Outbox,
    book: Book,
    /// Whether the book knows of what the outbox held at the start.
    is_assessed: bool,
    answers: Answers,
    pricing: Pricing,
    counts: Counts,
}

impl Engine {
    /// Goes on with an outbox. Requests that were in flight when it was used last are charged at their estimates.
    ///
    /// # Errors
    ///
    /// The outbox cannot be written.
    pub(crate) fn start(
        copy: StateReader<ConfigCopy>,
        mut outbox: Outbox,
        policy: Policy,
    ) -> Result<Arc<Self>, OutboxError> {
        let clock = Clock::new();
        let open = outbox.state().open().iter();
        let now = clock.now().parts().0;
        let ended: Vec<_> = open.map(|(id, open)| expired(*id, Some(open.estimate.clone()), now)).collect();
        if !ended.is_empty() {
            tracing::warn!(
                requests = ended.len(),
                "requests were in flight when the node ended: they are charged at their estimate"
            );
            outbox.write(ended)?;
        }
        let inner = Inner {
            outbox,
            book: Book::default(),
            is_assessed: false,
            answers: Answers::default(),
            pricing: Pricing::default(),
            counts: Counts::default(),
        };
        Ok(Arc::new(Self { copy, clock, inner: Mutex::new(inner), policy }))
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

    pub(crate) fn admit(self: &Arc<Self>, request: &Request<'_>, at: Timestamp) -> Result<Granted, Refused> {
        let config = &self.copy.state().config;
        let key = key_of(config, request.credential, at);
        let mut inner = self.lock();
        let judged = self.judge(&inner, config, at).request(explain, key, request);
        let (explanation, estimate) = judged.inspect_err(|_| inner.counts.refused += 1)?;
        let virtual_key_id = match key {
            KeyGiven::Key(key) => key.id.to_string(),
            _ => String::new(),
        };
        let open = admission(virtual_key_id, request.request_type, &explanation, estimate, at);
        let amounts = amounts(config, &open.estimate, at);
        let id: Id = rand::random();
        if let Err(error) = inner.record(id, open, self.policy.on_full) {
            inner.counts.refused += 1;
            return Err(Refused::unrecorded(explanation, &error));
        }
        inner.book.reserve(id, amounts, deadline(self.policy.admission_ttl));
        inner.counts.admitted += 1;
        drop(inner);
        Ok(Granted::new(Arc::clone(self), AdmissionId(id), explanation, estimate))
    }

    /// Moves an admission to another target, or leaves it as it is.
    pub(crate) fn retarget(
        &self,
        id: AdmissionId,
        target: &Target<'_>,
    ) -> Result<(Explanation, Estimate), RetargetError> {
        let config = &self.copy.state().config;
        let at = self.now();
        let mut inner = self.lock();
        let Some(before) = inner.outbox.state().open().get(&id.0).cloned() else { return Err(RetargetError::Ended) };
        // It does not compete with itself.
        let Some(held) = inner.book.release(&id.0) else { return Err(RetargetError::Ended) };
        let moved = self.judge(&inner, config, at).target(&before, target);
        let moved = moved.and_then(|(explanation, open, estimate)| {
            let amounts = amounts(config, &open.estimate, at);
            match inner.record(id.0, open, self.policy.on_full) {
                Ok(()) => Ok((explanation, estimate, amounts)),
                Err(error) => Err(Refused::unrecorded(explanation, &error)),
            }
        });
        match moved {
            Ok((explanation, estimate, amounts)) => {
                inner.book.reserve(id.0, amounts, deadline(self.policy.admission_ttl));
                Ok((explanation, estimate))
            }
            Err(refused) => {
                inner.book.hold(id.0, held);
                Err(RetargetError::Refused(Box::new(refused)))
            }
        }
    }

    /// What [`admit`](Self::admit) would say, and the estimate that it would hold.
    pub(crate) fn check(&self, request: &Request<'_>, at: Timestamp) -> Result<(Explanation, Estimate), Refused> {
        let config = &self.copy.state().config;
        self.judge(&self.lock(), config, at).request(explain, key_of(config, request.credential, at), request)
    }

    fn judge<'a>(&self, inner: &'a Inner, config: &'a Config, at: Timestamp) -> Judge<'a> {
        let Inner { book, answers, .. } = inner;
        Judge { config, book, answers, strict_prices: self.policy.strict_prices, unpriced: UNPRICED, at }
    }

    /// Ends an admission with what was used.
    pub(crate) fn settle(&self, id: AdmissionId, used: &Used) -> Result<(Settled, Durable), SettleError> {
        used.check()?;
        let config = &self.copy.state().config;
        let now = self.now();
        let mut inner = self.lock();
        let Inner { outbox, book, answers, counts, pricing, .. } = &mut *inner;
        let (open, before) = match (outbox.state().open().get(&id.0), outbox.state().ended(&id.0)) {
            (Some(open), _) => (Some(open.clone()), None),
            (None, Some(ended)) => (None, Some(ended.clone())),
            (None, None) => return Err(SettleError::Unknown),
        };
        let settled = match (open, before) {
            (_, Some(Ended { how: How::Settled, charged })) => {
                // As the first time. It may not be on the disk yet, and if that failed, only a new file is sure.
                outbox.write(Vec::new())?;
                return Ok((Settled::of(charged.as_ref()), outbox.durable()));
            }
            (Some(open), _) => {
                let entry = pricing.entry(config, used, &open, now);
                counts.uncovered += u64::from(!covers(&open.estimate, &entry));
                answers.note(&entry.provider, &entry.model, entry.output_tokens, entry.cost_nano_usd);
                outbox.write(vec![closed(id.0, How::Settled, Some(entry.clone()))])?;
                book.release(&id.0);
                book.used(amounts(config, &entry, now));
                Settled::of(Some(&entry))
            }
            (None, before) => {
                let charged = before.and_then(|ended| ended.charged).ok_or(SettleError::Abandoned)?;
                // The provider key and the kind of the request are not known any more.
                let of = Open { estimate: charged, provider_key_id: String::new(), request_type: String::new() };
                let entry = pricing.entry(config, used, &of, now);
                let more = Used::above(entry, &of.estimate);
                outbox.write(vec![closed(id.0, How::Settled, more.clone())])?;
                book.used(more.iter().flat_map(|more| amounts(config, more, now)).collect());
                Settled::of(outbox.state().ended(&id.0).and_then(|ended| ended.charged.as_ref()))
            }
        };
        counts.settled += 1;
        Ok((settled, outbox.durable()))
    }

    /// Ends an admission of which nothing was used. Whether it was open.
    pub(crate) fn abandon(&self, id: AdmissionId) -> Result<bool, OutboxError> {
        let mut inner = self.lock();
        if !inner.outbox.state().open().contains_key(&id.0) {
            return Ok(false);
        }
        // Where it cannot be written it stays, and expires.
        inner.outbox.write(vec![closed(id.0, How::Abandoned, None)])?;
        inner.book.release(&id.0);
        inner.counts.abandoned += 1;
        Ok(true)
    }

    /// Gives an admission its whole time again. Whether it was open.
    pub(crate) fn touch(&self, id: AdmissionId) -> bool {
        self.lock().book.extend(&id.0, deadline(self.policy.admission_ttl))
    }

    /// Charges admissions whose time is up at their estimate.
    pub(crate) fn expire(&self) {
        let config = &self.copy.state().config;
        let now = self.now();
        let mut inner = self.lock();
        let Inner { outbox, book, counts, .. } = &mut *inner;
        for id in book.expired(tokio::time::Instant::now()) {
            let estimate = outbox.state().open().get(&id).map(|open| open.estimate.clone());
            let estimate = estimate.map(|estimate| UsageEntry { occurred_at: Some(stamp(now)), ..estimate });
            if let Err(error) = outbox.write(vec![expired(id, estimate.clone(), now.parts().0)]) {
                tracing::debug!(%error, "what expired cannot be charged yet");
                break;
            }
            book.release(&id);
            book.used(estimate.iter().flat_map(|estimate| amounts(config, estimate, now)).collect());
            counts.expired += 1;
        }
    }

    /// The usage of limits in the last values of the control plane.
    pub(crate) fn told(&self) -> ToldUsage {
        self.lock().book.told().clone()
    }

    /// Takes what the control plane tells, and the batches that are in it.
    pub(crate) fn tell(&self, told: ToldUsage, counted: &HashMap<i64, i64>) {
        let mut inner = self.lock();
        let Inner { outbox, book, is_assessed, .. } = &mut *inner;
        if !self.policy.keeps_copy {
            outbox.forget(counted);
        }
        if !std::mem::replace(is_assessed, true) {
            book.assess(outbox.state(), &self.copy.state().config, self.now());
        }
        book.tell(told, counted);
    }

    /// The usage that is kept on disk has these batches: the next start does not need them.
    pub(crate) fn kept(&self, counted: &[CountedBatches]) {
        self.lock().outbox.forget(&places(counted));
    }

    /// Those by which usage was or will be delivered that may not be in what the control plane tells.
    pub(crate) fn incarnations(&self) -> Vec<i64> {
        let inner = self.lock();
        let state = inner.outbox.state();
        let own = state.registration().map(|registration| registration.incarnation);
        let all: BTreeSet<i64> = state.batches().iter().map(|batch| batch.place.0).chain(own).collect();
        all.into_iter().collect()
    }

    pub(crate) fn registration(&self) -> Option<Registration> {
        self.lock().outbox.state().registration().cloned()
    }

    /// The node registered: what is not acknowledged is delivered anew.
    pub(crate) fn register(&self, registration: Registration) -> Result<Durable, OutboxError> {
        let Registration { incarnation, store_id, node_id } = registration;
        let mut inner = self.lock();
        let Inner { outbox, book, .. } = &mut *inner;
        outbox
            .write(vec![Event::Registered(Registered { incarnation, store_id, node_id, next_sequence: 1 }).into()])?;
        book.assess(outbox.state(), &self.copy.state().config, self.now());
        Ok(outbox.durable())
    }

    /// Puts what is in no batch into batches; when they are on the disk, they may be delivered.
    pub(crate) fn batch(&self) -> Result<Durable, OutboxError> {
        let mut inner = self.lock();
        let Inner { outbox, book, .. } = &mut *inner;
        let records = outbox.state().to_batches();
        if !records.is_empty() {
            let before = outbox.state().batches().len();
            outbox.write(records)?;
            let new = outbox.state().batches().iter().skip(before);
            book.batched(new, &self.copy.state().config, self.now());
        }
        Ok(outbox.durable())
    }

    /// The batches to deliver after this place, in order.
    pub(crate) fn due(&self, after: Option<Place>) -> Vec<Batch> {
        let inner = self.lock();
        let due = inner.outbox.state().due();
        due.filter(|batch| after.is_none_or(|after| batch.place > after)).cloned().collect()
    }

    /// The control plane has counted a batch.
    pub(crate) fn acknowledge(&self, (incarnation, sequence): Place) -> Result<(), OutboxError> {
        let record: Record = Event::Acknowledged(Acknowledged { incarnation, sequence }).into();
        self.lock().outbox.write(vec![record])
    }

    /// Whether admissions can be recorded, or need not be.
    pub(crate) fn has_room(&self) -> Result<(), OutboxError> {
        let inner = self.lock();
        match (self.policy.on_full, inner.outbox.is_full().or_else(|| inner.outbox.failure())) {
            (OnFull::Refuse, Some(error)) | (OnFull::Serve, Some(error @ OutboxError::Closed)) => Err(error),
            (OnFull::Refuse, None) | (OnFull::Serve, _) => Ok(()),
        }
    }

    /// Takes nothing more, and lets another node have the outbox.
    pub(crate) fn close(&self) {
        self.lock().outbox.close();
    }

    /// How long an admission may take.
    pub(crate) const fn admission_ttl(&self) -> Duration {
        self.policy.admission_ttl
    }

    pub(crate) fn backlog(&self) -> Backlog {
        let inner = self.lock();
        let state = inner.outbox.state();
        Backlog {
            in_flight: inner.book.in_flight(),
            entries: state.depth(),
            incarnation: state.registration().map(|registration| registration.incarnation),
            counts: Counts { unpriced: inner.pricing.unpriced(), ..inner.counts },
        }
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

/// Of each incarnation, the last of its batches that is counted.
pub(crate) fn places(counted: &[CountedBatches]) -> HashMap<i64, i64> {
    counted.iter().map(|it| (it.incarnation, it.sequence)).collect()
}

pub(crate) fn stamp(at: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = at.parts();
    prost_types::Timestamp { seconds, nanos }
}
