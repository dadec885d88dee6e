//! Where streams begin: the limit on them, the check of their tokens, and the frames that they share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::currency::Currency;
use super::encode::LARGE;
use super::open::OpenStreams;
use super::stream::{Ends, Source, Start, WatchStream};
use super::token::Token;
use super::usage::{Feed, Now};
use super::{Filter, Frame, KindSet};
use crate::domain::{Error, Path, Violations};
use crate::proto::v1::WatchReason;
use crate::seeded::{self, Bug};
use crate::settings::WatchSettings;
use crate::state::{State, UsageMoves};

/// How long a replica may take to reach the revision that a client asks for.
const REACH: Duration = Duration::from_secs(5);
/// How long a stream of a node waits for what other replicas counted.
const REACH_USAGE: Duration = Duration::from_secs(1);
/// Batches that are kept for streams at the same cursor.
const KEPT_BATCHES: usize = 64;

/// Begins streams. Cloning is cheap.
#[derive(Clone)]
pub struct Watch {
    pub(super) states: watch::Receiver<Arc<State>>,
    shared: Arc<Shared>,
    /// The same without hashes. Nodes do not wait while it is made.
    shared_without_hashes: Arc<Shared>,
    places: Arc<Semaphore>,
    heartbeat: Duration,
    drain: CancellationToken,
    usage: Feed,
    pub(super) open: OpenStreams,
    catch_up: CatchUp,
    currency: Currency,
    now: Now,
}

/// Brings the states to where the database stands, or fails if that cannot be told.
pub type CatchUp = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// How it names itself, or empty.
    pub node_id: String,
    /// The kinds it wants, and whether it may have hashes.
    pub filter: Filter,
    /// Its token, or empty.
    pub resume_token: String,
    /// The stream must start at this revision or later: with a token, the highest that the client shows.
    pub min_revision: i64,
    /// Whether it wants usage of limits too.
    pub include_usage: bool,
    /// The incarnations whose batches it wants to be told of, with usage.
    pub incarnations: Vec<i64>,
}

impl Watch {
    /// When streams are to end, because the server does.
    pub fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        self.drain.clone().cancelled_owned()
    }

    /// Streams of `states`, which `catch_up` brings to where the database stands, and of the usage that is noted in `moves` and
    /// counted by the time that `now` tells; they end with a GoAway when `drain` is cancelled, and when the replica is not
    /// current any more. [`Self::run`] is to be run beside it.
    pub fn new(
        states: watch::Receiver<Arc<State>>,
        moves: watch::Sender<UsageMoves>,
        now: Now,
        catch_up: CatchUp,
        currency: Currency,
        settings: WatchSettings,
        drain: CancellationToken,
    ) -> Self {
        let WatchSettings { max_streams, heartbeat_interval } = settings;
        Self {
            usage: Feed::new(states.clone(), moves, Arc::clone(&now)),
            now,
            states,
            shared: Arc::default(),
            shared_without_hashes: Arc::default(),
            places: Arc::new(Semaphore::new(max_streams.min(Semaphore::MAX_PERMITS))),
            heartbeat: heartbeat_interval,
            drain,
            open: OpenStreams::default(),
            catch_up,
            currency,
        }
    }

    /// Follows usage for all streams, until the server stops.
    pub fn run(&self) -> impl Future<Output = ()> + Send + use<> {
        self.usage.clone().run(self.drain.clone())
    }

    /// Begins a stream, which ends with a GoAway when `lapse` is cancelled: then its caller has lost its rights.
    ///
    /// # Errors
    /// `Invalid` for a malformed token; `Overloaded` if there are too many streams; `Unavailable` if `min_revision` is
    /// not reached in 5 seconds, or the database cannot tell whether it ever was, or on shutdown.
    pub async fn begin(&self, subscription: Subscription, lapse: CancellationToken) -> Result<WatchStream, Error> {
        let Subscription { node_id, filter, resume_token, min_revision, include_usage, incarnations } = subscription;
        let token = if resume_token.is_empty() {
            None
        } else {
            let Some(token) = Token::decode(&resume_token) else {
                let mut violations = Violations::new();
                let text = "is no token of this service, or was cut or changed on its way; send what a bookmark gave you, \
                            or nothing for a snapshot";
                violations.add(Path::root("resume_token"), text);
                return Err(Error::Invalid(violations));
            };
            Some(token)
        };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded {
            what: "too many watch streams are open (--max-streams)".to_owned(),
            retry_after: Duration::from_secs(5),
        })?;
        if include_usage && !incarnations.is_empty() {
            // Another replica may have counted batches of this node, which does not add them any more. While the database is away
            // nobody counts.
            let _ = tokio::time::timeout(REACH_USAGE, (self.catch_up)()).await;
        }
        // Before the state is looked at: a stream that begins with one that is out of date ends at once.
        let lost = self.currency.lost();
        let (state, start) = self.start(token.as_ref(), filter, min_revision).await?;
        let shared = if filter.hashes { &self.shared } else { &self.shared_without_hashes };
        Ok(WatchStream::new(
            (&state, start),
            Source {
                states: self.states.clone(),
                shared: Arc::clone(shared),
                currency: self.currency.clone(),
                now: Arc::clone(&self.now),
            },
            filter,
            self.heartbeat,
            // Of its own: what all streams look at each time would go from one core to the other each time.
            Ends { drain: self.drain.child_token(), lapse: lapse.child_token(), lost },
            (place, self.open.enter(&node_id)),
        )
        .with_usage(include_usage.then(|| self.usage.follow(incarnations))))
    }

    /// Where a stream starts, and the state by which that was decided.
    async fn start(
        &self,
        token: Option<&Token>,
        filter: Filter,
        min_revision: i64,
    ) -> Result<(Arc<State>, Start), Error> {
        let Some(token) = token else {
            self.reach(min_revision).await?;
            return Ok((self.latest(), Start::Snapshot(WatchReason::First)));
        };
        let min_revision = if seeded::is(Bug::BeginBehind) { 0 } else { min_revision };
        let state = self.latest();
        let start = begin_at(&state, token, filter, min_revision);
        if !matches!(start, Start::Snapshot(WatchReason::Diverged | WatchReason::StoreChanged)) {
            return Ok((state, start));
        }
        // Perhaps another replica wrote what the client has and this one has not read it yet: only the database can tell.
        match tokio::time::timeout(REACH, (self.catch_up)()).await {
            Ok(caught_up) => caught_up?,
            Err(_) => return Err(self.late("what the client has")),
        }
        let state = self.latest();
        let start = begin_at(&state, token, filter, min_revision);
        Ok((state, start))
    }

    fn latest(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    async fn reach(&self, revision: i64) -> Result<(), Error> {
        let mut states = self.states.clone();
        let reached = async {
            if self.states.borrow().revision() < revision {
                // Should that fail, it may still be reached by itself.
                let _ = (self.catch_up)().await;
            }
            states.wait_for(|state| state.revision() >= revision).await.map(drop)
        };
        let reached = tokio::select! {
            reached = tokio::time::timeout(REACH, reached) => matches!(reached, Ok(Ok(()))),
            () = self.drain.cancelled() => false,
        };
        if reached {
            return Ok(());
        }
        Err(self.late(&format!("min_revision {revision}")))
    }

    fn late(&self, what: &str) -> Error {
        let at = self.states.borrow().revision();
        Error::Unavailable {
            what: format!("this replica is at revision {at} and did not reach {what}"),
            retry_after: Duration::from_secs(1),
        }
    }
}

/// How a stream with this token starts, if memory has all that the database has. Whoever has a token has seen what it asks
/// for: a `min_revision` that was never reached is of a history that is lost, and waiting for it would shut the client out.
fn begin_at(state: &State, token: &Token, filter: Filter, min_revision: i64) -> Start {
    let head = state.head();
    if !token.is_of(head) {
        return Start::Snapshot(WatchReason::StoreChanged);
    }
    if head.revision < min_revision {
        return Start::Snapshot(WatchReason::Diverged);
    }
    if token.filter != filter {
        return Start::Snapshot(WatchReason::FilterChanged);
    }
    if token.revision < head.compacted_revision {
        return Start::Snapshot(WatchReason::Compacted);
    }
    if state.chain_prefix(token.revision) != Some(token.chain) {
        return Start::Snapshot(WatchReason::Diverged);
    }
    Start::Resumed(token.revision)
}

/// Encoded batches that several streams want, all with hashes or all without: the first stream to need one makes it.
#[derive(Default)]
pub(super) struct Shared {
    batches: Mutex<VecDeque<SharedBatch>>,
}

struct SharedBatch {
    from: i64,
    to: i64,
    /// The start of the chain at `to`: after a restore, the same revisions are others.
    chain: u64,
    kinds: KindSet,
    frames: Arc<[Frame]>,
}

impl Shared {
    /// The frames of a batch, as they are kept or as `make` makes them.
    ///
    /// # Errors
    /// What `make` makes instead if every stream is to make frames of its own.
    pub(super) fn frames<Apart>(
        &self,
        from: i64,
        (to, chain): (i64, u64),
        kinds: KindSet,
        make: impl FnOnce() -> Result<Vec<Frame>, Apart>,
    ) -> Result<Arc<[Frame]>, Apart> {
        // Made under the lock, so that streams which wake together make it once. The lock guards no invariant that a
        // panic could break.
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = (from, to, chain, kinds);
        let found = batches.iter().rev().find(|batch| (batch.from, batch.to, batch.chain, batch.kinds) == wanted);
        if let Some(batch) = found {
            return Ok(Arc::clone(&batch.frames));
        }
        let frames: Arc<[Frame]> = make()?.into();
        if frames.iter().map(|frame| frame.0.len()).sum::<usize>() <= LARGE {
            if batches.len() == KEPT_BATCHES {
                batches.pop_front();
            }
            batches.push_back(SharedBatch { from, to, chain, kinds, frames: Arc::clone(&frames) });
        }
        Ok(frames)
    }
}
