//! What credit tells of itself (`docs/metrics.md`).

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Decided;
use crate::credit::Directive;
use crate::domain::LimitKind;
use crate::ledger::Ledger;

const KINDS: [LimitKind; 4] = LimitKind::ALL;

/// Counted as it happens. Clones count together.
#[derive(Clone, Default)]
pub(in crate::ledger) struct CreditMetrics {
    granted: Family<[(&'static str, &'static str); 1], Counter>,
    wants: Family<[(&'static str, &'static str); 1], Counter>,
    recalls: Counter,
}

const fn name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Budget => "budget",
        LimitKind::Tokens => "tokens",
        LimitKind::Requests => "requests",
        LimitKind::Concurrency => "concurrency",
    }
}

impl CreditMetrics {
    /// A group that was written.
    pub(super) fn written(&self, decided: &Decided) {
        for (kind, amount) in &decided.granted {
            self.granted.get_or_create(&[("kind", name(*kind))]).inc_by(amount.unsigned_abs());
        }
        let recalls = decided.group.recalls.len();
        self.recalls.inc_by(recalls as u64);
        for (_, _, directive) in &decided.sends {
            let outcome = match directive {
                Directive::Recall { keys, .. } => {
                    self.recalls.inc_by(keys.len() as u64);
                    continue;
                }
                Directive::Grant { .. } => "met",
                Directive::Unmet { recalling: true, .. } => "recalling",
                Directive::Unmet { recalling: false, .. } => "unmet",
                Directive::Welcome { .. } | Directive::Renewed { .. } | Directive::Stale { .. } | Directive::Closed => {
                    continue;
                }
            };
            self.wants.get_or_create(&[("outcome", outcome)]).inc();
        }
    }

    /// Adds what there is to tell of credit.
    pub(in crate::ledger) fn register(&self, ledger: Ledger, registry: &mut Registry) {
        let Self { granted, wants, recalls } = self.clone();
        let help = "Credit that was granted, in nano-dollars, LLM tokens or requests";
        registry.register("credit_granted", help, granted);
        registry.register("credit_wants", "Answers to nodes that asked for credit, by what became of it", wants);
        let help = "Requests that nodes refused for want of credit that other nodes held";
        registry.register("credit_refused", help, ledger.fleet().refused());
        registry.register("credit_recalls", "Times that a node was asked to give credit back", recalls);
        registry.register_collector(Box::new(Standing(ledger)));
    }
}

/// Summed up when it is asked for.
struct Standing(Ledger);

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

/// The name of a gauge, its description, and its value.
type Gauge = (&'static str, &'static str, fn(&Sum) -> i64);

/// All limits that count the same.
#[derive(Default)]
struct Sum {
    outstanding: i64,
    possible: i64,
    seen: i64,
    uncovered: i64,
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.0.state();
        let book = state.credit();
        let mut sums: BTreeMap<LimitKind, Sum> = KINDS.into_iter().map(|kind| (kind, Sum::default())).collect();
        for (key, row) in book.pools_after(None) {
            let (counted, outstanding) = (state.usage().get(key).used, book.outstanding(key));
            let sum = sums.entry(key.kind).or_default();
            sum.outstanding = sum.outstanding.saturating_add(outstanding);
            sum.possible = sum.possible.max(counted.saturating_add(outstanding).saturating_sub(row.terms.max));
            sum.seen = sum.seen.max(counted.saturating_sub(row.terms.max));
            sum.uncovered = sum.uncovered.saturating_add(book.uncovered(key, counted));
        }
        let gauges: [Gauge; 4] = [
            ("credit_outstanding", "Credit that nodes hold and have not used, as far as they reported", |sum| {
                sum.outstanding
            }),
            (
                "credit_overshoot_possible",
                "By how much the one limit can be exceeded that can be exceeded most",
                |sum| sum.possible,
            ),
            ("credit_overshoot", "By how much the one limit was exceeded that was exceeded most", |sum| sum.seen),
            ("credit_uncovered", "The part of what was counted that no credit was held for", |sum| sum.uncovered),
        ];
        for (metric, help, of) in gauges {
            let mut gauge = encoder.encode_descriptor(metric, help, None, MetricType::Gauge)?;
            for (kind, sum) in &sums {
                ConstGauge::new(of(sum)).encode(gauge.encode_family(&[("kind", name(*kind))])?)?;
            }
        }
        Ok(())
    }
}
