//! The usage by credit of one incarnation, cumulative for each limit and window: what a restart has to know of the purse.

use std::collections::BTreeMap;
use std::fs;

use tollgate_core::counters::CounterKey;
use tollgate_core::domain::LimitKind;
use tollgate_core::proto::v1::{CreditUsed, UsageEntry};
use tollgate_core::wire::{read_credit_key, render_credit_key};

use super::record::{Session, Spent as SpentRecord};

/// See the module.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Spending {
    /// The last session.
    pub(crate) session: i64,
    /// When the machine was started that had it, as its system names it.
    boot_id: String,
    spent: BTreeMap<CounterKey, Spent>,
}

/// The usage of a limit in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Spent {
    used: i64,
    /// The part of it that is in batches.
    batched: i64,
    /// The part of it that the control plane has acknowledged.
    acknowledged: i64,
    /// The part of it that is in no batch and that no credit was held for.
    uncovered: i64,
}

impl Spending {
    /// All that was used and the part of it that was acknowledged, by limit and window.
    pub(crate) fn used(&self) -> impl Iterator<Item = (CounterKey, i64, i64)> {
        self.spent.iter().map(|(key, spent)| (key.clone(), spent.used, spent.acknowledged))
    }

    /// Whether the machine was started anew since: what was admitted last may have been lost with the cache of its disk.
    pub(crate) fn is_of_another_boot(&self) -> bool {
        self.boot_id != boot_id()
    }

    pub(super) fn add(&mut self, key: CounterKey, amount: i64) {
        let spent = self.spent.entry(key).or_default();
        spent.used = spent.used.saturating_add(amount);
    }

    /// Adds usage that no credit was held for.
    pub(super) fn add_uncovered(&mut self, key: CounterKey, amount: i64) {
        self.add(key.clone(), amount);
        if let Some(spent) = self.spent.get_mut(&key) {
            spent.uncovered = spent.uncovered.saturating_add(amount);
        }
    }

    /// The usage that a batch has to tell, since it is in none yet.
    pub(super) fn unbatched(&self) -> Vec<CreditUsed> {
        let unbatched = self.spent.iter().filter(|(_, spent)| spent.used > spent.batched);
        let told = unbatched.map(|(key, Spent { used, uncovered, .. })| CreditUsed {
            key: Some(render_credit_key(key)),
            used: *used,
            uncovered: *uncovered,
        });
        told.collect()
    }

    pub(super) fn batched(&mut self, credit_used: &[CreditUsed]) {
        // It told of all that was uncovered.
        self.raise(credit_used, |spent, used| (spent.batched, spent.uncovered) = (spent.batched.max(used), 0));
    }

    pub(super) fn acknowledged(&mut self, credit_used: &[CreditUsed]) {
        self.raise(credit_used, |spent, used| spent.acknowledged = spent.acknowledged.max(used));
    }

    fn raise(&mut self, credit_used: &[CreditUsed], raise: impl Fn(&mut Spent, i64)) {
        for (key, used) in read(credit_used) {
            if let Some(spent) = self.spent.get_mut(&key) {
                raise(spent, used);
            }
        }
    }

    /// Forgets the limits and windows that nobody needs to know any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(&CounterKey) -> bool) {
        self.spent.retain(|key, _| is_known(key));
    }

    /// Takes a session, and at the beginning of a file all that was used.
    pub(super) fn take(&mut self, Session { session, spent, boot_id }: Session) {
        (self.session, self.boot_id) = (session, boot_id);
        for SpentRecord { key, used, batched, acknowledged, uncovered } in spent {
            if let Some(key) = key.as_ref().and_then(read_credit_key) {
                self.spent.insert(key, Spent { used, batched, acknowledged, uncovered });
            }
        }
    }

    pub(super) fn to_record(&self) -> Session {
        let spent = self.spent.iter().map(|(key, spent)| {
            let Spent { used, batched, acknowledged, uncovered } = *spent;
            SpentRecord { key: Some(render_credit_key(key)), used, batched, acknowledged, uncovered }
        });
        Session { session: self.session, spent: spent.collect(), boot_id: self.boot_id.clone() }
    }
}

/// When this machine was started, as its system names it; empty if it does not.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Usage by credit, as records have it.
pub(crate) fn read(credit_used: &[CreditUsed]) -> impl Iterator<Item = (CounterKey, i64)> {
    credit_used.iter().filter_map(|CreditUsed { key, used, .. }| Some((read_credit_key(key.as_ref()?)?, *used)))
}

/// The part of an entry that a limit of this kind counts.
pub(crate) fn amount(entry: &UsageEntry, kind: LimitKind) -> i64 {
    match kind {
        LimitKind::Budget => entry.cost_nano_usd,
        LimitKind::Tokens => entry.input_tokens.saturating_add(entry.output_tokens),
        LimitKind::Requests => entry.requests,
        LimitKind::Concurrency => 0,
    }
}
