//! Rows 4 and 5: how many changes reach 1,000 streams, and how fast.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Streaming;

use crate::load::{Times, closed, open};
use crate::table::{Goal, Line, Runs};
use crate::target::Target;
use crate::{Bench, keys, plain, raw};

const STREAMS: usize = 1_000;
/// Each change is of another key than the last thousand, so that none is left out where changes are joined.
const KEYS: usize = 1_000;
const WRITERS: usize = 256;
/// Between two changes where it is measured how long they take.
const INTERVAL: Duration = Duration::from_millis(10);

/// 1,000 streams of a system, on connections of their own.
struct Watchers {
    target: Arc<Target>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    changes: AtomicU64,
    /// Whether times are taken too.
    timing: AtomicBool,
    times: Mutex<Times>,
}

impl Watchers {
    async fn open(target: Target) -> Self {
        let target = Arc::new(target);
        let (channels, counts) = (target.channels().await, Arc::new(Counts::default()));
        let mut tasks = JoinSet::new();
        for number in 0..STREAMS {
            let stream = target.watch(channels[number % channels.len()].clone()).await;
            tasks.spawn(follow(Arc::clone(&target), stream, Arc::clone(&counts)));
        }
        Self { target, counts, _tasks: tasks }
    }

    /// Changes a second that reached the streams while 256 clients wrote as fast as they could.
    async fn most(&self, bench: &Bench) -> f64 {
        let channels = self.target.channels().await;
        let (target, next) = (Arc::clone(&self.target), AtomicU64::new(0));
        let write = move |client: usize| {
            let number = next.fetch_add(1, Ordering::Relaxed) as usize;
            target.write(channels[client % channels.len()].clone(), number, Instant::now())
        };
        let counted = count(&self.counts, bench);
        let (counted, _) = tokio::join!(counted, closed(WRITERS, bench.span, write));
        // What is on its way still is of no interest to the next run.
        let mut before = u64::MAX;
        while before != self.counts.changes.load(Ordering::Relaxed) {
            before = self.counts.changes.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        counted
    }

    /// Median and 99th percentile of the milliseconds from when a change was meant to be sent to its delivery.
    async fn delay(&self, bench: &Bench) -> (f64, f64) {
        let channels = self.target.channels().await;
        let write = |number: u32, intended: Instant| {
            let channel = channels[number as usize % channels.len()].clone();
            self.target.write(channel, number as usize, intended)
        };
        let changes = |span: Duration| (span.as_millis() / INTERVAL.as_millis()) as u32;
        open(changes(bench.span.warm_up), INTERVAL, write).await;
        let before = self.counts.changes.load(Ordering::Relaxed);
        let count = changes(bench.span.measured);
        self.counts.timing.store(true, Ordering::Relaxed);
        open(count, INTERVAL, write).await;
        let all = u64::from(count) * STREAMS as u64;
        let patience = Instant::now() + Duration::from_secs(10);
        while self.counts.changes.load(Ordering::Relaxed) < before + all {
            assert!(Instant::now() < patience, "{}: changes were not delivered", self.target.name);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.counts.timing.store(false, Ordering::Relaxed);
        let mut times = std::mem::take(&mut *self.counts.times.lock().unwrap_or_else(PoisonError::into_inner));
        (times.within(0.5), times.within(0.99))
    }
}

async fn count(counts: &Counts, bench: &Bench) -> f64 {
    tokio::time::sleep(bench.span.warm_up).await;
    let (before, started) = (counts.changes.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(bench.span.measured).await;
    (counts.changes.load(Ordering::Relaxed) - before) as f64 / started.elapsed().as_secs_f64()
}

async fn follow(target: Arc<Target>, mut stream: Streaming<Bytes>, counts: Arc<Counts>) {
    while let Ok(Some(message)) = stream.message().await {
        let (timing, mut changes) = (counts.timing.load(Ordering::Relaxed), 0);
        target.delivered(message, |time| {
            changes += 1;
            if timing {
                counts.times.lock().unwrap_or_else(PoisonError::into_inner).push(time);
            }
        });
        counts.changes.fetch_add(changes, Ordering::Relaxed);
    }
}

/// Messages a second that a plain tonic server streams when they are always ready.
async fn prepared(target: &Target, bench: &Bench) -> f64 {
    let (channels, counts) = (target.channels().await, Arc::new(Counts::default()));
    let mut tasks = JoinSet::new();
    for number in 0..STREAMS {
        let channel = channels[number % channels.len()].clone();
        let mut stream =
            raw::server_streaming(channel, plain::REPEAT, plain::sizes([keys::SIZE])).await.expect("it streams");
        let counts = Arc::clone(&counts);
        tasks.spawn(async move {
            while let Ok(Some(_)) = stream.message().await {
                counts.changes.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    count(&counts, bench).await
}

pub(crate) async fn fan_out(bench: &mut Bench) {
    let mut all = vec![
        Watchers::open(Target::tollgate(&bench.server, KEYS).await).await,
        Watchers::open(Target::plain(0).await).await,
    ];
    if let Some(etcd) = &bench.etcd {
        all.push(Watchers::open(Target::etcd(etcd).await).await);
    }
    if bench.wants(4) {
        let mut rates: [Runs; 3] = Default::default();
        for _ in 0..bench.rounds {
            for (place, watchers) in all.iter().enumerate() {
                let prepares = watchers.target.name == "plain tonic";
                let rate = if prepares { prepared(&watchers.target, bench).await } else { watchers.most(bench).await };
                rates[place].push(rate);
            }
        }
        let [ours, plain, etcd] = rates;
        for (name, beside, goal) in [("etcd", etcd, 2.0), ("plain tonic", plain, 0.8)] {
            bench.table.push(Line {
                row: 4,
                measure: "changes/s delivered to 1,000 streams, most".to_owned(),
                tollgate: ours.clone(),
                beside: Some((name, beside)),
                goal: Goal::Times(goal),
            });
        }
    }
    if bench.wants(5) {
        let mut times: [[Runs; 3]; 2] = Default::default();
        for _ in 0..bench.rounds {
            for (place, watchers) in all.iter().enumerate() {
                let (p50, p99) = watchers.delay(bench).await;
                times[0][place].push(p50);
                times[1][place].push(p99);
            }
        }
        for (share, [ours, plain, etcd]) in ["p50", "p99"].into_iter().zip(times) {
            for (name, beside, goal) in [("etcd", etcd, Goal::Within(0.5)), ("plain tonic", plain, Goal::None)] {
                bench.table.push(Line {
                    row: 5,
                    measure: format!("ms until delivered to 1,000 streams, 100 changes/s, {share}"),
                    tollgate: ours.clone(),
                    beside: Some((name, beside)),
                    goal,
                });
            }
        }
    }
}
