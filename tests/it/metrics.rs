//! Metrics as a monitoring system reads them, against what `docs/metrics.md` promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate::proto::v1;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tonic::Code;

use super::watch::rig::{Rig, node, soon};

/// A request by HTTP/1.1: the head of the answer, and its body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: metrics\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Samples, by name and labels as they are written.
struct Scrape {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(address: SocketAddr) -> Self {
        let (head, body) = soon(get(address, "/metrics")).await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"));
        let mut scrape = Self { types: BTreeMap::new(), samples: BTreeMap::new() };
        for line in body.lines() {
            if let Some(of_type) = line.strip_prefix("# TYPE ") {
                let (name, of_type) = of_type.split_once(' ').unwrap();
                scrape.types.insert(name.to_owned(), of_type.to_owned());
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                scrape.samples.insert(name.to_owned(), value.parse().unwrap());
            }
        }
        scrape
    }

    /// The metrics by the names that queries use.
    fn names(&self) -> BTreeSet<(String, String)> {
        self.types.iter().map(|(name, of_type)| queried(&format!("{name} {of_type}"))).collect()
    }

    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples))
    }
}

/// The name that queries use for a metric, and its type, of `NAME TYPE`.
pub(crate) fn queried(line: &str) -> (String, String) {
    let (name, of_type) = line.split_once(' ').unwrap();
    let name = match of_type {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    };
    (name, of_type.to_owned())
}

/// The half whose metrics are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Server,
    Node,
}

/// The table of the documentation.
pub(crate) fn documented(of: Of) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `tollgate_"));
    let rows = rows.filter(|row| row.starts_with("node_") == (of == Of::Node));
    rows.map(|row| {
        let mut cells = row.split('|').map(str::trim);
        (format!("tollgate_{}", cells.next().unwrap().trim_end_matches('`')), cells.next().unwrap().to_owned())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_is_documented_and_counts_what_it_says() {
    let mut rig = Rig::new();
    let metrics = rig.start_with_metrics().await;
    let api = rig.api().await;
    crate::credit::hold(&api).await;
    let team = api.team("one").await;
    let missing = api.get(&v1::ResourceKey { kind: v1::ResourceKind::Team.into(), id: "none".to_owned() }).await;
    assert_eq!(missing.unwrap_err().code(), Code::NotFound);
    let mut node = node(&api, &[]).await;
    node.until(team.revision).await;

    let mut usage = UsageServiceClient::new(api.0.clone());
    let request = v1::RegisterNodeRequest { node_id: "n1".to_owned(), ..Default::default() };
    let incarnation = usage.register_node(request).await.unwrap().into_inner().incarnation;
    let entry = |provider: &str| v1::UsageEntry { provider: provider.to_owned(), requests: 1, ..Default::default() };
    let batch = v1::ReportUsageRequest {
        node_id: "n1".to_owned(),
        incarnation,
        sequence: 1,
        entries: vec![entry("openai"), v1::UsageEntry { requests: -1, ..entry("openai") }],
        ..Default::default()
    };
    let batches = tokio_stream::iter([batch.clone(), batch]);
    let mut acks = usage.report_usage(batches).await.unwrap().into_inner();
    while acks.message().await.unwrap().is_some() {}

    let scrape = Scrape::of(metrics).await;
    assert_eq!(scrape.names(), documented(Of::Server));
    let revision = team.revision as f64;
    for (sample, value) in [
        ("tollgate_rpc_total{method=\"tollgate.v1.TeamService/CreateTeam\",code=\"OK\"}", 1.0),
        ("tollgate_rpc_total{method=\"tollgate.v1.TeamService/GetTeam\",code=\"NOT_FOUND\"}", 1.0),
        ("tollgate_rpc_duration_seconds_count{method=\"tollgate.v1.TeamService/CreateTeam\",code=\"OK\"}", 1.0),
        ("tollgate_rpc_open{method=\"tollgate.v1.ConfigService/WatchConfig\"}", 1.0),
        ("tollgate_rpc_open{method=\"tollgate.v1.TeamService/CreateTeam\"}", 0.0),
        ("tollgate_connections", 1.0),
        ("tollgate_revision", revision),
        ("tollgate_watch_streams", 1.0),
        ("tollgate_watch_lag_revisions{node_id=\"a node\"}", 0.0),
        ("tollgate_ledger_queue", 0.0),
        ("tollgate_commit_size_sum{purpose=\"changes\"}", revision),
        ("tollgate_commit_size_sum{purpose=\"usage\"}", 2.0),
        ("tollgate_usage_batches_total{outcome=\"applied\"}", 2.0),
        ("tollgate_usage_batches_total{outcome=\"duplicate\"}", 1.0),
        ("tollgate_usage_entries_total{outcome=\"counted\"}", 2.0),
        ("tollgate_usage_entries_total{outcome=\"rejected\"}", 1.0),
        ("tollgate_credit_granted_total{kind=\"budget\"}", 7.0),
        ("tollgate_credit_wants_total{outcome=\"met\"}", 2.0),
        ("tollgate_credit_outstanding{kind=\"concurrency\"}", 1.0),
        ("tollgate_credit_outstanding{kind=\"budget\"}", 4.0),
        ("tollgate_credit_overshoot{kind=\"budget\"}", 0.0),
    ] {
        assert_eq!(scrape.value(sample), value, "{sample}");
    }

    // A stream that ends is counted then, and no longer open.
    node.close();
    soon(async { while Scrape::of(metrics).await.value("tollgate_watch_streams") > 0.0 {} }).await;
    let (head, _) = get(metrics, "/").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_adds_methods_and_no_node_id_breaks_the_text() {
    let mut rig = Rig::new();
    let metrics = rig.start_with_metrics().await;
    let api = rig.api().await;
    for number in 0..20 {
        let mut grpc = tonic::client::Grpc::new(api.0.clone());
        grpc.ready().await.unwrap();
        let path = format!("/made.Up/Method{number}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<v1::GetTeamRequest, v1::GetTeamResponse>::default();
        let refused = grpc.unary(tonic::Request::new(v1::GetTeamRequest::default()), path, codec).await.unwrap_err();
        assert_ne!(refused.code(), Code::Ok);
    }
    let mut node = super::watch::rig::Node::new(&[]);
    let request = v1::WatchConfigRequest { node_id: "a\"} 1\\".to_owned(), ..node.request("") };
    node.send(api.0.clone(), request).await.unwrap();
    let scrape = Scrape::of(metrics).await;
    let made_up: f64 = scrape
        .samples
        .iter()
        .filter(|(name, _)| name.starts_with("tollgate_rpc_total{method=\"(unknown)\""))
        .map(|it| it.1)
        .sum();
    assert_eq!(made_up, 20.0);
    assert!(!scrape.samples.keys().any(|name| name.contains("made.Up")));
    assert!(scrape.samples.contains_key("tollgate_watch_lag_revisions{node_id=\"a\\\"} 1\\\\\"}"));
    rig.stop().await;
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut known = BTreeSet::new();
    for (name, of_type) in documented(Of::Server) {
        if of_type == "histogram" {
            known.extend(["_bucket", "_sum", "_count"].map(|part| format!("{name}{part}")));
        } else {
            known.insert(name);
        }
    }
    let mut asked = 0;
    for target in dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        let query = target["expr"].as_str().unwrap();
        for name in
            query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|it| it.starts_with("tollgate_"))
        {
            assert!(known.contains(name), "{name} in {query}");
            asked += 1;
        }
    }
    assert!(asked > 10);
    // So do the alerts that are suggested, in tables.
    known.extend([Of::Server, Of::Node].into_iter().flat_map(documented).map(|(name, _)| name));
    for page in ["docs/metrics.md", "docs/operations.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let words = rows.flat_map(|row| row.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        let unknown: BTreeSet<_> = words.filter(|it| it.starts_with("tollgate_") && !known.contains(*it)).collect();
        assert!(unknown.is_empty(), "{unknown:?} in {page}");
    }
}
