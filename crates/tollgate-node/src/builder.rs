//! The start of a node: its settings, and why it may not start.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::counters::ToldUsage;
use tollgate_core::proto::v1::WatchConfigRequest;
use tollgate_core::reducer::{ConfigCopy, Reducer};
use tollgate_core::wire::read_usage;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::credit::Patience;
use crate::deliver::Delivery;
use crate::engine::{Engine, OnFull, OnOutage, Policy, places};
use crate::events::Teller;
use crate::follow::follow;
use crate::follower::Follower;
use crate::kept::{Keeper, Kept};
use crate::node::{Node, Status};
use crate::outbox::{DirectoryError, Outbox, OutboxError};
use crate::server::{Bearer, NoAccessToken, Servers, with_causes};
use crate::session::Session;

/// How long the first copy may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an admission may take.
const ADMISSION_TTL: Duration = Duration::from_secs(600);
/// The longest that it may be given.
const LONGEST_TTL: Duration = Duration::from_secs(86_400);
/// Bytes that the outbox may have.
const OUTBOX_MAX_BYTES: u64 = 1 << 30;
/// How long a request may wait for credit.
const CREDIT_WAIT: Patience = Patience { usual: Duration::from_millis(50), recall: Duration::from_millis(250) };
/// How often admissions are looked at whose time may be up, and credit that may be idle.
const EXPIRY: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The node's directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The outbox in it cannot be written.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The control plane refuses this node, or is newer than it: trying again does not help.
    #[error("{address} refuses this node: {why}")]
    Rejected {
        /// The control plane.
        address: String,
        /// What it says.
        why: String,
    },
    /// No whole copy came in time.
    #[error("no copy of the configuration of {address} came within {within:?}: {why}")]
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
    fallback_addresses: Vec<String>,
    access_token: Option<String>,
    node_id: String,
    tls: Option<ClientTlsConfig>,
    start_timeout: Duration,
    data_dir: Option<PathBuf>,
    admission_ttl: Duration,
    max_staleness: Option<Duration>,
    outbox_max_bytes: u64,
    on_full: OnFull,
    strict_prices: bool,
    credit_wait: Patience,
    on_outage: OnOutage,
}

impl fmt::Debug for Builder {
    /// Without the access token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, node_id, data_dir, .. } = self;
        let mut shown = f.debug_struct("Builder");
        shown.field("address", address).field("node_id", node_id).field("data_dir", data_dir);
        shown.finish_non_exhaustive()
    }
}

impl Builder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            fallback_addresses: Vec::new(),
            access_token: None,
            node_id: "tollgate-node".to_owned(),
            tls: None,
            start_timeout: START_TIMEOUT,
            data_dir: None,
            admission_ttl: ADMISSION_TTL,
            max_staleness: None,
            outbox_max_bytes: OUTBOX_MAX_BYTES,
            on_full: OnFull::default(),
            strict_prices: false,
            credit_wait: CREDIT_WAIT,
            on_outage: OnOutage::default(),
        }
    }

    /// Other servers of the same control plane, which are tried in their order when one fails. The default is none: a balancer in
    /// front of the servers serves as well.
    #[must_use]
    pub fn fallback_addresses(mut self, addresses: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.fallback_addresses = addresses.into_iter().map(Into::into).collect();
        self
    }

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

    /// Where the node keeps its copy of the configuration, and what was used until the control plane has counted it: a directory
    /// of its own, which is made if it is not there. Without one it keeps that in memory: it cannot start while the control
    /// plane is away, and loses what was used if the process ends before it is counted.
    #[must_use]
    pub fn data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self
    }

    /// How long an admission may take until it is charged at its estimate, unless it is
    /// [touched](crate::Granted::touch). The default is 10 minutes, and the most a day.
    #[must_use]
    pub const fn admission_ttl(mut self, admission_ttl: Duration) -> Self {
        self.admission_ttl = if admission_ttl.as_secs() > LONGEST_TTL.as_secs() { LONGEST_TTL } else { admission_ttl };
        self
    }

    /// From when on a node that has lost its control plane refuses requests. The default is never.
    #[must_use]
    pub const fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = Some(max_staleness);
        self
    }

    /// How many bytes the outbox may have, and what becomes of requests when it has them, or when its disk is full. The
    /// default is 1 GiB, and to refuse.
    #[must_use]
    pub const fn outbox_max_bytes(mut self, outbox_max_bytes: u64, on_full: OnFull) -> Self {
        self.outbox_max_bytes = outbox_max_bytes;
        self.on_full = on_full;
        self
    }

    /// Refuses requests for models whose price nobody knows. The default is to hold $0.01 or what the dearest request of the model
    /// cost, and to charge nothing unless the caller says a cost.
    #[must_use]
    pub const fn strict_prices(mut self, strict_prices: bool) -> Self {
        self.strict_prices = strict_prices;
        self
    }

    /// How long a request waits that needs credit which the node does not hold: for the control plane to answer, and where that asks other
    /// nodes to give credit back, for them. The default is 50 and 250 milliseconds.
    #[must_use]
    pub const fn credit_wait(mut self, usual: Duration, recall: Duration) -> Self {
        self.credit_wait = Patience { usual, recall };
        self
    }

    /// What becomes of requests that need credit which the node does not hold, while no server can be asked. The default is to
    /// refuse them.
    #[must_use]
    pub const fn on_outage(mut self, on_outage: OnOutage) -> Self {
        self.on_outage = on_outage;
        self
    }

    /// Connects, and waits until the copy is whole and it is known whether the control plane grants credit. If the control plane cannot be reached, or does not answer within
    /// [`start_timeout`](Self::start_timeout), the node starts with the copy in its directory, if there is one: its status is
    /// [`Status::Stale`] then, and it goes on trying.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(self) -> Result<Node, StartError> {
        let Self { address, access_token, node_id, tls, start_timeout, data_dir, admission_ttl, .. } = self;
        let bearer = Bearer::new(access_token.as_deref())?;
        let first = bearer.clone().on(channel(&address, tls.clone())?);
        let others =
            self.fallback_addresses.iter().map(|address| Ok(bearer.clone().on(channel(address, tls.clone())?)));
        let servers = Servers::new(first, others.collect::<Result<Vec<_>, StartError>>()?);
        let (status, mut seen) = watch::channel(Status::Starting);
        let (outbox, is_cut) = Outbox::open(data_dir.as_deref(), self.outbox_max_bytes)?;
        if is_cut {
            tracing::warn!("the last write to the outbox was cut: the machine or its disk failed");
        }
        let (reducer, kept) = data_dir.as_deref().and_then(begin).unzip();
        let mut reducer: Reducer<ConfigCopy> = reducer.unwrap_or_default();
        let copy = reducer.reader();
        let policy = Policy {
            admission_ttl,
            on_full: self.on_full,
            keeps_copy: data_dir.is_some(),
            strict_prices: self.strict_prices,
            credit_wait: self.credit_wait,
            on_outage: self.on_outage,
        };
        let engine = Engine::start(copy.clone(), outbox, is_cut, policy)?;
        let kept_since = kept.map(|Begun { usage, counted, since }| {
            engine.tell(usage, &counted);
            since
        });
        let delivery = Delivery { servers: servers.clone(), node_id: node_id.clone(), engine: Arc::clone(&engine) };
        let (leave, is_leaving) = watch::channel(false);
        let (has_left, left) = watch::channel(false);
        let session = Session {
            servers: servers.clone(),
            engine: Arc::clone(&engine),
            max_staleness: self.max_staleness,
            leave: is_leaving,
            left: has_left,
        };
        let mut registered = engine.incarnation();
        let (proved, to_keep) = watch::channel(None);
        let mut keeper = data_dir.map(|directory| Keeper::new(directory, Arc::clone(&engine), to_keep));
        let (unheard, teller) = (status.clone(), Teller::new());
        let mut follower = Follower {
            status,
            engine: Arc::clone(&engine),
            usage_begins: true,
            last: String::new(),
            servers: servers.count(),
            untried: servers.count() - 1,
            kept_since,
            proved,
            counted: Vec::new(),
            usage_version: 0,
            bookmarked: None,
            teller: teller.clone(),
        };
        let (stop, mut stopped) = watch::channel(());
        let expiring = Arc::clone(&engine);
        let named = node_id.clone();
        tokio::spawn(async move {
            let following = async {
                loop {
                    let request = WatchConfigRequest {
                        node_id: node_id.clone(),
                        include_usage: true,
                        incarnations: follower.engine.incarnations(),
                        ..WatchConfigRequest::default()
                    };
                    tokio::select! {
                        never = follow(&servers, &request, &mut reducer, &mut follower) => match never {},
                        // The stream begins again, and names the incarnation.
                        Ok(()) = registered.changed() => {}
                    }
                }
            };
            tokio::select! {
                () = following => {}
                never = delivery.run() => match never {},
                never = session.run() => match never {},
                () = expire(&expiring) => {}
                () = keep(keeper.as_mut()) => {}
                // The sender is gone, or says so.
                _ = stopped.changed() => {}
            }
            if let Some(keeper) = &mut keeper {
                keeper.write().await;
            }
            follower.status.send_replace(Status::Stopped);
        });
        let max_staleness = self.max_staleness;
        let node =
            Node { copy, engine, max_staleness, status: seen.clone(), stop, leave, left, node_id: named, teller };
        // What came before the time was over, if no copy did.
        let mut last = String::from("the control plane has not answered");
        let deadline = Instant::now() + start_timeout;
        let begun = tokio::time::timeout_at(deadline, async {
            loop {
                match &*seen.borrow_and_update() {
                    Status::Ready { .. } => break,
                    Status::Rejected { why, .. } => {
                        return Err(StartError::Rejected { address: address.clone(), why: why.clone() });
                    }
                    // The kept copy serves until the control plane is there again.
                    Status::Stale { .. } if kept_since.is_some() => return Ok(()),
                    Status::Stale { why, .. } => last.clone_from(why),
                    Status::Starting | Status::Stopped => {}
                }
                if seen.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
            // Where that takes too long, it is known later.
            let _ = tokio::time::timeout_at(deadline, node.engine.credit_is_settled()).await;
            Ok(())
        });
        let error = match begun.await {
            Ok(Ok(())) => return Ok(node),
            Ok(Err(error)) => error,
            Err(_) => match kept_since {
                Some(since) => {
                    unheard.send_if_modified(|status| {
                        let is_unheard = *status == Status::Starting;
                        if is_unheard {
                            *status = Status::Stale { revision: node.copy().revision, since, why: last };
                        }
                        is_unheard
                    });
                    return Ok(node);
                }
                None => StartError::TooLate { address, within: start_timeout, why: last },
            },
        };
        node.end().await;
        Err(error)
    }
}

/// The beginning of a node that has a copy on its disk.
struct Begun {
    usage: ToldUsage,
    counted: HashMap<i64, i64>,
    /// When it was proved last.
    since: Instant,
}

/// The copy in a directory, if there is one that serves.
fn begin(directory: &Path) -> Option<(Reducer<ConfigCopy>, Begun)> {
    let unusable = |why: &dyn std::error::Error| {
        let why = with_causes(why);
        tracing::warn!(%why, "the copy of the configuration on the disk cannot be used; the control plane must send one");
    };
    let (kept, proved) = Kept::read(directory).inspect_err(|error| unusable(error)).ok()??;
    let Kept { revision, resume_token, resources, usage, counted } = kept;
    let reducer = Reducer::of_resources(resources, revision, resume_token).inspect_err(|error| unusable(error)).ok()?;
    let mut told = ToldUsage::default();
    usage.iter().filter_map(read_usage).for_each(|(key, used)| told.put(key, used));
    let now = Instant::now();
    let since = now.checked_sub(proved.elapsed().unwrap_or_default()).unwrap_or(now);
    Some((reducer, Begun { usage: told, counted: places(&counted), since }))
}

/// Keeps the copy on the disk, for ever.
async fn keep(keeper: Option<&mut Keeper>) {
    if let Some(keeper) = keeper {
        keeper.run().await;
    }
    std::future::pending().await
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

/// Looks for admissions whose time is up and for credit that is idle, for ever.
async fn expire(engine: &Engine) {
    let mut tick = tokio::time::interval(EXPIRY);
    loop {
        tick.tick().await;
        engine.expire();
        engine.tidy_credit();
    }
}
