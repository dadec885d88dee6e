//! What the write path tells of itself (`docs/metrics.md`).

mod spend;

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::spend::SpendMetrics;
use super::{Ack, Ledger};

/// Seconds. A commit is a flush of the disk; 5 s is the database's patience.
const DURATIONS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// Commands or batches; a group has at most 256.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// Counted as it happens. Clones count together.
#[derive(Clone)]
pub(super) struct LedgerMetrics {
    durations: Histograms,
    sizes: Histograms,
    batches: Family<Label, Counter>,
    entries: Family<Label, Counter>,
    /// What was spent.
    pub(super) spend: SpendMetrics,
}

impl Default for LedgerMetrics {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            sizes: Family::new_with_constructor(|| Histogram::new(SIZES)),
            batches: Family::default(),
            entries: Family::default(),
            spend: SpendMetrics::default(),
        }
    }
}

/// What a transaction was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Changes of resources; its size is counted in revisions.
    Changes,
    /// Counting usage; its size is counted in batches.
    Usage,
}

impl LedgerMetrics {
    /// A transaction that was written.
    pub(super) fn committed(&self, purpose: Purpose, size: usize, took: Duration) {
        let label = [(
            "purpose",
            match purpose {
                Purpose::Changes => "changes",
                Purpose::Usage => "usage",
            },
        )];
        self.durations.get_or_create(&label).observe(took.as_secs_f64());
        self.sizes.get_or_create(&label).observe(size as f64);
    }

    /// A batch of so many entries that was answered.
    pub(super) fn answered(&self, ack: &Ack, entries: usize) {
        let outcome = match ack {
            Ack::Applied { rejected, late } => {
                let count = |outcome, count: usize| {
                    if count > 0 {
                        self.entries.get_or_create(&[("outcome", outcome)]).inc_by(count as u64);
                    }
                };
                count("rejected", rejected.len());
                count("late", *late);
                count("counted", entries.saturating_sub(rejected.len() + late));
                "applied"
            }
            Ack::Duplicate => "duplicate",
            Ack::Gap => "gap",
            Ack::Rejected(_) => "rejected",
        };
        self.batches.get_or_create(&[("outcome", outcome)]).inc();
    }
}

impl Ledger {
    /// Adds what the ledger and its store tell of themselves.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let LedgerMetrics { durations, sizes, batches, entries, spend } = self.metrics.clone();
        registry.register_with_unit(
            "commit_duration",
            "How long transactions took that write changes or count usage",
            Unit::Seconds,
            durations,
        );
        registry.register("commit_size", "Revisions or usage batches in one transaction", sizes);
        registry.register("usage_batches", "Usage batches that were answered, by what became of them", batches);
        registry.register("usage_entries", "Entries of applied usage batches, by what became of them", entries);
        spend.register(self.clone(), registry);
        self.credit_metrics.register(self.clone(), registry);
        registry.register_collector(Box::new(Standing(self.clone())));
    }
}

/// Looked up when it is asked for.
struct Standing(Ledger);

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.0.state();
        let gauges = [
            ("revision", "The revision of the last change", state.revision()),
            ("compacted_revision", "The revision from which watchers can resume", state.head().compacted_revision),
            (
                "ledger_queue",
                "Writes, usage batches and reports about credit that wait for the ledger",
                i64::try_from(self.0.queue.waiting()).unwrap_or(i64::MAX),
            ),
        ];
        for (name, help, value) in gauges {
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }

        let pools = self.0.store.pools();
        let mut connections = encoder.encode_descriptor(
            "database_connections",
            "Connections to the database",
            None,
            MetricType::Gauge,
        )?;
        for pool in pools {
            for (state, count) in [("idle", pool.idle), ("busy", pool.busy)] {
                let labels = [("pool", pool.name), ("state", state)];
                ConstGauge::new(i64::from(count)).encode(connections.encode_family(&labels)?)?;
            }
        }
        let mut most = encoder.encode_descriptor(
            "database_connections_max",
            "The most connections to the database",
            None,
            MetricType::Gauge,
        )?;
        for pool in pools {
            ConstGauge::new(i64::from(pool.max)).encode(most.encode_family(&[("pool", pool.name)])?)?;
        }
        Ok(())
    }
}
