//! Counts the instructions of the hot paths under valgrind, and compares them with those of `bench/instructions.txt`:
//! `just instructions`. Clocks tell too little on a busy machine; instructions hardly vary.
//!
//! Each path is run twice, with less and with more repetitions; what it costs is the difference, so that whatever comes
//! before and after does not count.

#![expect(clippy::expect_used, clippy::panic, reason = "a path that cannot be run has no cost")]

#[path = "../../../benches/decisions/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tollgate::decision::{self, NoUsage};
use tollgate::domain::VirtualKey;
use tollgate::ledger::{Ack, Batch, Call, Clock, Command as Write, Ledger, LedgerTasks};
use tollgate::settings::{CreditSettings, RetentionSettings, SpendSettings, WatchSettings};
use tollgate::state::{self, UsageMoves};
use tollgate::store::{DatabaseUrl, Registration, Store};
use tollgate::usage::Entry;
use tollgate::watch::{Currency, Filter, Subscription, Watch};

use world::World;

/// What each path may cost more than it did, in percent, before that is a failure.
const TOLERANCE: f64 = 10.0;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str = "\
# Instructions that the hot paths of Tollgate take: `just instructions` counts them and compares, and
# `just instructions --renew` writes this file.
";
/// Changes in a batch, and in a commit.
const CHANGES: usize = 32;
/// Streams that a batch is for.
const STREAMS: usize = 100;
/// Entries of a batch of usage.
const ENTRIES: usize = 100;
/// Keys of the worlds: what these paths cost does not depend on it.
const KEYS: usize = 500;

/// Counts the instructions of the hot paths, and compares them with the baseline.
#[derive(Parser)]
struct Args {
    /// Write the baseline instead of comparing with it
    #[arg(long)]
    renew: bool,

    /// Run this path, uncounted, for this program itself
    #[arg(long, value_enum, hide = true, requires = "times")]
    path: Option<Path>,

    /// How many times to run it
    #[arg(long, hide = true)]
    times: Option<usize>,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum Path {
    /// A decision: 20 rules, 10 limits.
    Decision,
    /// A price, among overrides that do not apply.
    Price,
    /// A batch of 32 changes, for 100 streams.
    Batch,
    /// A commit of 32 new keys, on SQLite.
    Commit,
    /// A batch of 100 entries of usage, on SQLite.
    Usage,
}

impl Path {
    fn name(self) -> String {
        self.to_possible_value().expect("none is skipped").get_name().to_owned()
    }

    /// Repetitions: less, and more.
    fn repetitions(self) -> [usize; 2] {
        match self {
            Self::Decision | Self::Price => [100, 3_100],
            Self::Batch | Self::Commit | Self::Usage => [5, 45],
        }
    }

    fn run(self, times: usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        match self {
            Self::Decision => decide(times),
            Self::Price => price(times),
            Self::Batch => runtime.block_on(deliver(times)),
            Self::Commit => runtime.block_on(commit(times)),
            Self::Usage => runtime.block_on(count(times)),
        }
    }
}

fn decide(times: usize) {
    let world = World::new(KEYS);
    let request = world.request();
    for _ in 0..times {
        black_box(decision::explain(world.state.config(), &NoUsage, black_box(&request)));
    }
}

fn price(times: usize) {
    let world = World::new(KEYS);
    let request = world.price();
    for _ in 0..times {
        black_box(decision::resolve_price(world.state.config(), black_box(&request)));
    }
}

/// Has 100 streams deliver states that are 32 changes apart. All states are made, whatever is delivered of them.
async fn deliver(times: usize) {
    let most = Path::Batch.repetitions()[1];
    assert!(times <= most, "there are that many states");
    let mut world = World::new(KEYS);
    let mut states = vec![Arc::new(world.state.clone())];
    for number in 0..most {
        for change in 0..CHANGES {
            let key = world::key(KEYS + number * CHANGES + change, "");
            world::add::<VirtualKey>(&mut world.state, None, &key);
        }
        states.push(Arc::new(world.state.clone()));
    }
    let (publish, published) = watch::channel(Arc::clone(&states[0]));
    let watch = Watch::new(
        published,
        watch::Sender::new(UsageMoves::default()),
        Arc::new(|| world::NOW),
        Arc::new(|| std::future::ready(Ok(())).boxed()),
        Currency::new(|| std::time::Duration::ZERO),
        WatchSettings::default(),
        CancellationToken::new(),
    );
    let mut followers = Vec::new();
    for _ in 0..STREAMS {
        let subscription = Subscription {
            node_id: String::new(),
            filter: Filter::ALL,
            resume_token: String::new(),
            min_revision: 0,
            include_usage: false,
            incarnations: Vec::new(),
        };
        let mut follower = watch.begin(subscription, CancellationToken::new()).await.expect("it begins");
        // The begin, then the snapshot to its end.
        while let Some(Some(_)) = follower.next().now_or_never() {}
        followers.push(follower);
    }
    for state in states.iter().skip(1).take(times) {
        publish.send(Arc::clone(state)).expect("somebody follows");
        for follower in &mut followers {
            // With its bookmark.
            let batch = follower.next().await.expect("it goes on");
            black_box(batch);
        }
    }
}

/// A ledger on a database of its own, with a key.
async fn ledger(dir: &TempDir) -> (Ledger, LedgerTasks, String) {
    let url = format!("sqlite://{}", dir.path().join("tollgate.db").display());
    let store = Store::open(&DatabaseUrl::parse(&url).expect("a URL"), 4).await.expect("it opens");
    let (retention, spend, credit) =
        (RetentionSettings::default(), SpendSettings::default(), CreditSettings::default());
    let started = Ledger::start(Arc::new(store), retention, spend, credit, "bench".into(), Clock::system(), Vec::new());
    let (ledger, tasks) = started.await.expect("it starts");
    let key = create(&ledger, 0).await;
    (ledger, tasks, key)
}

/// The id of the new key.
async fn create(ledger: &Ledger, number: usize) -> String {
    let key = world::key(number, "");
    let write = Write {
        decide: Box::new(move |state, cx| state::create(state, cx, None, &key)),
        answer: Box::new(|_, decision, _| decision.subject.id.as_bytes().to_vec()),
    };
    let call = Call::of("tollgate.v1.VirtualKeyService/CreateVirtualKey");
    let answer = ledger.submit(call, write).await.expect("it is committed");
    String::from_utf8(answer.response.to_vec()).expect("an id")
}

async fn commit(times: usize) {
    let dir = TempDir::new().expect("a directory");
    let (ledger, tasks, _) = ledger(&dir).await;
    for number in 0..times {
        join_all((0..CHANGES).map(|change| create(&ledger, 1 + number * CHANGES + change))).await;
    }
    tasks.finish().await;
}

async fn count(times: usize) {
    let dir = TempDir::new().expect("a directory");
    let (ledger, tasks, key) = ledger(&dir).await;
    let registration = Registration {
        node_id: "node".to_owned(),
        version: String::new(),
        metadata: "{}".to_owned(),
        registered_by: String::new(),
        at: ledger.now(),
    };
    let incarnation = ledger.register_node(registration).await.expect("registered");
    for sequence in 1..=times as i64 {
        let entry = || Entry {
            virtual_key_id: key.as_str().into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            requests: 1,
            input_tokens: 700,
            output_tokens: 300,
            cost: 1_234_567,
            ..Entry::default()
        };
        let batch = Batch {
            caller: "".into(),
            node_id: "node".into(),
            incarnation,
            sequence,
            fingerprint: [7; 32],
            entries: (0..ENTRIES).map(|_| Ok(entry())).collect(),
            credit_used: Vec::new(),
        };
        let ack = ledger.report_usage(batch).await.expect("it is counted").ack;
        assert!(matches!(ack, Ack::Applied { ref rejected, .. } if rejected.is_empty()), "{ack:?}");
    }
    tasks.finish().await;
}

/// The instructions of `path` run so many times, with all that is around it.
fn instructions(path: Path, times: usize) -> f64 {
    let this = std::env::current_exe().expect("this program");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]).arg(this);
    valgrind.args(["--path", &path.name(), "--times", &times.to_string()]);
    let output = valgrind.output().expect("valgrind is installed (apt-get install valgrind)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", path.name());
    let counted = said.lines().find_map(|line| {
        let (_, count) = line.split_once("I ")?.1.split_once("refs:")?;
        count.trim().replace(',', "").parse().ok()
    });
    counted.unwrap_or_else(|| panic!("valgrind counted nothing: {said}"))
}

fn cost(path: Path) -> f64 {
    let [less, more] = path.repetitions();
    (instructions(path, more) - instructions(path, less)) / (more - less) as f64
}

fn baseline() -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(BASELINE).unwrap_or_default();
    let line = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let (Some(path), Some(times)) = (args.path, args.times) {
        path.run(times);
        return ExitCode::SUCCESS;
    }
    let (baseline, mut renewed, mut worse, mut better) = (baseline(), HEAD.to_owned(), false, false);
    for path in Path::value_variants() {
        let (name, cost) = (path.name(), cost(*path));
        let _ = writeln!(renewed, "{name} {cost:.0}");
        let before = baseline.get(&name).copied().unwrap_or(f64::NAN);
        let percent = (cost / before - 1.0) * 100.0;
        println!("{name:<10} {cost:>12.0} instructions, {before:>12.0} in the baseline: {percent:+.1} %");
        // A path that the baseline does not have is no better.
        worse |= percent.is_nan() || percent > TOLERANCE;
        better |= percent < -TOLERANCE;
    }
    if args.renew {
        std::fs::write(BASELINE, renewed).expect("the baseline can be written");
        return ExitCode::SUCCESS;
    }
    if worse {
        eprintln!(
            "A hot path takes more than {TOLERANCE} % more instructions than in bench/instructions.txt. Make it cheaper; \
             or, if it is worth it or the toolchain has changed, run `just instructions --renew` and say why in the commit."
        );
        return ExitCode::FAILURE;
    }
    if better {
        println!("A hot path got cheaper: run `just instructions --renew`, so that it stays so.");
    }
    ExitCode::SUCCESS
}
