//! A server that plays scripts, for the tests of what follows it.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use futures_util::stream::{BoxStream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

use super::Failure;
use crate::access::Registry;
use crate::api::Auth;
use crate::ledger::Clock;
use crate::proto::v1::config_service_server::{ConfigService, ConfigServiceServer};
use crate::proto::v1::watch_config_response::Event;
use crate::proto::v1::{
    Bookmark, GetServerInfoRequest, GetServerInfoResponse, KindDigest, ListChangesRequest, ListChangesResponse,
    WaitForRevisionRequest, WaitForRevisionResponse, WatchBegin, WatchConfigRequest, WatchConfigResponse, WatchMode,
    WatchReason,
};
use crate::server;
use crate::settings::{AccessSettings, TransportSettings};

pub(super) type Script = Result<Vec<Event>, Status>;

/// A server that answers each stream by the next script, and remembers what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    scripts: Arc<Mutex<VecDeque<Script>>>,
    asked: Arc<Mutex<Vec<WatchConfigRequest>>>,
}

#[tonic::async_trait]
impl ConfigService for Scripted {
    type WatchConfigStream = BoxStream<'static, Result<WatchConfigResponse, Status>>;

    async fn watch_config(
        &self,
        request: Request<WatchConfigRequest>,
    ) -> Result<Response<Self::WatchConfigStream>, Status> {
        self.asked.lock().unwrap().push(request.into_inner());
        let events = self.scripts.lock().unwrap().pop_front().unwrap()?;
        let messages = events.into_iter().map(|event| Ok(WatchConfigResponse { event: Some(event) }));
        Ok(Response::new(futures_util::stream::iter(messages).boxed()))
    }

    async fn list_changes(&self, _: Request<ListChangesRequest>) -> Result<Response<ListChangesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn wait_for_revision(
        &self,
        _: Request<WaitForRevisionRequest>,
    ) -> Result<Response<WaitForRevisionResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_server_info(
        &self,
        _: Request<GetServerInfoRequest>,
    ) -> Result<Response<GetServerInfoResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[derive(Clone, Default)]
pub(super) struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

/// Runs a command against the scripts, to its end: the result, and the requests that were made.
pub(super) async fn against(
    scripts: Vec<Script>,
    command: impl AsyncFnOnce(String) -> Result<(), Failure>,
) -> (Result<(), String>, Vec<WatchConfigRequest>) {
    let scripted = Scripted { scripts: Arc::new(Mutex::new(scripts.into())), ..Scripted::default() };
    let service = ConfigServiceServer::new(scripted.clone());
    let serve = |routes: &mut RoutesBuilder| {
        routes.add_service(service);
    };
    let done = beside(serve, command).await;
    let asked = scripted.asked.lock().unwrap().clone();
    (done, asked)
}

/// Runs a command to its end beside a server with other services.
pub(super) async fn beside(
    services: impl FnOnce(&mut RoutesBuilder),
    command: impl AsyncFnOnce(String) -> Result<(), Failure>,
) -> Result<(), String> {
    let listener = server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (mut routes, _health) = server::base_routes().unwrap();
    services(&mut routes);
    let drain = CancellationToken::new();
    let open = Auth::new(Arc::new(Registry::new(&AccessSettings::default(), false)), Clock::system());
    let shutdown = drain.clone();
    let serving = tokio::spawn(async move {
        let stopped = shutdown.clone().cancelled_owned();
        server::serve(listener, routes.routes(), open, TransportSettings::default(), shutdown, stopped).await
    });
    let done = command(url).await;
    drain.cancel();
    serving.await.unwrap().unwrap();
    done.map_err(|failure| match failure {
        Failure::Usage(error) | Failure::Failed(error) | Failure::Corrupt(error) => error.to_string(),
        Failure::Told(code) => format!("exit code {code}"),
    })
}

pub(super) fn begin(mode: WatchMode, head_revision: i64) -> Event {
    let reason = if mode == WatchMode::Snapshot { WatchReason::First } else { WatchReason::Unspecified };
    let heartbeat_interval = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    let (mode, reason) = (mode.into(), reason.into());
    Event::Begin(WatchBegin {
        mode,
        reason,
        head_revision,
        heartbeat_interval,
        without_hashes: false,
        server_time: None,
    })
}

pub(super) fn bookmark(revision: i64, token: &str, digest: Option<u64>, snapshot_end: bool) -> Event {
    let digests = digest.map(|digest| KindDigest { kind: 2, digest }).into_iter().collect();
    Event::Bookmark(Bookmark {
        revision,
        resume_token: token.to_owned(),
        digests,
        snapshot_end,
        age: None,
        server_time: None,
    })
}
