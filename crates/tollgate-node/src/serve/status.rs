//! How a node stands, as a message.

use std::sync::Arc;

use std::time::Duration;
use tonic::{Request, Response, Status as Refused};

use crate::backlog::{Backlog, Counts, CreditStatus, Standing};
use crate::node::{Node, Status};
use crate::proto::node::v1;
use crate::proto::node::v1::node_status_service_server::NodeStatusService;

/// See the module.
#[derive(Clone)]
pub(super) struct StatusOf(pub(super) Arc<Node>);

impl StatusOf {
    pub(super) fn get(&self) -> v1::GetStatusResponse {
        let node = &*self.0;
        let admits = node.admits();
        let (state, since, why) = match node.status() {
            Status::Starting => (v1::NodeState::Starting, None, String::new()),
            Status::Ready { .. } => (v1::NodeState::Ready, None, String::new()),
            Status::Stale { since, why, .. } => (v1::NodeState::Stale, Some(since), why),
            Status::Rejected { since, why } => (v1::NodeState::Rejected, Some(since), why),
            Status::Stopped => (v1::NodeState::Stopped, None, String::new()),
        };
        let Backlog { in_flight, entries, oldest, incarnation, counts, credit } = node.backlog();
        let Counts { admitted, refused, settled, abandoned, expired, unpriced, uncovered, joined_dimensions } = counts;
        let reason = match &admits {
            Err(refused) if why.is_empty() => refused.clone(),
            Ok(()) | Err(_) => why,
        };
        v1::GetStatusResponse {
            state: state.into(),
            reason,
            stale_for: since.and_then(|since| duration(since.elapsed())),
            admits: admits.is_ok(),
            revision: node.copy().revision,
            node_id: node.node_id().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            incarnation: incarnation.unwrap_or_default(),
            in_flight: count(in_flight),
            unreported_entries: count(entries),
            requests: Some(v1::RequestCounts {
                admitted: count(admitted),
                refused: count(refused),
                settled: count(settled),
                abandoned: count(abandoned),
                expired: count(expired),
                unpriced: count(unpriced),
                uncovered: count(uncovered),
                joined_dimensions: count(joined_dimensions),
            }),
            credit: Some(credit_status(credit)),
            copy_age: node.copy_age().and_then(duration),
            outbox_age: oldest.and_then(duration),
            contact_age: node.contact_age().and_then(duration),
        }
    }
}

fn duration(time: Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}

fn credit_status(credit: CreditStatus) -> v1::CreditStatus {
    let CreditStatus { standing, session, nano_usd, tokens, requests, slots, waiting, counts } = credit;
    let (standing, reason) = match standing {
        Standing::Unknown => (v1::CreditStanding::Unknown, String::new()),
        Standing::Granted => (v1::CreditStanding::Granted, String::new()),
        Standing::Withheld(why) => (v1::CreditStanding::Withheld, why),
    };
    v1::CreditStatus {
        standing: standing.into(),
        reason,
        session: session.unwrap_or_default(),
        held_nano_usd: nano_usd,
        held_tokens: tokens,
        held_requests: requests,
        held_slots: slots,
        waiting: count(waiting),
        wants: count(counts.wants),
        recalls: count(counts.recalls),
        refused: count(counts.refused),
    }
}

fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl NodeStatusService for StatusOf {
    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Result<Response<v1::GetStatusResponse>, Refused> {
        Ok(Response::new(self.get()))
    }
}
