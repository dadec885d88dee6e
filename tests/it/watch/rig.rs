//! A server in this process on a database of its own, and a node that folds its stream.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use tollgate::domain::Timestamp;
use tollgate::ledger::{Clock, Reading};
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::{ResourceKind, WatchConfigRequest, WatchConfigResponse, WatchMode, WatchReason};
use tollgate::reducer::{Progress, Reducer};
use tollgate::server::{self, Listeners, ServerError};
use tollgate::settings::{
    AccessSettings, CreditSettings, RetentionSettings, Settings, SpendSettings, TransportSettings, WatchSettings,
    WebhookSettings,
};
use tollgate::store::Store;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use super::api::Api;
use crate::engine::Database;

/// What must happen, waited for. No law is about time: this only turns a hang into a failure.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("it never came")
}

/// Why a task ended without a result.
pub(crate) fn failure(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned())).unwrap_or_default()
}

pub(crate) struct Rig {
    pub(crate) database: Arc<Database>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServerError>>,
}

impl Rig {
    /// A server that is not started yet.
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(Database::new()))
    }

    /// A server that is not started yet on a database that may have others.
    pub(crate) fn on(database: Arc<Database>) -> Self {
        let settings = Settings {
            database: database.settings.clone(),
            ready_file: None,
            transport: TransportSettings::default(),
            watch: WatchSettings { heartbeat_interval: Duration::from_millis(50), ..WatchSettings::default() },
            retention: RetentionSettings::default(),
            spend: SpendSettings::default(),
            credit: CreditSettings::default(),
            access: AccessSettings::default(),
            webhooks: WebhookSettings::default(),
        };
        Self { database, settings, clock: Clock::system(), running: None }
    }

    pub(crate) async fn started() -> (Self, Api) {
        let mut rig = Self::new();
        rig.start().await;
        let api = rig.api().await;
        (rig, api)
    }

    pub(crate) async fn start(&mut self) -> SocketAddr {
        let listener = server::bind("127.0.0.1:0").await.unwrap();
        self.start_on(listener.into())
    }

    /// Where it was before.
    pub(crate) async fn start_at(&mut self, address: &str) {
        let listener = server::bind(address).await.unwrap();
        self.start_on(listener.into());
    }

    /// Also tells where metrics are read.
    pub(crate) async fn start_with_metrics(&mut self) -> SocketAddr {
        let calls = server::bind("127.0.0.1:0").await.unwrap();
        let metrics = server::bind_metrics("127.0.0.1:0").await.unwrap();
        let address = metrics.local_addr().unwrap();
        self.start_on(Listeners { calls, metrics: Some(metrics), ready: None });
        address
    }

    fn start_on(&mut self, listeners: Listeners) -> SocketAddr {
        let address = listeners.calls.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let (settings, clock) = (self.settings.clone(), self.clock.clone());
        let served = tokio::spawn(server::run_by(listeners, settings, clock, async { drop(stopped.await) }));
        self.running = Some(Running { address, stop, served });
        address
    }

    /// Asks the server to stop, without waiting for it.
    pub(crate) fn ask_to_stop(&mut self) -> JoinHandle<Result<(), ServerError>> {
        let Running { stop, served, .. } = self.running.take().unwrap();
        drop(stop);
        served
    }

    pub(crate) async fn stop(&mut self) {
        soon(self.ask_to_stop()).await.unwrap().unwrap();
    }

    pub(crate) async fn restart(&mut self) -> Api {
        self.stop().await;
        self.start().await;
        self.api().await
    }

    pub(crate) async fn api(&self) -> Api {
        Api(soon(endpoint(self.address()).connect()).await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address
    }

    /// Moves the point from which watchers can resume to `revision`, on a stopped server's database: the ledger does it
    /// in the background only, and never for what is younger than a day.
    pub(crate) async fn compact(&self, revision: i64) {
        let store = self.store().await;
        let compacted_chain = store.chain_at(revision).await.unwrap().unwrap();
        let head = store.read_head().await.unwrap();
        let head = tollgate::state::Head { compacted_revision: revision, compacted_chain, ..head };
        store.compact(&head).await.unwrap();
        store.close().await;
    }

    /// A stopped server's store.
    pub(crate) async fn store(&self) -> Store {
        self.database.store().await
    }
}

pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// A clock that shows `now`, in microseconds, and goes on when the test says so.
pub(crate) fn clock(now: &Arc<AtomicI64>) -> Clock {
    let now = Arc::clone(now);
    let started = now.load(Ordering::SeqCst);
    Clock::new(move || {
        let now = now.load(Ordering::SeqCst);
        let steady = Duration::from_micros(u64::try_from(now - started).unwrap());
        Reading { wall: Timestamp::from_micros(now), steady }
    })
}

/// A client of the stream: it folds what comes and checks every digest. A stream that breaks its promises is a panic.
pub(crate) struct Node {
    pub(crate) kinds: Vec<ResourceKind>,
    pub(crate) reducer: Reducer,
    stream: Option<Streaming<WatchConfigResponse>>,
}

/// How a stream began.
pub(crate) type Begun = (WatchMode, WatchReason, i64);

impl Node {
    pub(crate) fn new(kinds: &[ResourceKind]) -> Self {
        Self { kinds: kinds.to_vec(), reducer: Reducer::new(), stream: None }
    }

    pub(crate) fn request(&self, resume_token: &str) -> WatchConfigRequest {
        WatchConfigRequest {
            node_id: "a node".to_owned(),
            resume_token: resume_token.to_owned(),
            kinds: self.kinds.iter().map(|kind| i32::from(*kind)).collect(),
            ..WatchConfigRequest::default()
        }
    }

    /// What it goes on with.
    pub(crate) fn resume(&mut self) -> WatchConfigRequest {
        let (token, min_revision) = self.reducer.connect();
        let token = token.to_owned();
        WatchConfigRequest { min_revision, ..self.request(&token) }
    }

    /// Connects with what it has.
    pub(crate) async fn connect(&mut self, api: &Api) -> Result<Begun, Status> {
        let request = self.resume();
        self.send(api.0.clone(), request).await
    }

    /// Connects with another token.
    pub(crate) async fn connect_with(&mut self, api: &Api, token: &str) -> Result<Begun, Status> {
        let request = WatchConfigRequest { resume_token: token.to_owned(), ..self.resume() };
        self.send(api.0.clone(), request).await
    }

    pub(crate) async fn send(&mut self, channel: Channel, request: WatchConfigRequest) -> Result<Begun, Status> {
        self.stream = None;
        let stream = soon(ConfigServiceClient::new(channel).watch_config(request)).await?.into_inner();
        self.stream = Some(stream);
        match self.step().await? {
            Some(Progress::Begun { mode, reason, head_revision, .. }) => Ok((mode, reason, head_revision)),
            other => panic!("a stream began with {other:?}"),
        }
    }

    /// The next message of the stream, as it came.
    pub(crate) async fn message(&mut self) -> Result<Option<WatchConfigResponse>, Status> {
        soon(self.stream.as_mut().unwrap().message()).await
    }

    /// Folds the next message; `None` at the end of the stream.
    pub(crate) async fn step(&mut self) -> Result<Option<Progress>, Status> {
        let message = self.message().await?;
        Ok(message.map(|message| self.reducer.apply(message).unwrap_or_else(|error| panic!("{error}"))))
    }

    pub(crate) async fn expect(&mut self) -> Progress {
        self.step().await.unwrap().expect("the stream ended")
    }

    pub(crate) fn revision(&self) -> i64 {
        self.reducer.state().revision()
    }

    /// Reads on to a bookmark at `revision` or later. Returns how many batches were applied.
    pub(crate) async fn until(&mut self, revision: i64) -> usize {
        let mut applied = 0;
        loop {
            match self.expect().await {
                Progress::Bookmarked { revision: at, .. } if at >= revision => return applied,
                Progress::Applied(_) => applied += 1,
                _ => {}
            }
        }
    }

    /// Reads on to a bookmark at `revision` or later whose digests match.
    pub(crate) async fn until_proved(&mut self, revision: i64) {
        loop {
            if let Progress::Bookmarked { revision: at, verified: true, .. } = self.expect().await
                && at >= revision
            {
                return;
            }
        }
    }

    pub(crate) fn close(&mut self) {
        self.stream = None;
    }
}

/// A node that is up to date.
pub(crate) async fn node(api: &Api, kinds: &[ResourceKind]) -> Node {
    let mut node = Node::new(kinds);
    let (_, _, head) = node.connect(api).await.unwrap();
    node.until_proved(head).await;
    node
}
