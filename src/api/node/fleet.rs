//! The nodes, as they registered and as they tell their state.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use prost::Message as _;

use crate::api::Api;
use crate::api::page::{self, Scope};
use crate::domain::{Error, LimitKind, Path, Timestamp, Violations};
use crate::ledger::Freed;
use crate::proto::v1;
use crate::state::State;
use crate::store::{FleetNode, NodeStatus};
use crate::wire::{self, render_duration, timestamp};

/// How long a node may be silent.
pub(in crate::api) const SILENT: Duration = Duration::from_secs(15);
/// How old a revision may get before a node that has not applied it counts as behind.
const BEHIND: Duration = Duration::from_secs(5);

/// The time so long before `now`.
fn ago(now: Timestamp, age: Duration) -> Timestamp {
    now.plus_micros(-i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

/// Whether a node has a session, or may have one still: it did not end it, and was not closed.
pub(super) fn is_there<'a>(state: &State, node: &'a FleetNode) -> Option<&'a NodeStatus> {
    let is_closed = state.credit().node(node.incarnation).is_some_and(|row| row.is_closed);
    node.status.as_ref().filter(|status| status.has_session && !is_closed)
}

/// The credit that an incarnation holds, by what it counts.
fn held(state: &State, incarnation: i64) -> Freed {
    let mut held = Freed::new();
    for (key, account) in state.credit().accounts_of(incarnation) {
        let sum = held.entry(key.kind).or_default();
        *sum = sum.saturating_add(account.outstanding());
    }
    held
}

fn render_amounts(amounts: &Freed) -> Vec<v1::CreditAmount> {
    let kinds = LimitKind::ALL.into_iter();
    let amounts = kinds.filter_map(|kind| {
        let amount = amounts.get(&kind).copied().filter(|amount| *amount > 0)?;
        Some(v1::CreditAmount { kind: wire::limit_kind(kind).into(), amount })
    });
    amounts.collect()
}

impl Api {
    pub(super) async fn fleet(&self, node_id: Option<&str>) -> Result<Vec<FleetNode>, Error> {
        let nodes = self.ledger.fleet().nodes(self.ledger.reader(), node_id).await;
        nodes.map_err(|error| error.to_domain())
    }

    /// All incarnations of all nodes.
    pub(in crate::api) async fn rendered_fleet(&self) -> Result<Vec<v1::Node>, Error> {
        self.render(self.fleet(None).await?).await
    }

    pub(super) async fn nodes(&self, request: v1::ListNodesRequest) -> Result<v1::ListNodesResponse, Error> {
        let filters = v1::ListNodesRequest { page_size: 0, page_token: String::new(), ..request.clone() };
        let scope = Scope::new("ListNodes", &filters);
        let v1::ListNodesRequest { page_size, page_token, node_id, state: wanted } = request;
        let mut violations = Violations::new();
        if v1::NodeState::try_from(wanted).is_err() {
            violations.add(Path::root("state"), format!("is {wanted}, which is no state; leave it out for all"));
        }
        violations.or(())?;
        let limit = page::size(page_size)?;
        let after = scope.read(&page_token)?.map(|(incarnation, node_id)| (node_id.to_string(), incarnation));
        self.ledger.catch_up().await?;
        let mut nodes = self.fleet(Some(node_id.as_str()).filter(|it| !it.is_empty())).await?;
        if let Some((node_id, incarnation)) = &after {
            nodes.retain(|node| (&node.registration.node_id, node.incarnation) > (node_id, *incarnation));
        }
        let rendered = self.render(nodes).await?;
        let rendered = rendered.into_iter().filter(|node| wanted == 0 || node.state == wanted);
        let (mut nodes, mut bytes, mut next_page_token) = (Vec::<v1::Node>::new(), 0, String::new());
        for node in rendered {
            bytes += node.encoded_len();
            if let Some(last) = nodes.last()
                && (nodes.len() == limit || bytes > page::MAX_BYTES)
            {
                next_page_token = scope.token(last.incarnation, &last.node_id);
                break;
            }
            nodes.push(node);
        }
        Ok(v1::ListNodesResponse { nodes, next_page_token })
    }

    pub(super) async fn node(&self, request: v1::GetNodeRequest) -> Result<v1::GetNodeResponse, Error> {
        let v1::GetNodeRequest { node_id, incarnation } = request;
        let node = self.named(&node_id, incarnation).await?.pop();
        let node = self.render(node.into_iter().collect()).await?.pop();
        Ok(v1::GetNodeResponse { node })
    }

    /// The incarnations of a node, or the one that is named.
    async fn named(&self, node_id: &str, incarnation: i64) -> Result<Vec<FleetNode>, Error> {
        self.ledger.catch_up().await?;
        let mut nodes = self.fleet(Some(node_id)).await?;
        nodes.retain(|node| incarnation == 0 || node.incarnation == incarnation);
        match nodes.is_empty() {
            false => Ok(nodes),
            true if incarnation == 0 => Err(Error::NoNode(format!("{node_id:?}"))),
            true => Err(Error::NoNode(format!("incarnation {incarnation} of {node_id:?}"))),
        }
    }

    pub(super) async fn forget(
        &self,
        request: v1::ForgetNodeRequest,
        actor: &str,
    ) -> Result<v1::ForgetNodeResponse, Error> {
        let v1::ForgetNodeRequest { node_id, incarnation, validate_only } = request;
        let nodes = self.named(&node_id, incarnation).await?;
        let state = self.state();
        let is_open = |node: &&FleetNode| state.credit().node(node.incarnation).is_none_or(|row| !row.is_closed);
        let incarnations: Vec<i64> = nodes.iter().filter(is_open).map(|node| node.incarnation).collect();
        if validate_only {
            let mut freed = Freed::new();
            for (kind, amount) in incarnations.iter().flat_map(|incarnation| held(&state, *incarnation)) {
                let sum = freed.entry(kind).or_default();
                *sum = sum.saturating_add(amount);
            }
            return Ok(v1::ForgetNodeResponse { freed: render_amounts(&freed) });
        }
        let freed = self.ledger.close_incarnations(incarnations.clone()).await?;
        tracing::info!(node_id, ?incarnations, actor, ?freed, "a node was forgotten");
        Ok(v1::ForgetNodeResponse { freed: render_amounts(&freed) })
    }

    async fn render(&self, nodes: Vec<FleetNode>) -> Result<Vec<v1::Node>, Error> {
        let (state, now) = (self.state(), self.now());
        let head = state.revision();
        let lagging = nodes.iter().filter_map(|node| is_there(&state, node)).map(|status| status.applied_revision + 1);
        let lagging: BTreeSet<i64> = lagging.filter(|first| *first <= head).collect();
        let missed = match lagging.is_empty() {
            true => HashMap::new(),
            false => {
                let lagging: Vec<i64> = lagging.into_iter().collect();
                let times = self.ledger.reader().commit_times(&lagging).await;
                times.map_err(|error| error.to_domain())?
            }
        };
        let rendered = nodes.into_iter().map(|node| {
            let there = is_there(&state, &node);
            // A revision that the log has no more is older than any.
            let behind_since = there
                .filter(|status| status.applied_revision < head)
                .map(|status| missed.get(&(status.applied_revision + 1)).copied().unwrap_or(Timestamp::EPOCH));
            let node_state = match there {
                None => v1::NodeState::Gone,
                Some(status) if status.last_seen < ago(now, SILENT) => v1::NodeState::Silent,
                Some(_) if behind_since.is_some_and(|since| since < ago(now, BEHIND)) => v1::NodeState::Behind,
                Some(_) => v1::NodeState::Connected,
            };
            render_node(&state, &node, node_state, behind_since, now)
        });
        Ok(rendered.collect())
    }
}

fn render_node(
    state: &State,
    node: &FleetNode,
    node_state: v1::NodeState,
    behind_since: Option<Timestamp>,
    now: Timestamp,
) -> v1::Node {
    let FleetNode { incarnation, registration, status } = node;
    let is_closed = state.credit().node(*incarnation).is_some_and(|row| row.is_closed);
    let mut rendered = v1::Node {
        node_id: registration.node_id.clone(),
        incarnation: *incarnation,
        version: registration.version.clone(),
        // Written by this server, from a map of texts.
        metadata: serde_json::from_str(&registration.metadata).unwrap_or_default(),
        registered_at: Some(timestamp(registration.at)),
        credit_held: render_amounts(&held(state, *incarnation)),
        closed: is_closed,
        ..v1::Node::default()
    };
    rendered.set_state(node_state);
    if let Some(status) = status {
        rendered.version = status.version.to_string();
        rendered.features.clone_from(&status.features);
        rendered.kinds.clone_from(&status.kinds);
        rendered.replica = status.replica.to_string();
        rendered.connected_at = Some(timestamp(status.connected_at));
        rendered.last_seen = Some(timestamp(status.last_seen));
        rendered.applied_revision = status.applied_revision;
        rendered.revision_lag = (state.revision() - status.applied_revision).max(0);
        rendered.status = Some(v1::NodeStatus {
            outbox_batches: status.outbox_batches,
            outbox_age: status.outbox_age.map(render_duration),
            open_admissions: status.open_admissions,
            last_error: status.last_error.to_string(),
            credit_refused: status.credit_refused,
        });
    }
    rendered.lag = behind_since.map(|since| {
        let micros = now.as_micros().saturating_sub(since.as_micros()).max(0);
        render_duration(Duration::from_micros(micros.unsigned_abs()))
    });
    rendered
}
