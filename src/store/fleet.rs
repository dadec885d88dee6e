//! The nodes: how each registered, and its state as it last told it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::{change_txn, node_status, usage_node};
use super::error::StoreError;
use super::persist::{Row, rows};
use super::script::Script;
use super::tx::KEYS;
use super::usage::Registration;
use super::{Reader, Store};
use crate::domain::Timestamp;

/// The state of an incarnation of a node, as it last told it.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeStatus {
    /// The incarnation.
    pub incarnation: i64,
    /// The server that it was connected to last.
    pub replica: Box<str>,
    /// The version of its program.
    pub version: Box<str>,
    /// The features that it knows.
    pub features: Vec<String>,
    /// The kinds of resources that it knows, by their numbers in the API; all if empty.
    pub kinds: Vec<i32>,
    /// Whether it did not end its session.
    pub has_session: bool,
    /// When its session began.
    pub connected_at: Timestamp,
    /// When it was heard last.
    pub last_seen: Timestamp,
    /// The revision that it decides with.
    pub applied_revision: i64,
    /// How long after its last contact it refuses all requests; `None` if it goes on with its copy.
    pub max_staleness: Option<Duration>,
    /// Batches of usage that no server has acknowledged.
    pub outbox_batches: i64,
    /// The age of the oldest of them.
    pub outbox_age: Option<Duration>,
    /// Requests that were admitted and not settled.
    pub open_admissions: i64,
    /// Its last error; empty if there was none.
    pub last_error: Box<str>,
    /// Requests that its process has refused for want of credit that other nodes held.
    pub credit_refused: i64,
}

/// An incarnation of a node.
#[derive(Clone, PartialEq, Debug)]
pub struct FleetNode {
    /// The incarnation.
    pub incarnation: i64,
    /// What it registered with.
    pub registration: Registration,
    /// What it told last; `None` if it never had a session.
    pub status: Option<NodeStatus>,
}

/// Which nodes are read.
#[derive(Clone, Copy)]
pub enum WhichNodes<'a> {
    /// All that ever registered.
    All,
    /// The incarnations of one.
    Named(&'a str),
    /// Those that have a session as far as the database knows, and these incarnations.
    WithSession(&'a [i64]),
}

impl Row for node_status::Model {
    type Key = i64;

    fn key(&self) -> Self::Key {
        self.incarnation
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn row(status: &NodeStatus) -> node_status::Model {
    node_status::Model {
        incarnation: status.incarnation,
        replica: status.replica.to_string(),
        version: status.version.to_string(),
        features: serde_json::Value::from(status.features.as_slice()).to_string(),
        has_session: status.has_session,
        connected_at: status.connected_at.as_micros(),
        last_seen: status.last_seen.as_micros(),
        applied_revision: status.applied_revision,
        max_staleness: status.max_staleness.map(micros),
        outbox_batches: status.outbox_batches,
        outbox_age: status.outbox_age.map(micros),
        open_admissions: status.open_admissions,
        last_error: status.last_error.to_string(),
        kinds: serde_json::Value::from(status.kinds.as_slice()).to_string(),
        credit_refused: status.credit_refused,
    }
}

fn status(row: node_status::Model) -> Result<NodeStatus, StoreError> {
    let corrupt = |_| StoreError::corrupt("node_status", row.incarnation, "its features or kinds are no list");
    let duration = |micros: i64| Duration::from_micros(micros.unsigned_abs());
    Ok(NodeStatus {
        incarnation: row.incarnation,
        replica: row.replica.into(),
        version: row.version.into(),
        features: serde_json::from_str(&row.features).map_err(corrupt)?,
        kinds: serde_json::from_str(&row.kinds).map_err(corrupt)?,
        has_session: row.has_session,
        connected_at: Timestamp::from_micros(row.connected_at),
        last_seen: Timestamp::from_micros(row.last_seen),
        applied_revision: row.applied_revision,
        max_staleness: row.max_staleness.map(duration),
        outbox_batches: row.outbox_batches,
        outbox_age: row.outbox_age.map(duration),
        open_admissions: row.open_admissions,
        last_error: row.last_error.into(),
        credit_refused: row.credit_refused,
    })
}

impl Store {
    /// Writes what nodes told. What was told later to another server stays.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`]; it can be repeated in any case.
    pub async fn write_statuses(&self, statuses: &[NodeStatus]) -> Result<(), StoreError> {
        let tx = self.begin_write().await?;
        let mut script = Script::new(tx.get_database_backend());
        script.upsert_newer(statuses.iter().map(row).collect(), node_status::Column::LastSeen);
        let result = self.in_time(script.run(&tx)).await;
        self.reach.finish(tx, result).await
    }
}

impl Reader {
    /// Incarnations of nodes, in the order of their node ids, then numbers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    pub async fn fleet(&self, which: WhichNodes<'_>) -> Result<Vec<FleetNode>, StoreError> {
        let tx = self.begin_read().await?;
        let (registered, told) = (usage_node::Entity::find(), node_status::Entity::find());
        let (registered, told) = match which {
            WhichNodes::All => (self.in_time(rows(&tx, registered)).await?, self.in_time(rows(&tx, told)).await?),
            WhichNodes::Named(node_id) => {
                let registered = registered.filter(usage_node::Column::NodeId.eq(node_id));
                let registered = self.in_time(rows(&tx, registered)).await?;
                let these = registered.iter().map(|row| row.incarnation);
                let told = told.filter(node_status::Column::Incarnation.is_in(these.take(KEYS)));
                (registered, self.in_time(rows(&tx, told)).await?)
            }
            WhichNodes::WithSession(others) => {
                let told = told.filter(node_status::Column::HasSession.eq(true));
                let told = self.in_time(rows(&tx, told)).await?;
                let these: BTreeSet<i64> =
                    told.iter().map(|row| row.incarnation).chain(others.iter().copied()).collect();
                let these: Vec<i64> = these.into_iter().collect();
                let mut found = Vec::with_capacity(these.len());
                for chunk in these.chunks(KEYS) {
                    let these = usage_node::Column::Incarnation.is_in(chunk.iter().copied());
                    found.extend(self.in_time(rows(&tx, registered.clone().filter(these))).await?);
                }
                (found, told)
            }
        };
        let told: Result<HashMap<i64, NodeStatus>, StoreError> =
            told.into_iter().map(|row| Ok((row.incarnation, status(row)?))).collect();
        let mut told = told?;
        let mut nodes: Vec<FleetNode> = registered
            .into_iter()
            .map(|row| FleetNode {
                incarnation: row.incarnation,
                status: told.remove(&row.incarnation),
                registration: Registration {
                    node_id: row.node_id,
                    version: row.version,
                    metadata: row.metadata,
                    registered_by: row.registered_by,
                    at: Timestamp::from_micros(row.registered_at),
                },
            })
            .collect();
        nodes.sort_unstable_by(|one, other| {
            (&one.registration.node_id, one.incarnation).cmp(&(&other.registration.node_id, other.incarnation))
        });
        Ok(nodes)
    }

    /// When these revisions were committed, as far as the log still has them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn commit_times(&self, revisions: &[i64]) -> Result<HashMap<i64, Timestamp>, StoreError> {
        let tx = self.begin_read().await?;
        let mut times = HashMap::new();
        for chunk in revisions.chunks(KEYS) {
            let these = change_txn::Column::Revision.is_in(chunk.iter().copied());
            let found = self.in_time(rows(&tx, change_txn::Entity::find().filter(these))).await?;
            times.extend(found.into_iter().map(|row| (row.revision, Timestamp::from_micros(row.committed_at))));
        }
        Ok(times)
    }
}
