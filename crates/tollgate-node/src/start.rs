//! The start of a node, and why it may not start.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::counters::ToldUsage;
use tollgate_core::proto::v1::WatchConfigRequest;
use tollgate_core::reducer::{ConfigCopy, Reducer};
use tollgate_core::wire::read_usage;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::builder::Builder;
use crate::contact::Contact;
use crate::deliver::Delivery;
use crate::engine::{Engine, Policy, places};
use crate::events::Teller;
use crate::follow::follow;
use crate::follower::Follower;
use crate::kept::{Keeper, Kept};
use crate::node::{Node, Status};
use crate::outbox::{DirectoryError, Outbox, OutboxError};
use crate::server::{Bearer, NoAccessToken, Servers, with_causes};
use crate::session::Session;

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

impl Builder {
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
        let contact = Arc::new(Contact::starting_with(kept_since));
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
            contact: Arc::clone(&contact),
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
        let status = seen.clone();
        let node = Node { copy, engine, max_staleness, status, stop, leave, left, node_id: named, teller, contact };
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
