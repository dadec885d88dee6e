//! Waiting until nodes decide with a revision.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::fleet::is_there;
use crate::api::Api;
use crate::domain::{Error, Path, Timestamp, Violations};
use crate::proto::v1;
use crate::store::FleetNode;
use crate::wire::timestamp;

/// How long to wait if the request does not say, and at most.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
/// How often to look at what nodes of other replicas told.
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks at least: where many nodes apply a revision at once, they are looked at together.
const PAUSE: Duration = Duration::from_millis(5);
const MAX_NODE_IDS: usize = 10_000;
const MAX_LAGGING: usize = 1_000;

/// How far the nodes are that are waited for.
struct Progress {
    node_count: usize,
    lagging: Vec<v1::LaggingNode>,
}

impl Api {
    pub(in crate::api) async fn wait_for(
        &self,
        request: v1::WaitForRevisionRequest,
    ) -> Result<v1::WaitForRevisionResponse, Error> {
        let v1::WaitForRevisionRequest { revision, timeout, node_ids } = request;
        let timeout = self.check(revision, timeout, &node_ids).await?;
        let deadline = Instant::now() + timeout;
        // A revision that the log has no more is older than any that a node may have been told last.
        let times = self.ledger.reader().commit_times(&[revision]).await.map_err(|error| error.to_domain())?;
        let committed_at = times.get(&revision).copied().unwrap_or(Timestamp::EPOCH);
        let mut applied = self.ledger.fleet().applied();
        loop {
            applied.mark_unchanged();
            let Progress { node_count, mut lagging } = self.progress(revision, committed_at, &node_ids).await?;
            let reached = lagging.is_empty();
            if reached || Instant::now() >= deadline {
                lagging.truncate(MAX_LAGGING);
                let node_count = i32::try_from(node_count).unwrap_or(i32::MAX);
                return Ok(v1::WaitForRevisionResponse { reached, node_count, lagging_nodes: lagging });
            }
            tokio::select! {
                // It never fails: the sender is the ledger's.
                _ = applied.changed() => tokio::time::sleep(PAUSE).await,
                () = tokio::time::sleep_until(deadline.min(Instant::now() + LOOK)) => {}
                () = self.watch.drained() => {
                    let what = "the server is shutting down".to_owned();
                    return Err(Error::Unavailable { what, retry_after: LOOK });
                }
            }
        }
    }

    /// How long to wait.
    ///
    /// # Errors
    /// `Invalid` if the store never had the revision, or the request is wrong otherwise.
    async fn check(
        &self,
        revision: i64,
        timeout: Option<prost_types::Duration>,
        node_ids: &[String],
    ) -> Result<Duration, Error> {
        let mut violations = Violations::new();
        if revision > self.state().revision() {
            self.ledger.catch_up().await?;
        }
        let head = self.state().revision();
        if !(1..=head).contains(&revision) {
            violations
                .add(Path::root("revision"), format!("is {revision}; must be from 1 to {head}, where the store is"));
        }
        let timeout = match timeout.map(Duration::try_from) {
            None => TIMEOUT,
            Some(Ok(timeout)) => timeout.min(MAX_TIMEOUT),
            Some(Err(_)) => {
                violations.add(Path::root("timeout"), "is no span of time; must be at least 0");
                TIMEOUT
            }
        };
        if node_ids.len() > MAX_NODE_IDS {
            let text = format!("has {} ids; must have at most {MAX_NODE_IDS}", node_ids.len());
            violations.add(Path::root("node_ids"), text);
        }
        Ok(violations.or(timeout)?)
    }

    async fn progress(&self, revision: i64, committed_at: Timestamp, node_ids: &[String]) -> Result<Progress, Error> {
        let nodes = self.ledger.fleet().with_session(self.ledger.reader()).await.map_err(|error| error.to_domain())?;
        let (state, now) = (self.state(), self.now());
        // The last incarnation of a node stands for it: the one before has ended.
        let mut newest: BTreeMap<&str, &FleetNode> = BTreeMap::new();
        for node in nodes.iter().filter(|node| is_there(&state, node).is_some()) {
            newest.insert(&node.registration.node_id, node);
        }
        let mut lagging = Vec::new();
        let wanted: Vec<(&str, Option<&FleetNode>)> = match node_ids.is_empty() {
            true => newest.iter().map(|(node_id, node)| (*node_id, Some(*node))).collect(),
            false => node_ids.iter().map(|node_id| (node_id.as_str(), newest.get(node_id.as_str()).copied())).collect(),
        };
        let mut node_count = 0;
        for (node_id, node) in wanted {
            let status = node.and_then(|node| node.status.as_ref());
            let Some(status) = status else {
                lagging.push(v1::LaggingNode { node_id: node_id.to_owned(), ..v1::LaggingNode::default() });
                continue;
            };
            if status.applied_revision >= revision {
                node_count += 1;
                continue;
            }
            // Its stream may outlive its session and prove its copy until the revision is made. A later proof comes with the
            // revision.
            let proven = status.last_seen.max(committed_at);
            let ends = status.max_staleness.map(|staleness| after(proven, staleness));
            if ends.is_some_and(|ends| ends <= now) && node_ids.is_empty() {
                // It admits nothing with its copy any more.
                continue;
            }
            lagging.push(v1::LaggingNode {
                node_id: node_id.to_owned(),
                incarnation: status.incarnation,
                applied_revision: status.applied_revision,
                last_seen: Some(timestamp(status.last_seen)),
                cannot_admit_after: ends.map(timestamp),
            });
        }
        Ok(Progress { node_count, lagging })
    }
}

fn after(time: Timestamp, span: Duration) -> Timestamp {
    time.plus_micros(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}
