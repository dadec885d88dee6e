//! The node: a copy that follows a control plane, and decisions from it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_core::counters::ToldUsage;
use tollgate_core::decision::Explanation;
use tollgate_core::domain::{AnyResource, Timestamp};
use tollgate_core::proto::v1::WatchConfigRequest;
use tollgate_core::reducer::{ConfigCopy, Progress, Reducer, StateReader};
use tollgate_core::wire::read_usage;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::decide::{Request, decide};
use crate::follow::{Lost, Sink, follow};
use crate::server::{Bearer, NoAccessToken, with_causes};

/// How long the first copy may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

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
        /// Why.
        why: String,
    },
    /// The node was shut down.
    Stopped,
}

impl Status {
    /// Whether there is a copy that follows.
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready { .. })
    }
}

/// Why a node did not start.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StartError {
    /// The address is no URL of a server.
    #[error("{address:?} is no address of a control plane ({why}); write http://127.0.0.1:50051 or https://…")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The access token has characters that no access token has.
    #[error(transparent)]
    AccessToken(#[from] NoAccessToken),
    /// The control plane refuses this node, or is newer than it: trying again does not help.
    #[error("{address} refuses this node: {why}")]
    Rejected {
        /// The control plane.
        address: String,
        /// What it says.
        why: String,
    },
    /// No whole copy came in time.
    #[error("no copy of the configuration of {address} came within {} s: {why}", .within.as_secs())]
    TooLate {
        /// The control plane.
        address: String,
        /// How long it was waited for.
        within: Duration,
        /// What happened last.
        why: String,
    },
}

/// What a node is started with.
#[derive(Clone)]
pub struct Builder {
    address: String,
    access_token: Option<String>,
    node_id: String,
    tls: Option<ClientTlsConfig>,
    start_timeout: Duration,
}

impl fmt::Debug for Builder {
    /// Without the access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, access_token: _, node_id, tls: _, start_timeout } = self;
        let mut shown = f.debug_struct("Builder");
        shown.field("address", address).field("node_id", node_id).field("start_timeout", start_timeout);
        shown.finish_non_exhaustive()
    }
}

impl Builder {
    /// Shows this access token, of the role NODE. The default is to show none.
    #[must_use]
    pub fn access_token(mut self, access_token: impl Into<String>) -> Self {
        self.access_token = Some(access_token.into());
        self
    }

    /// How the node names itself to the control plane. The default is `tollgate-node`.
    #[must_use]
    pub fn node_id(mut self, node_id: impl Into<String>) -> Self {
        self.node_id = node_id.into();
        self
    }

    /// How `https://` is spoken. The default trusts the certificate authorities of the system.
    #[must_use]
    pub fn tls(mut self, tls: ClientTlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long the first copy may take. The default is 10 seconds.
    #[must_use]
    pub const fn start_timeout(mut self, start_timeout: Duration) -> Self {
        self.start_timeout = start_timeout;
        self
    }

    /// Connects, and waits until the copy is whole.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(self) -> Result<Node, StartError> {
        let Self { address, access_token, node_id, tls, start_timeout } = self;
        let server = Bearer::new(access_token.as_deref())?.on(channel(&address, tls)?);
        let request = WatchConfigRequest { node_id, include_usage: true, ..WatchConfigRequest::default() };
        let mut reducer = Reducer::<ConfigCopy>::default();
        let (status, mut seen) = watch::channel(Status::Starting);
        let used = Arc::new(ArcSwap::from_pointee(ToldUsage::default()));
        let copy = reducer.reader();
        let mut follower = Follower { status, used: Arc::clone(&used), usage_begins: true, last: String::new() };
        let (stop, mut stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            tokio::select! {
                never = follow(&server, &request, &mut reducer, &mut follower) => match never {},
                // The sender is gone, or says so.
                _ = stopped.changed() => drop(follower.status.send_replace(Status::Stopped)),
            }
        });
        let node = Node { copy, used, status: seen.clone(), stop, task };
        // What came before the time was over, if no copy did.
        let mut last = String::from("the control plane has not answered");
        let begun = tokio::time::timeout(start_timeout, async {
            loop {
                match &*seen.borrow_and_update() {
                    Status::Ready { .. } => return Ok(()),
                    Status::Rejected { why } => {
                        return Err(StartError::Rejected { address: address.clone(), why: why.clone() });
                    }
                    Status::Stale { why, .. } => last.clone_from(why),
                    Status::Starting | Status::Stopped => {}
                }
                if seen.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        match begun.await {
            Ok(Ok(())) => Ok(node),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::TooLate { address, within: start_timeout, why: last }),
        }
    }
}

fn channel(address: &str, tls: Option<ClientTlsConfig>) -> Result<Channel, StartError> {
    let wrong = |why: String| StartError::Address { address: address.to_owned(), why };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|error| wrong(with_causes(&error)))?;
    let endpoint = match endpoint.uri().scheme_str() {
        Some("http") if tls.is_none() => endpoint,
        Some("http") => return Err(wrong("it is not encrypted, and TLS is set up".to_owned())),
        Some("https") => {
            let tls = tls.unwrap_or_else(|| ClientTlsConfig::new().with_native_roots());
            endpoint.tls_config(tls).map_err(|error| wrong(with_causes(&error)))?
        }
        _ => return Err(wrong("it begins with neither http:// nor https://".to_owned())),
    };
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT);
    Ok(endpoint.http2_keep_alive_interval(KEEP_ALIVE_INTERVAL).keep_alive_timeout(KEEP_ALIVE_TIMEOUT).connect_lazy())
}

/// A node. It follows until it is dropped or shut down.
pub struct Node {
    copy: StateReader<ConfigCopy>,
    used: Arc<ArcSwap<ToldUsage>>,
    status: watch::Receiver<Status>,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("status", &*self.status.borrow()).finish_non_exhaustive()
    }
}

impl Node {
    /// A node of the control plane at `address`, as `https://tollgate.example.com:50051`.
    pub fn builder(address: impl Into<String>) -> Builder {
        Builder {
            address: address.into(),
            access_token: None,
            node_id: "tollgate-node".to_owned(),
            tls: None,
            start_timeout: START_TIMEOUT,
        }
    }

    /// What becomes of a request now, and why. It waits for nothing and counts nothing.
    pub fn decide(&self, request: &Request<'_>) -> Explanation {
        self.decide_at(request, Timestamp::now())
    }

    /// What becomes of a request at a time.
    pub fn decide_at(&self, request: &Request<'_>, at: Timestamp) -> Explanation {
        decide(&self.copy.state().config, &self.used.load(), request, at)
    }

    /// The newest whole copy of the configuration.
    pub fn copy(&self) -> Arc<ConfigCopy> {
        self.copy.state()
    }

    /// How the copy stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Hears of each change of the status.
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Stops following.
    pub async fn shutdown(self) {
        let Self { stop, task, .. } = self;
        drop(stop);
        // It ends by itself, and does not panic.
        let _ = task.await;
    }
}

/// Keeps what the node knows beside its copy.
struct Follower {
    status: watch::Sender<Status>,
    used: Arc<ArcSwap<ToldUsage>>,
    /// Whether the first update of usage of this stream is still to come: what it does not name is zero.
    usage_begins: bool,
    last: String,
}

impl Sink<ConfigCopy> for Follower {
    type End = std::convert::Infallible;

    fn progress(&mut self, progress: &Progress<AnyResource>, reducer: &Reducer<ConfigCopy>) -> ControlFlow<Self::End> {
        match progress {
            Progress::Begun { .. } => self.usage_begins = true,
            Progress::Used { limits: changed, .. } => {
                let anew = std::mem::take(&mut self.usage_begins);
                let mut used = if anew { ToldUsage::default() } else { ToldUsage::clone(&self.used.load()) };
                let told: &mut dyn Iterator<Item = _> =
                    if anew { &mut reducer.usage().values() } else { &mut changed.iter() };
                told.filter_map(read_usage).for_each(|(key, count)| used.put(key, count));
                self.used.store(Arc::new(used));
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
            *status = match (lost.for_good, &*status) {
                (true, _) => Status::Rejected { why },
                (false, Status::Stale { since, .. }) => Status::Stale { revision, since: *since, why },
                (false, _) => Status::Stale { revision, since: Instant::now(), why },
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
