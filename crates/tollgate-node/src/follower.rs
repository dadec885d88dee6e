//! The node's part in following: it hands what comes to the engine, and keeps the status.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::counters::ToldUsage;
use tollgate_core::domain::AnyResource;
use tollgate_core::reducer::{ConfigCopy, Progress, Reducer};
use tollgate_core::wire::read_usage;

use crate::engine::Engine;
use crate::follow::{Lost, Sink};
use crate::node::Status;

/// Keeps what the node knows beside its copy.
pub(crate) struct Follower {
    pub(crate) status: watch::Sender<Status>,
    pub(crate) engine: Arc<Engine>,
    /// Whether the first update of usage of this stream is still to come: what it does not name is zero.
    pub(crate) usage_begins: bool,
    pub(crate) last: String,
}

impl Sink<ConfigCopy> for Follower {
    type End = std::convert::Infallible;

    fn progress(&mut self, progress: &Progress<AnyResource>, reducer: &Reducer<ConfigCopy>) -> ControlFlow<Self::End> {
        match progress {
            Progress::Begun { .. } => self.usage_begins = true,
            Progress::Used { limits: changed, counted } => {
                let anew = std::mem::take(&mut self.usage_begins);
                let mut used = if anew { ToldUsage::default() } else { self.engine.told() };
                let told: &mut dyn Iterator<Item = _> =
                    if anew { &mut reducer.usage().values() } else { &mut changed.iter() };
                told.filter_map(read_usage).for_each(|(key, count)| used.put(key, count));
                let counted: HashMap<i64, i64> = counted.iter().map(|it| (it.incarnation, it.sequence)).collect();
                self.engine.tell(used, &counted);
                // Usage comes once the configuration is there: now the node knows all.
                self.ready(reducer);
            }
            Progress::Applied(_) | Progress::Bookmarked { .. } if !self.usage_begins => self.ready(reducer),
            Progress::Pending
            | Progress::Staged(_)
            | Progress::Applied(_)
            | Progress::Bookmarked { .. }
            | Progress::GoAway { .. } => {}
        }
        ControlFlow::Continue(())
    }

    fn lost(&mut self, lost: &Lost, pause: Duration, reducer: &Reducer<ConfigCopy>) -> ControlFlow<Self::End> {
        let why = lost.why.clone();
        // Once for each reason, and not for each attempt.
        if why != self.last {
            tracing::warn!(%why, pause_ms = pause.as_millis(), "the control plane is lost; connecting again");
            self.last.clone_from(&why);
        }
        let revision = reducer.state().revision;
        self.status.send_modify(|status| {
            let since = match &*status {
                Status::Stale { since, .. } | Status::Rejected { since, .. } => *since,
                Status::Starting | Status::Ready { .. } | Status::Stopped => Instant::now(),
            };
            *status = match lost.for_good {
                true => Status::Rejected { since, why },
                false => Status::Stale { revision, since, why },
            };
        });
        ControlFlow::Continue(())
    }
}

impl Follower {
    fn ready(&mut self, reducer: &Reducer<ConfigCopy>) {
        let revision = reducer.state().revision;
        self.last.clear();
        self.status.send_if_modified(|status| {
            let ready = Status::Ready { revision };
            let changed = *status != ready;
            *status = ready;
            changed
        });
    }
}
