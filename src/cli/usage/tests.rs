use clap::Parser;
use tonic::Status;

use super::super::redraw::{HOME, REST_OF_LINE, REST_OF_SCREEN};
use super::super::scripted::{Output, Script, against, begin, bookmark};
use super::*;
use crate::proto::v1::config_resource::Resource;
use crate::proto::v1::watch_config_response::Event;
use crate::proto::v1::{
    Budget, ConfigBatch, ConfigResource, Customer, LimitKind, LimitUsage, ModelConfig, ModelConfigScope, Provider,
    ProviderGovernance, ProviderKey, RateLimit, ResourceKey, Team, UsageUpdate, VirtualKey, VirtualKeyProviderConfig,
    WatchMode,
};

#[derive(Parser)]
struct Only {
    #[command(flatten)]
    args: ShowArgs,
}

/// Runs `tollgate usage` with `flags` against the scripts, to its end. What came of it, what was asked, what was shown.
async fn usage(
    flags: &[&str],
    scripts: Vec<Script>,
    in_place: bool,
) -> (Result<(), String>, Vec<WatchConfigRequest>, Output) {
    let out = Output::default();
    let shown = out.clone();
    let (done, asked) = against(scripts, async |url| {
        let args = Only::parse_from(["usage", "--server", &url].into_iter().chain(flags.iter().copied())).args;
        show(args, shown, in_place, || Screen { width: Some(80), colour: false }).await
    })
    .await;
    (done, asked, out)
}

/// 2026-11-23T22:00:00Z.
const WINDOW: i64 = 1_795_471_200;

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn budget(id: &str, reset_duration: &str) -> Budget {
    Budget { id: id.to_owned(), reset_duration: reset_duration.to_owned(), ..Budget::default() }
}

fn rate_limit(id: &str) -> RateLimit {
    RateLimit {
        id: id.to_owned(),
        token_reset_duration: Some("1h".to_owned()),
        request_reset_duration: Some("1m".to_owned()),
        ..RateLimit::default()
    }
}

fn used(id: &str, kind: LimitKind, used: i64, max: i64, version: i64) -> LimitUsage {
    let seconds = match (id, kind) {
        ("of-config", LimitKind::Tokens) => 3_600,
        ("of-config", _) => 60,
        ("of-team", _) => 2 * 3_600,
        ("of-key", _) => 7 * 86_400,
        _ => 86_400,
    };
    let (window_start, window_end) = (at(WINDOW), at(WINDOW + seconds));
    LimitUsage { limit_id: id.to_owned(), kind: kind.into(), window_start, used, max, version, window_end }
}

fn team(name: &str, revision: i64) -> ConfigResource {
    let budgets = vec![budget("of-team", "1d")];
    let (id, name) = ("t".to_owned(), name.to_owned());
    let team = Team { id, name, budgets, revision, ..Team::default() };
    ConfigResource { resource: Some(Resource::Team(team)) }
}

/// One owner of each kind.
fn everybody() -> Vec<ConfigResource> {
    let customer = Customer {
        id: "c".to_owned(),
        name: "Acme".to_owned(),
        budgets: vec![budget("of-customer", "1d")],
        ..Default::default()
    };
    let config = VirtualKeyProviderConfig {
        id: 7,
        provider: "openai".to_owned(),
        rate_limits: vec![rate_limit("of-config")],
        ..Default::default()
    };
    let key = VirtualKey {
        id: "k".to_owned(),
        name: "note\u{1b}book".to_owned(),
        budgets: vec![budget("of-key", "1w")],
        provider_configs: vec![config],
        ..Default::default()
    };
    let config = ModelConfig {
        id: "m".to_owned(),
        model_name: "gpt-4o".to_owned(),
        provider: "openai".to_owned(),
        scope: ModelConfigScope::Team.into(),
        scope_id: "t".to_owned(),
        budgets: vec![budget("of-model", "1d")],
        ..Default::default()
    };
    let governance = ProviderGovernance {
        id: "openai".to_owned(),
        provider: "openai".to_owned(),
        budgets: vec![budget("of-provider", "1d")],
        ..Default::default()
    };
    let provider_key = ProviderKey {
        id: "pk".to_owned(),
        name: "grant".to_owned(),
        budgets: vec![budget("of-provider-key", "1d")],
        ..Default::default()
    };
    let provider =
        Provider { id: "openai".to_owned(), name: "openai".to_owned(), keys: vec![provider_key], ..Default::default() };
    let others = [
        Resource::Customer(customer),
        Resource::VirtualKey(key),
        Resource::ModelConfig(config),
        Resource::ProviderGovernance(governance),
        Resource::Provider(provider),
    ];
    others
        .into_iter()
        .map(|resource| ConfigResource { resource: Some(resource) })
        .chain([team("Research", 1)])
        .collect()
}

fn batch(from: i64, to: i64, upserts: Vec<ConfigResource>, removes: Vec<ResourceKey>) -> Event {
    Event::Batch(ConfigBatch { from_revision: from, to_revision: to, upserts, removes, ..Default::default() })
}

fn update(limits: Vec<LimitUsage>) -> Event {
    Event::Usage(UsageUpdate { limits, ..UsageUpdate::default() })
}

/// A snapshot of everybody, and what they have used.
fn snapshot() -> Vec<Event> {
    let upserts =
        ConfigBatch { from_revision: 0, to_revision: 1, upserts: everybody(), snapshot: true, ..Default::default() };
    let limits = vec![
        used("of-customer", LimitKind::Budget, 500_000_000, 1_000_000_000, 1),
        used("of-team", LimitKind::Budget, 999_999_999, 1_000_000_000, 2),
        used("of-key", LimitKind::Budget, 1, 1_000_000_000, 3),
        used("of-config", LimitKind::Tokens, 3, 2, 4),
        used("of-config", LimitKind::Requests, 1, 3, 5),
        used("of-model", LimitKind::Budget, 0, 1_000_000_000, 6),
        used("of-provider", LimitKind::Budget, 250_000_000, 1_000_000_000, 7),
        used("of-provider-key", LimitKind::Budget, 750_000_000, 1_000_000_000, 9),
        // The limits of who is gone are told for a while.
        used("of-nobody", LimitKind::Budget, 9, 9, 8),
    ];
    vec![begin(WatchMode::Snapshot, 1), Event::Batch(upserts), bookmark(1, "t1", None, true), update(limits)]
}

#[tokio::test]
async fn the_limit_nearest_to_exhaustion_comes_first_whoever_owns_it() {
    let (done, asked, out) = usage(&[], vec![Ok(snapshot())], true).await;
    assert_eq!((done, asked[0].include_usage, asked[0].kinds.len()), (Ok(()), true, 6));
    // The last column goes by the clock.
    let shown = out.lines();
    let shown: Vec<_> = shown.iter().map(|line| line.rsplit_once("  ").unwrap().0.trim_end()).collect();
    assert_eq!(
        shown,
        [
            "OWNER                       LIMIT                USED       MAX  PERCENT",
            "provider con…\u{fffd}book, openai  tokens                  3         2  150.0 %",
            "team Research               budget           1.00 USD  1.00 USD   99.9 %",
            "provider key openai, grant  budget           0.75 USD  1.00 USD   75.0 %",
            "customer Acme               budget           0.50 USD  1.00 USD   50.0 %",
            "provider con…\u{fffd}book, openai  requests                1         3   33.3 %",
            "provider openai             budget           0.25 USD  1.00 USD   25.0 %",
            "virtual key note\u{fffd}book       budget    0.000000001 USD  1.00 USD    0.0 %",
        ]
    );
}

#[tokio::test]
async fn owners_and_rows_can_be_limited_and_json_is_exact() {
    let (done, asked, out) =
        usage(&["--owner", "provider-config,team", "--limit", "2", "--json"], vec![Ok(snapshot())], true).await;
    assert_eq!((done, asked[0].kinds.clone()), (Ok(()), vec![2, 3]));
    let shown: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
    let row = |owner, id, name, limit, kind, used, max, percent: f64, reset| {
        json!({"owner": owner, "ownerId": id, "ownerName": name, "limitId": limit, "kind": kind, "used": used, "max": max,
               "percent": percent, "lastReset": "2026-11-23T22:00:00Z", "nextReset": reset})
    };
    let limits = [
        row(
            "provider_config",
            "7",
            "note\u{1b}book, openai",
            "of-config",
            "LIMIT_KIND_TOKENS",
            "3",
            "2",
            150.0,
            "2026-11-23T23:00:00Z",
        ),
        row(
            "team",
            "t",
            "Research",
            "of-team",
            "LIMIT_KIND_BUDGET",
            "999999999",
            "1000000000",
            99.9,
            "2026-11-24T00:00:00Z",
        ),
    ];
    assert_eq!(shown, json!({"limits": limits, "totalSize": 3}));
    let (done, _, out) = usage(&["--owner", "customer", "--limit", "1"], vec![Ok(snapshot())], false).await;
    assert_eq!((done, out.lines().len()), (Ok(()), 2));
}

#[tokio::test]
async fn a_model_config_is_named_by_what_it_limits() {
    for (flags, name) in [
        (&["--limit", "1"][..], "gpt-4o, openai for team Research"),
        (&["--owner", "model_config"], "gpt-4o, openai for team t"),
    ] {
        let mut script = snapshot();
        if flags[0] == "--owner" {
            script[1] = Event::Batch(ConfigBatch {
                to_revision: 1,
                upserts: vec![everybody().swap_remove(2)],
                snapshot: true,
                ..Default::default()
            });
        }
        script.pop();
        script.push(update(vec![used("of-model", LimitKind::Budget, 9_000_000_000, 1_000_000_000, 9)]));
        let (done, _, out) = usage(&[flags, &["--json"]].concat(), vec![Ok(script)], false).await;
        assert_eq!(done, Ok(()));
        let shown: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(shown["limits"][0]["ownerName"], name);
    }
}

#[tokio::test]
async fn a_look_is_a_failure_where_there_is_no_server_and_says_so_where_nothing_is_used() {
    let (done, asked, out) = usage(&[], vec![Err(Status::unavailable("away"))], false).await;
    assert!(done.unwrap_err().contains("away"));
    assert_eq!((asked.len(), out.text().as_str()), (1, ""));
    let mut script = snapshot();
    script.pop();
    script.push(update(Vec::new()));
    let (done, _, out) = usage(&[], vec![Ok(script)], false).await;
    assert_eq!((done, out.lines()), (Ok(()), vec!["no limit has anything used in its current window".to_owned()]));
}

#[tokio::test]
async fn a_watched_table_is_shown_again_when_it_changes_and_only_then() {
    let renamed = |name| batch(1, 2, vec![team(name, 2)], Vec::new());
    let mut first = snapshot();
    // Nothing of this is in the table.
    first.push(update(vec![used("of-nobody", LimitKind::Budget, 10, 10, 9)]));
    let resumed = vec![
        begin(WatchMode::Resumed, 2),
        renamed("Development"),
        bookmark(2, "t2", None, false),
        // All that is used now.
        update(vec![used("of-team", LimitKind::Budget, 999_999_999, 1_000_000_000, 2)]),
    ];
    let gone = vec![
        begin(WatchMode::Resumed, 3),
        batch(2, 3, Vec::new(), vec![ResourceKey { kind: 2, id: "t".to_owned() }]),
        bookmark(3, "t3", None, false),
    ];
    let scripts =
        || vec![Ok(first.clone()), Ok(resumed.clone()), Ok(gone.clone()), Err(Status::failed_precondition("enough"))];
    let (done, asked, out) = usage(&["--watch", "--json", "--owner", "team"], scripts(), false).await;
    assert_eq!(done, Err("FailedPrecondition: enough".to_owned()));
    let tokens: Vec<_> = asked.iter().map(|request| request.resume_token.as_str()).collect();
    assert_eq!(tokens, ["", "t1", "t2", "t3"]);
    let names: Vec<_> = out
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["limits"][0]["ownerName"].clone())
        .collect();
    assert_eq!(names, [json!("Research"), json!("Development"), json!(null)]);

    let (_, _, out) = usage(&["--watch", "--owner", "team"], scripts(), true).await;
    let screens: Vec<_> = out.text().split(HOME).map(str::to_owned).collect();
    assert_eq!((screens.len(), screens[0].as_str()), (4, ""));
    let lines: Vec<_> = screens[2].split('\n').collect();
    assert!(lines[3].starts_with("team Development  budget") && lines[3].ends_with(REST_OF_LINE), "{lines:?}");
    assert_eq!(lines[4], REST_OF_SCREEN);
    let (_, _, out) = usage(&["--watch", "--owner", "team"], scripts(), false).await;
    assert!(!out.text().contains('\u{1b}'), "this is no terminal");
    assert_eq!(out.lines().iter().filter(|line| line.contains("Research")).count(), 1);
}
