//! The streams that are open, and how far each is: what there is to tell of them (`docs/metrics.md`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::Watch;
use crate::state::State;

/// Nodes that have a value of their own. Node ids are the clients' to choose, and no client may fill a monitoring
/// system with them: those beyond share one value.
const NAMED: usize = 256;
/// What stands for the nodes that have none of their own.
const OTHERS: &str = "(others)";
/// Characters of a node id that are shown.
const SHOWN: usize = 128;

/// The open streams, in the order in which they began.
#[derive(Clone, Default)]
pub(super) struct OpenStreams(Arc<Mutex<Streams>>);

#[derive(Default)]
struct Streams {
    next: u64,
    open: BTreeMap<u64, OpenStream>,
}

struct OpenStream {
    node_id: Box<str>,
    position: Arc<AtomicI64>,
}

/// A stream's place among the open ones, for as long as it is there.
pub(super) struct Place {
    streams: OpenStreams,
    number: u64,
    position: Arc<AtomicI64>,
}

impl OpenStreams {
    pub(super) fn enter(&self, node_id: &str) -> Place {
        let node_id: String = node_id.chars().take(SHOWN).collect();
        let position = Arc::new(AtomicI64::new(0));
        let mut streams = self.lock();
        let number = streams.next;
        streams.next += 1;
        streams.open.insert(number, OpenStream { node_id: node_id.into(), position: Arc::clone(&position) });
        Place { streams: self.clone(), number, position }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Streams> {
        // Nothing in it can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of streams, and for each node how far the one is behind that is the furthest.
    fn lags(&self, head: i64) -> (usize, BTreeMap<Box<str>, i64>) {
        let streams = self.lock();
        let mut lags: BTreeMap<Box<str>, i64> = BTreeMap::new();
        for OpenStream { node_id, position } in streams.open.values() {
            let lag = (head - position.load(Ordering::Relaxed)).max(0);
            let named = lags.contains_key(node_id) || lags.len() < NAMED;
            let entry = lags.entry(if named { node_id.clone() } else { OTHERS.into() }).or_default();
            *entry = lag.max(*entry);
        }
        (streams.open.len(), lags)
    }
}

impl Place {
    /// All up to this revision has been handed to the connection.
    pub(super) fn reached(&self, revision: i64) {
        self.position.store(revision, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.lock().open.remove(&self.number);
    }
}

impl Watch {
    /// Adds what there is to tell of the streams.
    pub fn register_metrics(&self, registry: &mut Registry) {
        let standing = Standing { open: self.open.clone(), states: self.states.clone() };
        registry.register_collector(Box::new(standing));
    }
}

struct Standing {
    open: OpenStreams,
    states: watch::Receiver<Arc<State>>,
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let head = self.states.borrow().revision();
        let (open, lags) = self.open.lags(head);
        let open = i64::try_from(open).unwrap_or(i64::MAX);
        let help = "Watch streams that are open";
        ConstGauge::new(open).encode(encoder.encode_descriptor("watch_streams", help, None, MetricType::Gauge)?)?;
        let help = "Revisions that a watching node's stream is behind";
        let mut lag = encoder.encode_descriptor("watch_lag_revisions", help, None, MetricType::Gauge)?;
        for (node_id, behind) in &lags {
            ConstGauge::new(*behind).encode(lag.encode_family(&[("node_id", node_id.as_ref())])?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_as_far_behind_as_the_last_of_its_streams() {
        let open = OpenStreams::default();
        let places = [open.enter("a"), open.enter("b"), open.enter("a")];
        for (place, revision) in places.iter().zip([7, 9, 3]) {
            place.reached(revision);
        }
        assert_eq!(open.lags(10), (3, BTreeMap::from([("a".into(), 7), ("b".into(), 1)])));
        drop(places);
        assert_eq!(open.lags(10), (0, BTreeMap::new()));
    }

    #[test]
    fn there_are_only_so_many_node_ids() {
        let open = OpenStreams::default();
        let places: Vec<_> = (0..NAMED + 50).map(|number| open.enter(&format!("node {number}"))).collect();
        places.iter().for_each(|place| place.reached(10));
        places[NAMED + 7].reached(4);
        let (count, lags) = open.lags(10);
        assert_eq!((count, lags.len(), lags[OTHERS]), (NAMED + 50, NAMED + 1, 6));
        let long = open.enter(&"x".repeat(5_000));
        assert!(open.lags(10).1.keys().all(|id| id.chars().count() <= SHOWN));
        drop(long);
    }
}
