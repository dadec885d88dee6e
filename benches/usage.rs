//! What usage costs: `cargo bench --bench usage`, or with other numbers of keys `cargo bench --bench usage -- 10000`.
//!
//! A server of its own on SQLite, in a process of its own; nodes that report batches of 100 entries, each on a stream of
//! its own, with up to 64 unacknowledged batches. An entry counts against six windows: budget, tokens and requests of its
//! key, budgets of its team, its customer and its provider. What is printed was acknowledged, so it is on disk. Then
//! configuration is written and watched, first alone, then while usage comes at half the greatest rate.
//!
//! Goal: 100,000 entries a second on 2 cores, on which the clients run too.

#![expect(clippy::expect_used, reason = "a server that does not answer has nothing to measure")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tollgate::proto::v1;
use tollgate::proto::v1::config_service_client::ConfigServiceClient;
use tollgate::proto::v1::customer_service_client::CustomerServiceClient;
use tollgate::proto::v1::provider_governance_service_client::ProviderGovernanceServiceClient;
use tollgate::proto::v1::team_service_client::TeamServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;
use tollgate::proto::v1::virtual_key_service_client::VirtualKeyServiceClient;
use tollgate::proto::v1::watch_config_response::Event;
use tonic::transport::{Channel, Endpoint};

const BATCH: usize = 100;
const IN_FLIGHT: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);
const TEAMS: usize = 100;

struct Server {
    process: Child,
    channel: Channel,
    _dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn serve() -> Server {
    let dir = TempDir::new().expect("a directory");
    let ready = dir.path().join("ready");
    let database = format!("sqlite://{}", dir.path().join("bench.db").display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(["serve", "--no-default-prices", "--listen", "127.0.0.1:0", "--database", &database, "--ready-file"])
        .arg(&ready);
    let mut process = command.stderr(Stdio::piped()).spawn().expect("the server starts");
    // Its log is read to the end, so that it never waits for us.
    let log = BufReader::new(process.stderr.take().expect("its log"));
    std::thread::spawn(move || log.lines().for_each(drop));
    let address = loop {
        match std::fs::read_to_string(&ready) {
            Ok(address) if address.ends_with('\n') => break address.trim().to_owned(),
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let channel = Endpoint::from_shared(format!("http://{address}")).expect("an address").connect().await;
    Server { process, channel: channel.expect("the server answers"), _dir: dir }
}

fn budget() -> Vec<v1::Budget> {
    vec![v1::Budget { max_limit: 1e9, reset_duration: "1d".to_owned(), ..Default::default() }]
}

/// Ten customers, a hundred teams, and so many keys.
async fn organise(channel: &Channel, keys: usize) -> Vec<String> {
    let governance = v1::ProviderGovernance { provider: "openai".to_owned(), budgets: budget(), ..Default::default() };
    let request = v1::UpdateProviderGovernanceRequest { provider_governance: Some(governance), ..Default::default() };
    ProviderGovernanceServiceClient::new(channel.clone()).update_provider_governance(request).await.expect("accepted");
    let mut teams = Vec::new();
    for number in 0..TEAMS {
        if number % 10 == 0 {
            let name = format!("customer {number}");
            let customer = Some(v1::Customer { name, budgets: budget(), ..Default::default() });
            let request = v1::CreateCustomerRequest { customer, ..Default::default() };
            let made = CustomerServiceClient::new(channel.clone()).create_customer(request).await.expect("accepted");
            teams.push((made.into_inner().customer.expect("the customer").id, String::new()));
        }
        let customer_id = teams[number / 10 * 10].0.clone();
        let name = format!("team {number}");
        let team = Some(v1::Team { name, customer_id: customer_id.clone(), budgets: budget(), ..Default::default() });
        let request = v1::CreateTeamRequest { team, ..Default::default() };
        let made = TeamServiceClient::new(channel.clone()).create_team(request).await.expect("accepted");
        let id = made.into_inner().team.expect("the team").id;
        if number % 10 == 0 {
            teams[number].1 = id;
        } else {
            teams.push((customer_id, id));
        }
    }
    let teams = Arc::new(teams);
    stream::iter(0..keys)
        .map(|number| {
            let (channel, teams) = (channel.clone(), Arc::clone(&teams));
            async move {
                let rate_limit = v1::RateLimit {
                    token_max_limit: Some(i64::MAX / 2),
                    token_reset_duration: Some("1h".to_owned()),
                    request_max_limit: Some(i64::MAX / 2),
                    request_reset_duration: Some("1h".to_owned()),
                    ..Default::default()
                };
                let key = v1::VirtualKey {
                    name: format!("key {number}"),
                    team_id: teams[number % TEAMS].1.clone(),
                    budgets: budget(),
                    rate_limits: vec![rate_limit],
                    ..Default::default()
                };
                let request = v1::CreateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
                let made = VirtualKeyServiceClient::new(channel).create_virtual_key(request).await.expect("accepted");
                made.into_inner().virtual_key.expect("the key").id
            }
        })
        .buffer_unordered(256)
        .collect()
        .await
}

/// Reports until `stop`, and counts the entries that were acknowledged. `pace` is the time between two batches.
async fn report(
    channel: Channel,
    keys: Arc<Vec<String>>,
    node: String,
    pace: Option<Duration>,
    counted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) {
    let mut client = UsageServiceClient::new(channel);
    let registration = v1::RegisterNodeRequest { node_id: node.clone(), ..Default::default() };
    let incarnation = client.register_node(registration).await.expect("registered").into_inner().incarnation;
    let mut random = StdRng::seed_from_u64(incarnation.unsigned_abs());
    let (send, batches) = mpsc::channel(IN_FLIGHT);
    let mut acks = client.report_usage(ReceiverStream::new(batches)).await.expect("the stream begins").into_inner();
    let reader = tokio::spawn(async move {
        while let Some(ack) = acks.message().await.expect("acknowledged") {
            assert_eq!(ack.status(), v1::UsageAckStatus::Applied, "{}", ack.reason);
            counted.fetch_add(BATCH as u64, Ordering::Relaxed);
        }
    });
    let mut ticks = pace.map(tokio::time::interval);
    for sequence in 1.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let entry = |random: &mut StdRng| v1::UsageEntry {
            virtual_key_id: keys[random.random_range(0..keys.len())].clone(),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            requests: 1,
            input_tokens: 700,
            output_tokens: 300,
            cost_nano_usd: 1_234_567,
            occurred_at: None,
            ..Default::default()
        };
        let entries = (0..BATCH).map(|_| entry(&mut random)).collect();
        let batch =
            v1::ReportUsageRequest { node_id: node.clone(), incarnation, sequence, entries, ..Default::default() };
        if send.send(batch).await.is_err() {
            break;
        }
    }
    drop(send);
    reader.await.expect("the reader ends");
}

/// Entries per second.
async fn throughput(channel: &Channel, keys: &Arc<Vec<String>>, streams: usize, run: &str) -> f64 {
    let (counted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let nodes: Vec<_> = (0..streams)
        .map(|number| {
            let node = format!("{run}-{number}");
            let (counted, stop) = (Arc::clone(&counted), Arc::clone(&stop));
            tokio::spawn(report(channel.clone(), Arc::clone(keys), node, None, counted, stop))
        })
        .collect();
    tokio::time::sleep(WARM_UP).await;
    let (before, started) = (counted.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let rate = (counted.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for node in nodes {
        node.await.expect("the node ends");
    }
    rate
}

/// Milliseconds that writes took to be answered, and to reach a watcher: medians and 99th percentiles.
async fn configuration(channel: &Channel, keys: &Arc<Vec<String>>) -> [(f64, f64); 2] {
    let sent: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let request = v1::WatchConfigRequest { node_id: "bench".to_owned(), ..Default::default() };
    let mut stream = ConfigServiceClient::new(channel.clone()).watch_config(request).await.expect("it").into_inner();
    let (whole, mut is_whole) = mpsc::channel(1);
    let times = Arc::clone(&sent);
    let watcher = tokio::spawn(async move {
        let mut delivered = Vec::new();
        while let Ok(Some(message)) = stream.message().await {
            match message.event {
                Some(Event::Bookmark(bookmark)) if bookmark.snapshot_end => {
                    let _ = whole.send(()).await;
                }
                Some(Event::Batch(batch)) if !batch.snapshot => {
                    for resource in batch.upserts {
                        let Some(v1::config_resource::Resource::VirtualKey(key)) = resource.resource else { continue };
                        if key.description == "last" {
                            return delivered;
                        }
                        if let Some(at) = times.lock().expect("whole").remove(&key.description) {
                            delivered.push(at.elapsed().as_secs_f64() * 1e3);
                        }
                    }
                }
                _ => {}
            }
        }
        delivered
    });
    is_whole.recv().await;
    let mut client = VirtualKeyServiceClient::new(channel.clone());
    let mut answered = Vec::new();
    let until = Instant::now() + MEASURED;
    let mut number = 0_u64;
    while Instant::now() < until {
        number += 1;
        let description = format!("{number}");
        sent.lock().expect("whole").insert(description.clone(), Instant::now());
        let key = v1::VirtualKey { id: keys[0].clone(), description, ..Default::default() };
        let request = v1::UpdateVirtualKeyRequest { virtual_key: Some(key), ..Default::default() };
        let started = Instant::now();
        client.update_virtual_key(request).await.expect("accepted");
        answered.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last = v1::VirtualKey { id: keys[0].clone(), description: "last".to_owned(), ..Default::default() };
    let request = v1::UpdateVirtualKeyRequest { virtual_key: Some(last), ..Default::default() };
    client.update_virtual_key(request).await.expect("accepted");
    [percentiles(answered), percentiles(watcher.await.expect("the watcher ends"))]
}

fn percentiles(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(f64::NAN);
    (at(50), at(99))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test --benches` only asks whether it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let chosen: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for count in if chosen.is_empty() { vec![1_000, 100_000] } else { chosen } {
        let server = serve().await;
        let channel = &server.channel;
        let keys = Arc::new(organise(channel, count).await);
        let mut greatest: f64 = 0.0;
        for streams in [1, 8, 64] {
            let rate = throughput(channel, &keys, streams, &format!("node-{streams}")).await;
            greatest = greatest.max(rate);
            println!("{count:>7} keys, {streams:>2} streams: {rate:>9.0} entries/s, durable");
        }
        let [writes, watch] = configuration(channel, &keys).await;
        println!("{count:>7} keys, no usage:   write p50 {:.2} p99 {:.2} ms", writes.0, writes.1);
        println!("{count:>7} keys, no usage:   write to watcher p50 {:.2} p99 {:.2} ms", watch.0, watch.1);
        let (counted, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let pace = Duration::from_secs_f64(8.0 * BATCH as f64 / (greatest / 2.0));
        let nodes: Vec<_> = (0..8)
            .map(|number| {
                let (counted, stop) = (Arc::clone(&counted), Arc::clone(&stop));
                let node = format!("paced-{number}");
                tokio::spawn(report(channel.clone(), Arc::clone(&keys), node, Some(pace), counted, stop))
            })
            .collect();
        tokio::time::sleep(WARM_UP).await;
        let (before, started) = (counted.load(Ordering::Relaxed), Instant::now());
        let [writes, watch] = configuration(channel, &keys).await;
        let rate = (counted.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        for node in nodes {
            node.await.expect("the node ends");
        }
        println!("{count:>7} keys, {rate:.0} entries/s: write p50 {:.2} p99 {:.2} ms", writes.0, writes.1);
        println!("{count:>7} keys, {rate:.0} entries/s: write to watcher p50 {:.2} p99 {:.2} ms", watch.0, watch.1);
    }
}
