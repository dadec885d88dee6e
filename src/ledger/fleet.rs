//! The nodes that are connected to this replica, as they tell their state; shared with other replicas through the database.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Failing, Turn};
use crate::domain::Timestamp;
use crate::store::{FleetNode, NodeStatus, Reader, Store, StoreError, WhichNodes};

/// Between two looks whether nodes applied a revision, which others may wait for.
const LOOK: Duration = Duration::from_millis(250);
/// Between two writes of all that nodes told.
const INTERVAL: Duration = Duration::from_secs(2);

/// What nodes told this replica. Cloning shares it.
#[derive(Clone)]
pub struct Fleet {
    nodes: Arc<Mutex<Nodes>>,
    /// Rises with each revision that a node applied.
    applied: watch::Sender<u64>,
    /// Requests that nodes refused for want of credit that other nodes held.
    refused: Counter,
    replica: Arc<str>,
}

#[derive(Default)]
struct Nodes {
    told: HashMap<i64, NodeStatus>,
    /// Those that are to be written.
    changed: HashSet<i64>,
    /// Whether one of these applied a revision, came or went.
    is_urgent: bool,
}

impl Fleet {
    /// Nobody yet, on the server with this name.
    pub(super) fn new(replica: Arc<str>) -> Self {
        Self { nodes: Arc::default(), applied: watch::Sender::new(0), refused: Counter::default(), replica }
    }

    fn lock(&self) -> MutexGuard<'_, Nodes> {
        // Nothing in it can be half done.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a node whose session began. The server's name is added.
    pub fn enter(&self, status: NodeStatus) {
        let mut nodes = self.lock();
        let incarnation = status.incarnation;
        nodes.told.insert(incarnation, NodeStatus { replica: self.replica.as_ref().into(), ..status });
        nodes.changed.insert(incarnation);
        nodes.is_urgent = true;
        drop(nodes);
        self.applied.send_modify(|times| *times += 1);
    }

    /// Notes that a node was heard, and what it told.
    pub fn hear(&self, incarnation: i64, at: Timestamp, tell: impl FnOnce(&mut NodeStatus)) {
        let mut nodes = self.lock();
        let Some(status) = nodes.told.get_mut(&incarnation) else { return };
        let before = (status.applied_revision, status.has_session);
        status.last_seen = at;
        tell(status);
        let is_urgent = before != (status.applied_revision, status.has_session);
        nodes.changed.insert(incarnation);
        nodes.is_urgent |= is_urgent;
        drop(nodes);
        if is_urgent {
            self.applied.send_modify(|times| *times += 1);
        }
    }

    /// Counts requests that a node refused for want of credit that other nodes held.
    pub fn note_refused(&self, requests: i64) {
        self.refused.inc_by(u64::try_from(requests).unwrap_or_default());
    }

    /// The requests that nodes refused for want of credit that other nodes held.
    pub(super) fn refused(&self) -> Counter {
        self.refused.clone()
    }

    /// Changes whenever a node of this replica came, went or applied a revision.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// All nodes, or the incarnations of one, each with what it told last to any replica.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn nodes(&self, store: &Reader, node_id: Option<&str>) -> Result<Vec<FleetNode>, StoreError> {
        let nodes = store.fleet(node_id.map_or(WhichNodes::All, WhichNodes::Named)).await?;
        Ok(self.with_own(nodes))
    }

    /// The nodes that have a session at any replica, or had one when the database was told last.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn with_session(&self, store: &Reader) -> Result<Vec<FleetNode>, StoreError> {
        let own: Vec<i64> = {
            let nodes = self.lock();
            nodes.told.iter().filter(|(_, status)| status.has_session).map(|(incarnation, _)| *incarnation).collect()
        };
        Ok(self.with_own(store.fleet(WhichNodes::WithSession(&own)).await?))
    }

    /// Each with what it told this replica, where that is later.
    fn with_own(&self, mut nodes: Vec<FleetNode>) -> Vec<FleetNode> {
        let told = self.lock();
        for node in &mut nodes {
            if let Some(own) = told.told.get(&node.incarnation)
                && node.status.as_ref().is_none_or(|other| other.last_seen <= own.last_seen)
            {
                node.status = Some(own.clone());
            }
        }
        nodes
    }

    /// What is to be written, if anything: all, or only if others may wait for it.
    fn take(&self, all: bool) -> Vec<NodeStatus> {
        let mut nodes = self.lock();
        if !all && !nodes.is_urgent {
            return Vec::new();
        }
        nodes.is_urgent = false;
        let changed = std::mem::take(&mut nodes.changed);
        changed.iter().filter_map(|incarnation| nodes.told.get(incarnation).cloned()).collect()
    }

    /// Notes that these were not written.
    fn put_back(&self, statuses: &[NodeStatus]) {
        let mut nodes = self.lock();
        nodes.changed.extend(statuses.iter().map(|status| status.incarnation));
        nodes.is_urgent = true;
    }

    /// Forgets those that went, and were written.
    fn forget_gone(&self) {
        let mut nodes = self.lock();
        let Nodes { told, changed, .. } = &mut *nodes;
        told.retain(|incarnation, status| status.has_session || changed.contains(incarnation));
    }

    /// Writes what nodes told, until `stop`, and once more then.
    pub(super) async fn run(self, store: Arc<Store>, stop: CancellationToken) {
        let mut written = Instant::now();
        let mut failing = Failing::default();
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let statuses = self.take(stopped || written.elapsed() >= INTERVAL);
            if !statuses.is_empty() {
                written = Instant::now();
                let result = store.write_statuses(&statuses).await;
                if result.is_err() {
                    self.put_back(&statuses);
                } else {
                    self.forget_gone();
                }
                match failing.note(result) {
                    Some(Turn::Fails(error)) => {
                        tracing::warn!(error = %error.report(), "the state of nodes cannot be written; trying again");
                    }
                    Some(Turn::Recovers) => tracing::info!("the state of nodes is written again"),
                    None => {}
                }
            }
            if stopped {
                return;
            }
        }
    }
}
