//! The end of admissions.

use tollgate_core::config::Config;
use tollgate_core::counters::CounterKey;
use tollgate_core::domain::Enforcement;

use super::{Engine, Inner};
use crate::admission::{AdmissionId, SettleError, Settled, Used};
use crate::book::align;
use crate::judge::covers;
use crate::outbox::record::How;
use crate::outbox::state::{Ended, Open, closed, closed_uncovered, expired};
use crate::outbox::{Durable, OutboxError};

impl Engine {
    /// Ends an admission with what was used.
    pub(crate) fn settle(&self, id: AdmissionId, used: &Used) -> Result<(Settled, Durable), SettleError> {
        used.check()?;
        let config = &self.copy.state().config;
        let now = self.now();
        let mut inner = self.lock();
        let Inner { outbox, book, credit, answers, counts, pricing, combinations, .. } = &mut *inner;
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
                let mut entry = pricing.entry(config, used, &open, now);
                combinations.bound(&mut entry, now);
                counts.uncovered += u64::from(!covers(&open.estimate, &entry));
                answers.note(&entry.provider, &entry.model, entry.output_tokens, entry.cost_nano_usd);
                let amounts = align(config, &mut entry, now);
                let uncovered = if credit.is_needed() { uncovered(config, &amounts, &open.credit) } else { Vec::new() };
                outbox.write(vec![closed_uncovered(id.0, How::Settled, Some(entry.clone()), &uncovered)])?;
                let held = book.release(&id.0).map(|held| held.credit).unwrap_or_default();
                credit.settle(held, &entry, &uncovered, self.credit_time(now));
                book.used(amounts);
                Settled::of(Some(&entry))
            }
            (None, before) => {
                let charged = before.and_then(|ended| ended.charged).ok_or(SettleError::Abandoned)?;
                // The kind of the request is not known any more.
                let of = Open::charged(charged);
                let entry = pricing.entry(config, used, &of, now);
                let mut more = Used::above(entry, &of.estimate);
                if let Some(more) = &mut more {
                    combinations.bound(more, now);
                }
                let amounts = more.as_mut().map(|more| align(config, more, now)).unwrap_or_default();
                let uncovered = if credit.is_needed() { uncovered(config, &amounts, &[]) } else { Vec::new() };
                outbox.write(vec![closed_uncovered(id.0, How::Settled, more.clone(), &uncovered)])?;
                let more = more.unwrap_or_default();
                credit.settle(Default::default(), &more, &uncovered, self.credit_time(now));
                book.used(amounts);
                Settled::of(outbox.state().ended(&id.0).and_then(|ended| ended.charged.as_ref()))
            }
        };
        counts.settled += 1;
        Ok((settled, outbox.durable()))
    }

    /// Ends an admission of which nothing was used. Whether it was open.
    pub(crate) fn abandon(&self, id: AdmissionId) -> Result<bool, OutboxError> {
        let now = self.now();
        let mut inner = self.lock();
        if !inner.outbox.state().open().contains_key(&id.0) {
            return Ok(false);
        }
        // Where it cannot be written it stays, and expires.
        inner.outbox.write(vec![closed(id.0, How::Abandoned, None)])?;
        if let Some(held) = inner.book.release(&id.0) {
            inner.credit.abandon(held.credit, self.credit_time(now));
        }
        inner.counts.abandoned += 1;
        Ok(true)
    }

    /// Charges admissions whose time is up at their estimate.
    pub(crate) fn expire(&self) {
        let config = &self.copy.state().config;
        let now = self.now();
        let mut inner = self.lock();
        let Inner { outbox, book, credit, counts, combinations, .. } = &mut *inner;
        for id in book.expired(tokio::time::Instant::now()) {
            let mut estimate = outbox.state().open().get(&id).map(|open| open.estimate.clone());
            if let Some(estimate) = &mut estimate {
                combinations.bound(estimate, now);
            }
            let amounts = estimate.as_mut().map(|estimate| align(config, estimate, now)).unwrap_or_default();
            if let Err(error) = outbox.write(vec![expired(id, estimate.clone(), now.parts().0)]) {
                tracing::debug!(%error, "what expired cannot be charged yet");
                break;
            }
            let held = book.release(&id).map(|held| held.credit).unwrap_or_default();
            credit.settle(held, &estimate.unwrap_or_default(), &[], self.credit_time(now));
            book.used(amounts);
            counts.expired += 1;
        }
    }
}

/// The amounts of hard limits that no credit is held for.
fn uncovered(config: &Config, amounts: &[(CounterKey, i64)], credit: &[CounterKey]) -> Vec<(CounterKey, i64)> {
    let is_hard = |key: &CounterKey| {
        config.limit(&key.limit_id, key.kind).is_some_and(|limit| limit.enforcement == Enforcement::Hard)
    };
    amounts.iter().filter(|(key, _)| !credit.contains(key) && is_hard(key)).cloned().collect()
}
