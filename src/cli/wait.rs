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
                let late =
                    lagging_nodes.iter().take(10).map(|node| format!("{} at {}", node.node_id, node.applied_revision));
                let (late, count) = (late.collect::<Vec<_>>().join(", "), lagging_nodes.len());
                let all = usize::try_from(know).unwrap_or_default() + count;
                let text = format!("{count} of {all} nodes do not know revision {revision}, which is made: {late}");
                return Err(Failure::Failed(text.into()));
            }
        }
    }
}
