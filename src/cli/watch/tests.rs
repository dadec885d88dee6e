use std::io;

use clap::Parser;
use tonic::Status;

use super::super::scripted::{Output, Script, against, begin, bookmark};
use super::*;
use crate::proto::v1::watch_config_response::Event;
use crate::proto::v1::{
    ConfigBatch, ConfigResource, GoAway, LimitKind, LimitUsage, ResourceKey, Team, UsageUpdate, WatchMode,
    config_resource::Resource,
};
use crate::reducer::digest::resource_digest;

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
    against(scripts, async |url| {
        let args = Only::parse_from(["watch", "--server", &url].into_iter().chain(flags.iter().copied())).args;
        let printer = Printer::to(out, args.json).unwrap();
        show(args, printer).await
    })
    .await
}

fn team(name: &str, description: &str, revision: i64) -> ConfigResource {
    let labels = [("about".to_owned(), description.to_owned())].into();
    let team = Team { id: "t".to_owned(), name: name.to_owned(), labels, revision, ..Team::default() };
    ConfigResource { resource: Some(Resource::Team(team)) }
}

fn batch(from: i64, to: i64, upserts: Vec<ConfigResource>, removes: Vec<ResourceKey>) -> ConfigBatch {
    let commit_time = Some(prost_types::Timestamp { seconds: 0, nanos: 5_000_000 });
    ConfigBatch { from_revision: from, to_revision: to, upserts, removes, commit_time, ..ConfigBatch::default() }
}

fn snapshot_of_one() -> Script {
    Ok(vec![
        begin(WatchMode::Snapshot, 1),
        Event::Batch(ConfigBatch { snapshot: true, ..batch(0, 1, vec![team("one", "x", 1)], vec![]) }),
        bookmark(1, "t1", Some(resource_digest(2, "t", 1)), true),
    ])
}

#[tokio::test]
async fn a_watch_is_taken_up_again_and_told_in_lines() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let mut first = snapshot_of_one().unwrap();
    first.push(Event::GoAway(GoAway { reason: "maintenance".to_owned(), retry_after: None }));
    let resumed = Ok(vec![
        begin(WatchMode::Resumed, 3),
        Event::Batch(batch(1, 2, vec![team("two", "y", 2)], vec![])),
        Event::Batch(batch(2, 3, vec![], vec![ResourceKey { kind: 2, id: "t".to_owned() }])),
        bookmark(3, "t3", None, false),
        bookmark(3, "t3", Some(77), false),
    ]);
    let scripts = vec![Ok(first), resumed, snapshot_of_one(), Err(Status::failed_precondition("enough"))];
    let out = Output::default();
    let flags = ["--state-file", file.to_str().unwrap(), "--kinds", "team,virtual-key"];
    let (done, asked) = watch(&flags, scripts, out.clone()).await;

    assert_eq!(done, Err("FailedPrecondition: enough".to_owned()));
    let resumed: Vec<_> = asked.iter().map(|request| (request.resume_token.as_str(), request.min_revision)).collect();
    assert_eq!(resumed, [("", 0), ("t1", 1), ("", 0), ("t1", 1)]);
    assert_eq!(asked[0].kinds, [2, 3]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "t1\n");

    // Bookmarks carry the time at which they came.
    let lines: Vec<_> = out.lines().iter().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
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
async fn what_was_shown_is_asked_for_where_no_bookmark_followed_it() {
    let mut first = snapshot_of_one().unwrap();
    first.push(Event::Batch(batch(1, 2, vec![team("two", "y", 2)], vec![])));
    let enough = Err(Status::failed_precondition("enough"));
    let (_, asked) = watch(&[], vec![Ok(first), enough], Output::default()).await;
    assert_eq!((asked[1].resume_token.as_str(), asked[1].min_revision), ("t1", 2));
}

#[tokio::test]
async fn once_ends_at_the_head_and_json_is_canonical() {
    let out = Output::default();
    let (done, asked) =
        watch(&["--once", "--json", "--resume-token", "t0"], vec![snapshot_of_one()], out.clone()).await;
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

#[tokio::test]
async fn usage_is_told_to_who_asks_for_it() {
    let limit = |id: &str, kind: LimitKind, used, max| LimitUsage {
        limit_id: id.to_owned(),
        kind: kind.into(),
        used,
        max,
        version: 1,
        ..LimitUsage::default()
    };
    let limits =
        vec![limit("a", LimitKind::Budget, 1_999_999_999, 2_000_000_000), limit("b", LimitKind::Requests, 7, 5)];
    let mut script = snapshot_of_one().unwrap();
    script.push(Event::Usage(UsageUpdate { limits, ..UsageUpdate::default() }));
    let out = Output::default();
    let (done, asked) = watch(&["--usage", "--once"], vec![Ok(script)], out.clone()).await;
    assert_eq!((done, asked[0].include_usage), (Ok(()), true));
    let lines: Vec<_> = out.lines().iter().map(|line| line.split_once("  ").unwrap().1.trim().to_owned()).collect();
    assert_eq!(
        lines[2..],
        ["usage     budget       a  2.00 USD of 2.00 USD, 99.9 %", "usage     requests     b  7 of 5, 140.0 %"]
    );
}
