//! The node's part in following: it hands what comes to the engine, and keeps the status.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::counters::ToldUsage;
use tollgate_core::domain::AnyResource;
use tollgate_core::proto::v1::{CountedBatches, WatchConfigResponse};
use tollgate_core::reducer::{ConfigCopy, Progress, Reducer};
use tollgate_core::wire::read_usage;

use crate::contact::Contact;
use crate::engine::{Engine, places};
use crate::events::Teller;
use crate::follow::{Lost, Sink};
use crate::kept::Proved;
use crate::node::Status;

/// Keeps what the node knows beside its copy.
pub(crate) struct Follower {
    pub(crate) status: watch::Sender<Status>,
    pub(crate) engine: Arc<Engine>,
    /// Whether the first update of usage of this stream is still to come: what it does not name is zero.
    pub(crate) usage_begins: bool,
    pub(crate) last: String,
    /// How many servers the control plane has.
    pub(crate) servers: usize,
    /// Servers that are still to be tried before the first of them counts as lost.
    pub(crate) untried: usize,
    /// When the copy that the node started with was proved.
    pub(crate) kept_since: Option<Instant>,
    /// The copy that is to be on the disk, if the node has a directory.
    pub(crate) proved: watch::Sender<Option<Proved>>,
    pub(crate) counted: Vec<CountedBatches>,
    /// How often what is told of usage has changed.
    pub(crate) usage_version: u64,
    /// The revision of the last bookmark.
    pub(crate) bookmarked: Option<i64>,
    pub(crate) teller: Teller,
    pub(crate) contact: Arc<Contact>,
}

impl Sink<ConfigCopy> for Follower {
    type End = std::convert::Infallible;

    fn message(&mut self, message: &WatchConfigResponse) -> ControlFlow<Self::End> {
        self.contact.heard();
        if let Some(event) = &message.event {
            self.engine.clock().hear(event);
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, progress: &Progress<AnyResource>, reducer: &Reducer<ConfigCopy>) -> ControlFlow<Self::End> {
        match progress {
            Progress::Applied(changes) => {
                self.engine.applied_revision(reducer.state().revision, Some(changes));
                self.teller.changed(reducer.state().revision, changes);
            }
            Progress::Bookmarked { dropped: Some(_), .. } => {
                self.engine.applied_revision(reducer.state().revision, None);
                self.teller.replaced();
            }
            Progress::Bookmarked { .. } => self.engine.applied_revision(reducer.state().revision, Some(&[])),
            _ => {}
        }
        match progress {
            Progress::Begun { .. } => self.usage_begins = true,
            Progress::Used { limits: changed, counted } => {
                let anew = std::mem::take(&mut self.usage_begins);
                let mut used = if anew { ToldUsage::default() } else { self.engine.told() };
                let told: &mut dyn Iterator<Item = _> =
                    if anew { &mut reducer.usage().values() } else { &mut changed.iter() };
                told.filter_map(read_usage).for_each(|(key, count)| used.put(key, count));
                self.engine.tell(used, &places(counted));
                if anew || !changed.is_empty() || self.counted != *counted {
                    self.counted.clone_from(counted);
                    self.usage_version += 1;
                }
                // Usage comes once the configuration is there: now the node knows all.
                self.ready(reducer);
                if anew {
                    // Later usage waits for the next bookmark: it changes much more often.
                    self.prove(reducer);
                }
            }
            Progress::Applied(_) if !self.usage_begins => self.ready(reducer),
            Progress::Bookmarked { revision, .. } => {
                self.bookmarked = Some(*revision);
                if !self.usage_begins {
                    self.ready(reducer);
                    self.prove(reducer);
                }
            }
            Progress::Pending | Progress::Staged(_) | Progress::Applied(_) | Progress::GoAway { .. } => {}
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
        if let Some(fewer) = self.untried.checked_sub(1) {
            self.untried = fewer;
            return ControlFlow::Continue(());
        }
        let revision = reducer.state().revision;
        self.status.send_modify(|status| {
            let since = match &*status {
                Status::Stale { since, .. } | Status::Rejected { since, .. } => *since,
                Status::Starting => self.kept_since.unwrap_or_else(Instant::now),
                Status::Ready { .. } | Status::Stopped => Instant::now(),
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
    /// Has the copy kept with its resume token and what limits have used, if they fit each other: the copy may be ahead of the
    /// token.
    fn prove(&mut self, reducer: &Reducer<ConfigCopy>) {
        let is_proved = self.bookmarked == Some(reducer.state().revision);
        if is_proved && self.proved.receiver_count() > 0 {
            let (usage, counted) = (reducer.usage().values().cloned().collect(), self.counted.clone());
            let resume_token = reducer.resume_token().to_owned();
            let usage_version = self.usage_version;
            let copy = reducer.state();
            let at = SystemTime::now();
            self.proved.send_replace(Some(Proved { copy, resume_token, usage, counted, usage_version, at }));
        }
    }

    fn ready(&mut self, reducer: &Reducer<ConfigCopy>) {
        self.untried = self.servers - 1;
        self.contact.confirmed();
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
