//! The node: a copy that follows a control plane, decisions from it, and admissions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::decision::Explanation;
use tollgate_core::domain::Timestamp;
use tollgate_core::reducer::{ConfigCopy, StateReader};

use crate::admission::{AdmissionId, Granted, RetargetError, SettleError, Settled, Target, Used, settle};
use crate::backlog::Backlog;
use crate::builder::Builder;
use crate::contact::Contact;
use crate::decide::{Estimate, Request};
use crate::engine::Engine;
use crate::events::{Events, Teller};
use crate::outbox::OutboxError;
use crate::refused::Refused;

/// How long what was used may take to be delivered when the node stops.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

/// How long the session may take to end when the node stops.
const LAST_SESSION: Duration = Duration::from_secs(2);

/// How the copy of a node stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// There is no copy yet.
    Starting,
    /// The copy follows the control plane.
    Ready {
        /// The store revision that the copy has reached.
        revision: i64,
    },
    /// The connection is lost, and is being taken up again; decisions go on from the copy.
    Stale {
        /// The store revision of the copy.
        revision: i64,
        /// Since when.
        since: Instant,
        /// Why.
        why: String,
    },
    /// The control plane refuses this node, or is newer than it; the node goes on trying, and decides from the copy.
    Rejected {
        /// Since when.
        since: Instant,
        /// Why.
        why: String,
    },
    /// The node was shut down.
    Stopped,
}

impl Status {
    /// Why a node is not to serve any more, if it has been without its control plane for so long.
    fn without_server(&self, max_staleness: Duration) -> Option<String> {
        let (since, why) = match self {
            Self::Stale { since, why, .. } | Self::Rejected { since, why } => (since, why),
            Self::Starting | Self::Ready { .. } | Self::Stopped => return None,
        };
        let elapsed = since.elapsed();
        (elapsed > max_staleness).then(|| {
            let (for_s, most) = (elapsed.as_secs(), max_staleness.as_secs());
            format!("this node has been without its control plane for {for_s} s, and may be for {most} s: {why}")
        })
    }

    /// Whether there is a copy that follows.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// A node. It follows until it is dropped or shut down.
pub struct Node {
    pub(crate) copy: StateReader<ConfigCopy>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) max_staleness: Option<Duration>,
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) stop: watch::Sender<()>,
    /// Asks the session to give all credit back and to end, and hears that it has.
    pub(crate) leave: watch::Sender<bool>,
    pub(crate) left: watch::Receiver<bool>,
    pub(crate) node_id: String,
    pub(crate) teller: Teller,
    pub(crate) contact: Arc<Contact>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Node {
    /// A node of the control plane at `address`, as `https://tollgate.example.com:50051`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder::new(address.into())
    }

    /// What becomes of a request now, and why. It waits for nothing and counts nothing.
    pub fn decide(&self, request: &Request<'_>) -> Explanation {
        self.decide_at(request, self.engine.now())
    }

    /// What becomes of a request at a time.
    pub fn decide_at(&self, request: &Request<'_>, at: Timestamp) -> Explanation {
        self.engine.decide(request, at)
    }

    /// What [`admit`](Self::admit) would say of a request now if the node has credit enough, and the estimate that it would hold.
    /// Nothing is held, and there is nothing to end.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn check(&self, request: &Request<'_>) -> Result<(Explanation, Estimate), Refused> {
        self.without_server()?;
        self.engine.check(request, self.engine.now())
    }

    /// Admits a request, or refuses it. What it is expected to use is held until it ends, or until the time of the admission is
    /// up. It waits for nothing but credit for hard limits that the node does not hold, and not for long
    /// ([`Builder::credit_wait`]).
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn admit(&self, request: &Request<'_>) -> Result<Granted, Refused> {
        self.without_server()?;
        self.engine.admit(request).await
    }

    /// Refuses if the node has been without its control plane for too long.
    fn without_server(&self) -> Result<(), Refused> {
        let why = self.max_staleness.and_then(|longest| self.status.borrow().without_server(longest));
        why.map_or(Ok(()), |why| Err(Refused::stale(why)))
    }

    /// Ends an admission with what it used. When this returns, that is on the disk, and will be counted once. Settled again, it
    /// answers as the first time. After its time was up, what is above the estimate is counted too.
    ///
    /// # Errors
    ///
    /// [`SettleError`].
    pub async fn settle(&self, id: AdmissionId, used: &Used) -> Result<Settled, SettleError> {
        settle(&self.engine, id, used).await
    }

    /// Gives an admission up: nothing is charged. Whether it was open.
    ///
    /// # Errors
    ///
    /// [`OutboxError`]: it stays, and is charged at its estimate when its time is up.
    pub fn abandon(&self, id: AdmissionId) -> Result<bool, OutboxError> {
        self.engine.abandon(id)
    }

    /// Moves an admission to another target, before the gateway tries that, and gives it its whole time again. Where it lacks
    /// credit there, it waits as [`admit`](Self::admit) does. Where it goes now, and the estimate that is held there.
    ///
    /// # Errors
    ///
    /// [`RetargetError`]: it stays what it was.
    pub async fn retarget(
        &self,
        id: AdmissionId,
        target: &Target<'_>,
    ) -> Result<(Explanation, Estimate), RetargetError> {
        self.engine.retarget(id, target).await
    }

    /// Gives an admission its whole time again. Whether it was open.
    pub fn touch(&self, id: AdmissionId) -> bool {
        self.engine.touch(id)
    }

    /// Whether requests are admitted at all; if not, why.
    ///
    /// # Errors
    ///
    /// The reason, for people: the node has been without its control plane for too long, or its outbox is full.
    pub fn admits(&self) -> Result<(), String> {
        self.without_server().map_err(|refused| refused.reason)?;
        self.engine.has_room().map_err(|full| full.to_string())
    }

    /// How long an admission may take until it is charged at its estimate.
    pub fn admission_ttl(&self) -> Duration {
        self.engine.admission_ttl()
    }

    /// The name of the node.
    pub fn node_id(&self) -> &str {
        &self.node_id
    }

    /// How usage is on its way to the control plane.
    pub fn backlog(&self) -> Backlog {
        self.engine.backlog()
    }

    /// The newest whole copy of the configuration.
    pub fn copy(&self) -> Arc<ConfigCopy> {
        self.copy.state()
    }

    /// The time since the control plane last confirmed the copy, a start in between or not; `None` while there is no copy.
    pub fn copy_age(&self) -> Option<Duration> {
        self.contact.confirmed_ago()
    }

    /// The time since the control plane last sent anything on the stream of the configuration; `None` if it sent nothing yet.
    pub fn contact_age(&self) -> Option<Duration> {
        self.contact.heard_ago()
    }

    /// How the copy stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Hears of each change of the status.
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// The present status, and from now on each change of it and of the copy.
    pub fn events(&self) -> Events {
        Events::new(self.status.clone(), self.teller.listen())
    }

    /// Delivers what was used, if that can be done within 5 seconds, gives all credit back, and stops. What is not delivered stays in the outbox, whose
    /// directory another node may have from then on; nothing is admitted or settled any more.
    pub async fn shutdown(&self) {
        let delivered = async {
            while self.engine.backlog().entries > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Whether it was delivered, the next start sees.
        let _ = tokio::time::timeout(LAST_DELIVERY, delivered).await;
        self.leave.send_replace(true);
        // Where it does not answer, the credit is outstanding until the next start.
        let _ = tokio::time::timeout(LAST_SESSION, self.left.clone().wait_for(|left| *left)).await;
        self.end().await;
    }

    /// Stops, and lets another node have the directory.
    pub(crate) async fn end(&self) {
        self.stop.send_replace(());
        // It ends by itself, and says so.
        let _ = self.status.clone().wait_for(|status| *status == Status::Stopped).await;
        self.engine.close();
    }
}
