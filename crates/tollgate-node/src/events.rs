//! News of a node, for those who cache decisions or keep a log.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tollgate_core::domain::AnyResource;
use tollgate_core::reducer::ResourceChange;

use crate::node::Status;

/// Changes that wait for a listener; of one that is slower the oldest are dropped.
const WAITING: usize = 1_024;

/// Something that happened to a node.
#[derive(Clone, PartialEq, Debug)]
pub enum NodeEvent {
    /// The status is another.
    Status(Status),
    /// The copy moved on to this store revision, and these resources changed. [`Node::copy`](crate::Node::copy) has them already.
    Changed {
        /// The store revision.
        revision: i64,
        /// The resources, before and after.
        changes: Arc<[ResourceChange<AnyResource>]>,
    },
    /// The copy may have changed in any way: it was replaced whole, or this listener was too slow and missed changes. Read
    /// [`Node::copy`](crate::Node::copy).
    Replaced,
}

/// The events of a node: its present status, and what happens from then on.
pub struct Events {
    statuses: watch::Receiver<Status>,
    changes: broadcast::Receiver<NodeEvent>,
    /// The status that was told last.
    told: Option<Status>,
}

impl Events {
    pub(crate) fn new(mut statuses: watch::Receiver<Status>, changes: broadcast::Receiver<NodeEvent>) -> Self {
        statuses.mark_changed();
        Self { statuses, changes, told: None }
    }

    /// The next event; `None` once the node has stopped. A call that is dropped while it waits loses nothing.
    pub async fn next(&mut self) -> Option<NodeEvent> {
        while self.told != Some(Status::Stopped) {
            let Self { statuses, changes, told } = self;
            let heard = tokio::select! {
                biased;
                changed = statuses.changed() => changed,
                change = changes.recv() => match change {
                    Ok(change) => return Some(change),
                    Err(RecvError::Lagged(_)) => return Some(NodeEvent::Replaced),
                    Err(RecvError::Closed) => statuses.changed().await,
                },
            };
            heard.ok()?;
            let status = statuses.borrow_and_update().clone();
            // Each change of the copy is told by itself.
            let is_same = told.as_ref().is_some_and(|told| told.is_ready() && status.is_ready());
            *told = Some(status.clone());
            if !is_same {
                return Some(NodeEvent::Status(status));
            }
        }
        None
    }
}

/// Tells the changes of a copy.
#[derive(Clone)]
pub(crate) struct Teller(broadcast::Sender<NodeEvent>);

impl Teller {
    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(WAITING))
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<NodeEvent> {
        self.0.subscribe()
    }

    /// Tells of changes, if anybody listens.
    pub(crate) fn changed(&self, revision: i64, changes: &[ResourceChange<AnyResource>]) {
        if self.0.receiver_count() > 0 && !changes.is_empty() {
            // The last listener may go meanwhile.
            let _ = self.0.send(NodeEvent::Changed { revision, changes: changes.into() });
        }
    }

    /// Tells that the copy is another.
    pub(crate) fn replaced(&self) {
        // Perhaps nobody listens.
        let _ = self.0.send(NodeEvent::Replaced);
    }
}
