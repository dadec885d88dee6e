//! `--wait`: until the nodes decide with a change.

use std::time::{Duration, Instant};

use clap::Args;

use super::Failure;
use super::remote::refused;
use super::target::Server;
use crate::proto::v1;
use crate::proto::v1::config_service_client::ConfigServiceClient;

/// The longest that one call waits.
const STEP: Duration = Duration::from_secs(5);

/// How many nodes that are late are named.
const NAMED: usize = 10;

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct WaitArgs {
    /// Wait until all nodes decide with the change, and fail if they do not within this time [default without a value: 30s]
    #[arg(long, env = "TOLLGATE_WAIT", value_name = "DURATION", num_args = 0..=1, require_equals = true,
          default_missing_value = "30s", value_parser = humantime::parse_duration)]
    wait: Option<Duration>,
}

impl WaitArgs {
    /// Waits for a revision, if this was asked for.
    ///
    /// # Errors
    ///
    /// Some nodes do not have it in time; or the server cannot be asked.
    pub(super) async fn wait(self, server: &Server, revision: i64) -> Result<(), Failure> {
        let Some(patience) = self.wait.filter(|_| revision > 0) else { return Ok(()) };
        let started = Instant::now();
        let mut client = ConfigServiceClient::new(server.clone());
        loop {
            let left = patience.saturating_sub(started.elapsed());
            let timeout = prost_types::Duration::try_from(left.min(STEP)).ok();
            let request = v1::WaitForRevisionRequest { revision, timeout, node_ids: Vec::new() };
            let answer = client.wait_for_revision(request).await.map_err(|status| refused(&status))?.into_inner();
            let v1::WaitForRevisionResponse { reached, node_count: know, lagging_nodes } = answer;
            if reached {
                let took = started.elapsed().as_millis();
                match know {
                    0 => eprintln!("tollgate: no node is there to wait for"),
                    know => eprintln!("tollgate: {know} of {know} nodes know revision {revision} ({took} ms)"),
                }
                return Ok(());
            }
            if left <= STEP {
                let count = lagging_nodes.len();
                let late: Vec<_> = lagging_nodes.iter().take(NAMED).map(late).collect();
                let others = count.saturating_sub(NAMED);
                let more = if others > 0 { format!("; and {others} more") } else { String::new() };
                let all = usize::try_from(know).unwrap_or_default() + count;
                let text = format!(
                    "{count} of {all} nodes do not know revision {revision}, which is made: {}{more}",
                    late.join("; ")
                );
                return Err(Failure::Failed(text.into()));
            }
        }
    }
}

/// Where a node is, since when it is silent, and until when it may go on so.
fn late(node: &v1::LaggingNode) -> String {
    let v1::LaggingNode { node_id, applied_revision, last_seen, cannot_admit_after, .. } = node;
    let Some(seen) = last_seen else { return format!("{node_id} is not connected") };
    let until = match cannot_admit_after {
        Some(ends) => format!("may admit with its copy until {ends}"),
        None => "may admit with its copy for ever, since it has no max-staleness".to_owned(),
    };
    format!("{node_id} is at {applied_revision}, was heard last at {seen}, and {until}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_late_is_told_of_with_its_times() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let node = v1::LaggingNode {
            node_id: "edge".to_owned(),
            incarnation: 3,
            applied_revision: 7,
            last_seen: at(1_800_000_000),
            cannot_admit_after: at(1_800_000_060),
        };
        let told = "edge is at 7, was heard last at 2027-01-15T08:00:00Z, and may admit with its copy until 2027-01-15T08:01:00Z";
        assert_eq!(late(&node), told);
        let unbounded = v1::LaggingNode { cannot_admit_after: None, ..node.clone() };
        assert!(late(&unbounded).ends_with("for ever, since it has no max-staleness"), "{}", late(&unbounded));
        assert_eq!(late(&v1::LaggingNode { last_seen: None, ..node }), "edge is not connected");
    }
}
