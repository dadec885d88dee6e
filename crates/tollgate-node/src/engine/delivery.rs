//! Usage on its way to the control plane, and what that tells of it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tollgate_core::counters::ToldUsage;
use tollgate_core::proto::v1::CountedBatches;

use super::{Engine, Inner, OnFull, places};
use crate::backlog::{Backlog, Counts};
use crate::outbox::record::{Acknowledged, Event, Record, Registered};
use crate::outbox::state::{Batch, Place, Registration};
use crate::outbox::{Durable, OutboxError, spending};

impl Engine {
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
        let Inner { outbox, book, credit, .. } = &mut *inner;
        outbox
            .write(vec![Event::Registered(Registered { incarnation, store_id, node_id, next_sequence: 1 }).into()])?;
        book.assess(outbox.state(), &self.copy.state().config, self.now());
        book.void_credit();
        credit.renew_incarnation();
        let durable = outbox.durable();
        drop(inner);
        self.signals.incarnation.send_replace(incarnation);
        Ok(durable)
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
        let mut inner = self.lock();
        let Inner { outbox, credit, .. } = &mut *inner;
        outbox.write(vec![record])?;
        let batches = outbox.state().batches().iter().filter(|batch| batch.place == (incarnation, sequence));
        let used = batches.flat_map(|batch| spending::read(&batch.credit_used));
        used.for_each(|(key, used)| credit.acknowledge(&key, used));
        Ok(())
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
            oldest: state.oldest_due().map(|at| {
                let age = self.now().as_micros().saturating_sub(at.as_micros());
                Duration::from_micros(u64::try_from(age).unwrap_or_default())
            }),
            incarnation: state.registration().map(|registration| registration.incarnation),
            counts: Counts {
                unpriced: inner.pricing.unpriced(),
                joined_dimensions: inner.combinations.joined(),
                ..inner.counts
            },
            credit: inner.credit.status(),
        }
    }
}
