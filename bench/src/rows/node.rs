//! Rows 13 and 14: what a request costs at a node, in the process of its gateway and beside it.

use std::fs::File;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prost::Message as _;
use tempfile::TempDir;
use tokio::time::Instant;
use tollgate_node::proto::node::v1;
use tollgate_node::proto::node::v1::admit_response::Outcome;
use tollgate_node::{Credential, Estimate, Node, Request, SpendDimensions, Used};
use tonic::transport::Channel;

use crate::Bench;
use crate::keys::{Keys, Shape};
use crate::load::closed;
use crate::plain::ECHO;
use crate::process::{self, Place, Process};
use crate::raw;
use crate::table::{Goal, Line, Runs};
use crate::target::CONNECTIONS;

const KEYS: usize = 10_000;
const IN_FLIGHT: usize = 64;
/// Admissions of one run in which nothing waits for a disk.
const TIMES: u32 = 20_000;
const USED: Used = Used {
    provider: String::new(),
    model: String::new(),
    provider_key_id: String::new(),
    input_tokens: 700,
    cache_read_tokens: 0,
    cache_creation_tokens: 0,
    output_tokens: 300,
    cost_nano_usd: Some(1_234_567),
    dimensions: SpendDimensions::NONE,
};

pub(crate) async fn node(bench: &mut Bench) {
    let place = Place::sqlite(&bench.server);
    let server = place.start().await;
    let keys = Keys::create(&raw::connect(&server.address, CONNECTIONS).await, Shape::Full, KEYS).await;
    if bench.wants(13) {
        in_process(bench, &server, &keys).await;
    }
    if bench.wants(14) {
        beside(bench, &server, &keys).await;
    }
}

fn request(key: &str) -> Request<'_> {
    Request {
        credential: Credential::VirtualKeyId(key),
        provider: "openai",
        model: "gpt-4o",
        estimate: Estimate { input_tokens: Some(700), output_tokens: Some(300), cost_nano_usd: Some(2_000_000) },
        ..Request::default()
    }
}

async fn in_process(bench: &mut Bench, server: &Process, keys: &Keys) {
    let address = format!("http://{}", server.address);
    let dir = TempDir::new().expect("a directory");
    // Without a directory nothing is written: that is the work of the processor alone.
    let memory = Node::builder(&address).node_id("memory").start().await.expect("it starts");
    let disk = Node::builder(&address).node_id("disk").data_dir(dir.path()).start().await.expect("it starts");
    let (disk, next) = (Arc::new(disk), Arc::new(AtomicUsize::new(0)));
    let (mut micros, mut rates) = (Runs::default(), Runs::default());
    for _ in 0..bench.rounds {
        let started = Instant::now();
        for number in 0..TIMES {
            let key = &keys.ids[number as usize * 7 % KEYS];
            let granted = memory.admit(&request(key)).await.expect("it is within its limits");
            black_box(granted.settle(USED).await.expect("it is open"));
        }
        micros.push(started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
        let (node, keys, next) = (Arc::clone(&disk), keys.clone(), Arc::clone(&next));
        let call = move |_| {
            let (node, keys, number) = (Arc::clone(&node), keys.clone(), next.fetch_add(7, Ordering::Relaxed));
            async move {
                let key = &keys.ids[number % KEYS];
                let granted = node.admit(&request(key)).await.expect("it is within its limits");
                granted.settle(USED).await.expect("it is open");
            }
        };
        rates.push(closed(1_024, bench.span, call).await.0);
    }
    memory.shutdown().await;
    disk.shutdown().await;
    for (measure, tollgate, goal) in [
        ("µs to admit and settle in a node's process, in memory; 10,000 keys", micros, Goal::Under(6.0)),
        ("requests/s admitted and settled there, on the disk, in flight: 1,024", rates, Goal::AtLeast(150_000.0)),
    ] {
        bench.table.push(Line { row: 13, measure: measure.to_owned(), tollgate, beside: None, goal });
    }
}

/// The local service of a node.
struct Local {
    process: Process,
    channels: Vec<Channel>,
    keys: Keys,
    next: AtomicUsize,
}

impl Local {
    async fn start(bench: &Bench, server: &Process, keys: &Keys, dir: &Path) -> Self {
        let ready = dir.join("ready");
        let mut command = Command::new(&bench.server);
        command.args(["node", "--server", &format!("http://{}", server.address), "--node-id", "beside"]);
        command.args(["--listen", "127.0.0.1:0"]).arg("--data-dir").arg(dir.join("data"));
        command.arg("--ready-file").arg(&ready);
        let address = || Some(std::fs::read_to_string(&ready).ok()?.strip_suffix('\n')?.to_owned());
        let process = Process::start(&mut command, &dir.join("log"), address).await;
        let channels = raw::connect(&process.address, CONNECTIONS).await;
        Self { process, channels, keys: keys.clone(), next: AtomicUsize::new(0) }
    }

    fn request(&self) -> v1::AdmitRequest {
        let key = &self.keys.ids[self.next.fetch_add(7, Ordering::Relaxed) % KEYS];
        v1::AdmitRequest {
            credential: Some(v1::admit_request::Credential::VirtualKeyId(key.clone())),
            provider: "openai".to_owned(),
            model: "gpt-4o".to_owned(),
            estimate: Some(v1::Estimate {
                input_tokens: Some(700),
                output_tokens: Some(300),
                cost_nano_usd: Some(2_000_000),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    async fn admit(&self, client: usize) -> String {
        let path = "/tollgate.node.v1.GateService/Admit";
        let request = self.request().encode_to_vec().into();
        let answer = raw::unary(self.channels[client % CONNECTIONS].clone(), path, request).await.expect("it answers");
        match v1::AdmitResponse::decode(answer).expect("its answer").outcome {
            Some(Outcome::Admitted(admission)) => admission.admission_id,
            other => panic!("{other:?}"),
        }
    }

    async fn settle(&self, client: usize, admission_id: String) {
        let path = "/tollgate.node.v1.GateService/Settle";
        let used = v1::SettleRequest {
            admission_id,
            input_tokens: 700,
            output_tokens: 300,
            cost_nano_usd: Some(1_234_567),
            ..Default::default()
        };
        let used = used.encode_to_vec().into();
        raw::unary(self.channels[client % CONNECTIONS].clone(), path, used).await.expect("it is settled");
    }
}

async fn beside(bench: &mut Bench, server: &Process, keys: &Keys) {
    let dir = TempDir::new().expect("a directory");
    let local = Arc::new(Local::start(bench, server, keys, dir.path()).await);
    // Of the size of an admission's answer.
    let admission = local.admit(0).await;
    local.settle(0, admission).await;
    let plain_dir = TempDir::new().expect("a directory");
    let plain = process::plain(plain_dir.path(), 400).await;
    let plain_channels = raw::connect(&plain.address, CONNECTIONS).await;
    let [mut calls, mut echoes, mut settles, mut syncs]: [Runs; 4] = Default::default();
    for _ in 0..bench.rounds {
        let node = Arc::clone(&local);
        let pair = move |client| {
            let node = Arc::clone(&node);
            async move {
                let admission = node.admit(client).await;
                node.settle(client, admission).await;
            }
        };
        calls.push(closed(IN_FLIGHT, bench.span, pair).await.0 * 2.0);
        let (channels, asked) = (plain_channels.clone(), local.request().encode_to_vec());
        let echo = move |client: usize| {
            let call = raw::unary(channels[client % CONNECTIONS].clone(), ECHO, asked.clone().into());
            async { drop(call.await.expect("it answers")) }
        };
        echoes.push(closed(IN_FLIGHT, bench.span, echo).await.0);
        settles.push(settle_alone(&local, bench).await);
        syncs.push(sync_alone(dir.path(), bench));
    }
    for (measure, tollgate, beside, goal) in [
        ("calls/s of a node's local service, Admit then Settle, in flight: 64", calls, ("plain tonic", echoes), 0.7),
        ("ms p50 of Settle, one at a time", settles, ("one fsync", syncs), 1.5),
    ] {
        let goal = if beside.0 == "one fsync" { Goal::Within(goal) } else { Goal::Times(goal) };
        bench.table.push(Line { row: 14, measure: measure.to_owned(), tollgate, beside: Some(beside), goal });
    }
    drop(plain);
    if let Ok(local) = Arc::try_unwrap(local) {
        local.process.stop();
    }
}

/// Milliseconds of a settlement, nothing else being on its way.
async fn settle_alone(local: &Local, bench: &Bench) -> f64 {
    let (mut times, end) = (crate::load::Times::default(), Instant::now() + bench.span.measured);
    while Instant::now() < end {
        let admission = local.admit(0).await;
        let started = Instant::now();
        local.settle(0, admission).await;
        times.push(started.elapsed());
    }
    times.within(0.5)
}

/// Milliseconds to append a settlement's bytes to a file and have them on the disk.
fn sync_alone(dir: &Path, bench: &Bench) -> f64 {
    let mut file = File::options().create(true).append(true).open(dir.join("synced")).expect("a file");
    let (mut times, end) = (crate::load::Times::default(), Instant::now() + bench.span.measured);
    while Instant::now() < end {
        let started = Instant::now();
        file.write_all(&[7; 120]).expect("written");
        file.sync_data().expect("on the disk");
        times.push(started.elapsed());
    }
    times.within(0.5)
}
