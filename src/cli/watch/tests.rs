use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use clap::Parser;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response};

use super::*;
use crate::config::TransportSettings;
use crate::proto::v1::config_service_server::{ConfigService, ConfigServiceServer};
use crate::proto::v1::watch_config_response::Event;
use crate::proto::v1::{
    Bookmark, ConfigBatch, ConfigResource, GoAway, KindDigest, ListChangesRequest, ListChangesResponse, ResourceKey,
    Team, WatchBegin, WatchConfigResponse, WatchMode, WatchReason, config_resource::Resource,
};
use crate::server;
use crate::watch::digest::resource_digest;

type Script = Result<Vec<Event>, Status>;

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
        let messages = events
            .into_iter()
            .map(|event| Ok(WatchConfigResponse { event: Some(event) }));
        Ok(Response::new(futures_util::stream::iter(messages).boxed()))
    }

    async fn list_changes(&self, _: Request<ListChangesRequest>) -> Result<Response<ListChangesResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().unwrap().clone())
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[derive(Parser)]
struct Only {
    #[command(flatten)]
    args: WatchArgs,
}

/// Runs `tollgate watch` with `flags` against the scripts, to its end.
async fn watch<W: Write>(
    flags: &[&str],
    scripts: Vec<Script>,
    out: W,
) -> (Result<(), String>, Vec<WatchConfigRequest>) {
    let scripted = Scripted {
        scripts: Arc::new(Mutex::new(scripts.into())),
        ..Scripted::default()
    };
    let listener = server::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (mut routes, _health) = server::base_routes().unwrap();
    routes.add_service(ConfigServiceServer::new(scripted.clone()));
    let drain = CancellationToken::new();
    let shutdown = drain.clone();
    let serving = tokio::spawn(async move {
        let stopped = shutdown.clone().cancelled_owned();
        server::serve(
            listener,
            routes.routes(),
            TransportSettings::default(),
            shutdown,
            stopped,
        )
        .await
    });
    let args = Only::parse_from(["watch", "--server", &url].into_iter().chain(flags.iter().copied())).args;
    let printer = Printer::to(out, args.json).unwrap();
    let done = follow(args, printer).await;
    drain.cancel();
    serving.await.unwrap().unwrap();
    let done = done.map_err(|failure| match failure {
        Failure::Usage(error) | Failure::Failed(error) => error.to_string(),
    });
    let asked = scripted.asked.lock().unwrap().clone();
    (done, asked)
}

fn begin(mode: WatchMode, head_revision: i64) -> Event {
    let reason = if mode == WatchMode::Snapshot {
        WatchReason::First
    } else {
        WatchReason::Unspecified
    };
    let heartbeat_interval = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    Event::Begin(WatchBegin {
        mode: mode.into(),
        reason: reason.into(),
        head_revision,
        heartbeat_interval,
    })
}

fn team(name: &str, description: &str, revision: i64) -> ConfigResource {
    let labels = [("about".to_owned(), description.to_owned())].into();
    let team = Team {
        id: "t".to_owned(),
        name: name.to_owned(),
        labels,
        revision,
        ..Team::default()
    };
    ConfigResource {
        resource: Some(Resource::Team(team)),
    }
}

fn batch(from: i64, to: i64, upserts: Vec<ConfigResource>, removes: Vec<ResourceKey>) -> ConfigBatch {
    let commit_time = Some(prost_types::Timestamp {
        seconds: 0,
        nanos: 5_000_000,
    });
    ConfigBatch {
        from_revision: from,
        to_revision: to,
        upserts,
        removes,
        commit_time,
        ..ConfigBatch::default()
    }
}

fn bookmark(revision: i64, token: &str, digest: Option<u64>, snapshot_end: bool) -> Event {
    let digests = digest
        .map(|digest| KindDigest { kind: 2, digest })
        .into_iter()
        .collect();
    Event::Bookmark(Bookmark {
        revision,
        resume_token: token.to_owned(),
        digests,
        snapshot_end,
    })
}

fn snapshot_of_one() -> Script {
    Ok(vec![
        begin(WatchMode::Snapshot, 1),
        Event::Batch(ConfigBatch {
            snapshot: true,
            ..batch(0, 1, vec![team("one", "x", 1)], vec![])
        }),
        bookmark(1, "t1", Some(resource_digest(2, "t", 1)), true),
    ])
}

#[tokio::test]
async fn a_watch_is_taken_up_again_and_told_in_lines() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let mut first = snapshot_of_one().unwrap();
    first.push(Event::GoAway(GoAway {
        reason: "maintenance".to_owned(),
        retry_after: None,
    }));
    let resumed = Ok(vec![
        begin(WatchMode::Resumed, 3),
        Event::Batch(batch(1, 2, vec![team("two", "y", 2)], vec![])),
        Event::Batch(batch(
            2,
            3,
            vec![],
            vec![ResourceKey {
                kind: 2,
                id: "t".to_owned(),
            }],
        )),
        bookmark(3, "t3", None, false),
        bookmark(3, "t3", Some(77), false),
    ]);
    let scripts = vec![
        Ok(first),
        resumed,
        snapshot_of_one(),
        Err(Status::invalid_argument("enough")),
    ];
    let out = Output::default();
    let flags = ["--state-file", file.to_str().unwrap(), "--kinds", "team,virtual-key"];
    let (done, asked) = watch(&flags, scripts, out.clone()).await;

    assert_eq!(done, Err("InvalidArgument: enough".to_owned()));
    let tokens: Vec<_> = asked.iter().map(|request| request.resume_token.as_str()).collect();
    assert_eq!(tokens, ["", "t1", "", "t1"]);
    assert_eq!(asked[0].kinds, [2, 3]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "t1\n");

    // Bookmarks carry the time at which they came.
    let lines: Vec<_> = out
        .lines()
        .iter()
        .map(|line| line.split_once("  ").unwrap().1.to_owned())
        .collect();
    assert_eq!(out.lines()[0].split_once("  ").unwrap().0, "1970-01-01T00:00:00.005Z");
    assert_eq!(
        lines,
        [
            r#"r1         upsert    team         t  "one""#,
            "r1         bookmark  1 resources held, digests match, end of snapshot",
            r#"r2         upsert    team         t  "two"  changed: name, labels"#,
            r#"r3         remove    team         t  "two""#,
            "r3         bookmark  0 resources held",
            r#"r1         upsert    team         t  "one""#,
            "r1         bookmark  1 resources held, digests match, end of snapshot",
        ]
    );
}

#[tokio::test]
async fn once_ends_at_the_head_and_json_is_canonical() {
    let out = Output::default();
    let (done, asked) = watch(
        &["--once", "--json", "--resume-token", "t0"],
        vec![snapshot_of_one()],
        out.clone(),
    )
    .await;
    assert_eq!((done, asked[0].resume_token.as_str()), (Ok(()), "t0"));
    let lines = out.lines();
    assert_eq!(
        lines[1],
        concat!(
            r#"{"batch":{"toRevision":"1","upserts":[{"team":{"id":"t","name":"one","labels":{"about":"x"},"#,
            r#""revision":"1"}}],"snapshot":true,"commitTime":"1970-01-01T00:00:00.005Z"}}"#
        )
    );
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn once_does_not_wait_for_a_server_that_fails() {
    let (done, asked) = watch(&["--once"], vec![Err(Status::unavailable("away"))], Output::default()).await;
    assert!(done.unwrap_err().contains("away"));
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_closed_pipe_is_an_end_like_any_other() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    for flags in [&[][..], &["--json"]] {
        let (done, asked) = watch(flags, vec![snapshot_of_one()], Closed).await;
        assert_eq!((done, asked.len()), (Ok(()), 1));
    }
}
