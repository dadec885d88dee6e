//! Rows 6, 7, 10 and 12: what grows with the number of keys, and what must not.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use prost::Message as _;
use tokio::time::Instant;
use tollgate::proto::v1;
use tonic::transport::Channel;

use crate::keys::{Keys, Shape};
use crate::load::Times;
use crate::process::{self, Place, Process};
use crate::table::{Goal, Line, Runs, number};
use crate::target::{CONNECTIONS, Clock, Delivered, LIST, UPDATE, WATCH_CONFIG};
use crate::{Bench, plain, raw};

/// Changes that a stream resumes over.
const CHANGES: usize = 1_000;
/// Calls whose median is a run's value.
const CALLS: usize = 50;
const MIB: f64 = 1024.0 * 1024.0;

/// A server with so many keys.
struct Sized {
    _process: Process,
    channels: Vec<Channel>,
    keys: Keys,
    clock: Clock,
    /// Seconds from its start until it answered.
    started_in: Runs,
    /// Bytes that it had then.
    memory: Runs,
    _place: Place,
}

impl Sized {
    async fn make(bench: &Bench, count: usize) -> Self {
        let place = Place::sqlite(&bench.server);
        let mut process = place.start().await;
        let keys = Keys::create(&raw::connect(&process.address, CONNECTIONS).await, Shape::Full, count).await;
        let (mut started_in, mut memory) = (Runs::default(), Runs::default());
        for _ in 0..bench.rounds {
            process.stop();
            let started = Instant::now();
            process = place.start().await;
            started_in.push(started.elapsed().as_secs_f64());
            memory.push(process.memory());
        }
        let channels = raw::connect(&process.address, CONNECTIONS).await;
        Self { _process: process, channels, keys, clock: Clock::new(), started_in, memory, _place: place }
    }

    fn count(&self) -> usize {
        self.keys.ids.len()
    }

    async fn update(&self, number: usize) {
        let request = self.keys.update(number, self.clock.stamp(Instant::now())).encode_to_vec();
        raw::unary(self.channels[number % CONNECTIONS].clone(), UPDATE, request.into()).await.expect("it is written");
    }

    /// Reads from a stream that begins at `token` until `done` finds the bookmark that it waits for. How long that took,
    /// the sizes of the messages, and the bookmark.
    async fn follow(&self, token: &str, done: fn(&v1::Bookmark) -> bool) -> (Duration, Vec<usize>, v1::Bookmark) {
        let request = v1::WatchConfigRequest { resume_token: token.to_owned(), ..Default::default() };
        let started = Instant::now();
        let channel = self.channels[0].clone();
        let stream = raw::server_streaming(channel, WATCH_CONFIG, request.encode_to_vec().into()).await;
        let (mut stream, mut sizes) = (stream.expect("it streams"), Vec::new());
        loop {
            let message = stream.message().await.expect("it streams").expect("it goes on");
            sizes.push(message.len());
            // A bookmark is short: nothing else need be read.
            if message.len() < 1_000
                && let Some(bookmark) = Delivered::read(&message).bookmark
                && done(&bookmark)
            {
                return (started.elapsed(), sizes, bookmark);
            }
        }
    }

    async fn snapshot(&self) -> (Duration, Vec<usize>, v1::Bookmark) {
        self.follow("", |bookmark| bookmark.snapshot_end).await
    }

    /// Milliseconds to resume over [`CHANGES`].
    async fn resume(&self, token: &mut String) -> f64 {
        stream::iter(0..CHANGES).map(|number| self.update(number)).buffer_unordered(64).collect::<()>().await;
        let (time, _, bookmark) = self.follow(token, |_| true).await;
        *token = bookmark.resume_token;
        time.as_secs_f64() * 1e3
    }

    /// Median of the milliseconds that a page of 50 keys takes.
    async fn list(&self, from_memory: bool) -> f64 {
        let request: Bytes =
            v1::ListVirtualKeysRequest { page_size: 50, from_memory, ..Default::default() }.encode_to_vec().into();
        let mut times = Times::default();
        for _ in 0..CALLS {
            let started = Instant::now();
            raw::unary(self.channels[0].clone(), LIST, request.clone()).await.expect("it lists");
            times.push(started.elapsed());
        }
        times.within(0.5)
    }

    /// Medians of the milliseconds that a write takes to be answered, and to be delivered. `token` is of the last change.
    async fn write(&self, token: &str) -> (f64, f64) {
        let request = v1::WatchConfigRequest { resume_token: token.to_owned(), ..Default::default() };
        let channel = self.channels[1].clone();
        let stream = raw::server_streaming(channel, WATCH_CONFIG, request.encode_to_vec().into()).await;
        let mut stream = stream.expect("it streams");
        let (mut answered, mut delivered) = (Times::default(), Times::default());
        for number in 0..CALLS {
            let started = Instant::now();
            let answer = async {
                self.update(number).await;
                started.elapsed()
            };
            let delivery = async {
                loop {
                    let message = stream.message().await.expect("it streams").expect("it goes on");
                    if Delivered::read(&message).batch.is_some_and(|batch| !batch.upserts.is_empty()) {
                        return started.elapsed();
                    }
                }
            };
            let (answer, delivery) = tokio::join!(answer, delivery);
            answered.push(answer);
            delivered.push(delivery);
        }
        (answered.within(0.5), delivered.within(0.5))
    }
}

pub(crate) async fn sizes(bench: &mut Bench) {
    let counts = match (bench.million, bench.quick) {
        (true, _) => vec![1_000, 10_000, 100_000, 1_000_000],
        (false, true) => vec![1_000, 10_000],
        (false, false) => vec![1_000, 10_000, 100_000],
    };
    let empty = Place::sqlite(&bench.server).start().await.memory();
    let mut all = Vec::new();
    for count in counts {
        all.push(Sized::make(bench, count).await);
    }
    let large = all.iter().rfind(|sized| sized.count() <= 100_000).unwrap_or(&all[0]);
    if bench.wants(6) {
        snapshot(bench, large).await;
    }
    if bench.wants(7) {
        let mut times = vec![Runs::default(); all.len()];
        let mut tokens = Vec::new();
        for sized in &all {
            tokens.push(sized.snapshot().await.2.resume_token);
        }
        for _ in 0..bench.rounds * 3 {
            for ((sized, token), times) in all.iter().zip(&mut tokens).zip(&mut times) {
                times.push(sized.resume(token).await);
            }
        }
        flat(bench, 7, "ms to resume over 1,000 changes", &all, &times);
    }
    if bench.wants(10) {
        let memory = large.memory.map(|memory| (memory - empty) / large.count() as f64);
        for (measure, tollgate, goal) in [
            ("bytes of memory a key", memory, Goal::Under(2_048.0)),
            ("s to start", large.started_in.clone(), Goal::Under(3.0)),
        ] {
            let measure = format!("{measure}, {} keys", number(large.count() as f64));
            bench.table.push(Line { row: 10, measure, tollgate, beside: None, goal });
        }
    }
    if bench.wants(12) {
        let mut found: [Vec<Runs>; 4] = std::array::from_fn(|_| vec![Runs::default(); all.len()]);
        for _ in 0..bench.rounds {
            for (place, sized) in all.iter().enumerate() {
                let token = sized.snapshot().await.2.resume_token;
                found[0][place].push(sized.list(false).await);
                found[1][place].push(sized.list(true).await);
                let (answered, delivered) = sized.write(&token).await;
                found[2][place].push(answered);
                found[3][place].push(delivered);
            }
        }
        let measures = ["ms for a page of 50 from tables", "ms for a page of 50 from memory", "ms for a write"];
        for (measure, runs) in measures.into_iter().chain(["ms until a change is delivered"]).zip(&found) {
            flat(bench, 12, measure, &all, runs);
        }
        for sized in &all {
            let tollgate = sized.memory.map(|memory| memory / MIB);
            let measure = format!("MiB of memory, {} keys ({:.0} without)", number(sized.count() as f64), empty / MIB);
            bench.table.push(Line { row: 12, measure, tollgate, beside: None, goal: Goal::None });
        }
    }
}

/// Lines of what must not grow.
fn flat(bench: &mut Bench, row: u8, measure: &str, all: &[Sized], runs: &[Runs]) {
    for (sized, tollgate) in all.iter().zip(runs).skip(1) {
        let measure = format!("{measure}, {} keys", number(sized.count() as f64));
        let beside = Some(("1,000 keys", runs[0].clone()));
        bench.table.push(Line { row, measure, tollgate: tollgate.clone(), beside, goal: Goal::Within(1.2) });
    }
}

async fn snapshot(bench: &mut Bench, large: &Sized) {
    let dir = tempfile::TempDir::new().expect("a directory");
    let process = process::plain(dir.path(), 0).await;
    let channel = raw::connect(&process.address, 1).await.remove(0);
    let (mut ours, mut theirs) = (Runs::default(), Runs::default());
    let mut bytes = 0;
    for _ in 0..bench.rounds {
        let (time, sizes, _) = large.snapshot().await;
        ours.push(time.as_secs_f64() * 1e3);
        bytes = sizes.iter().sum();
        let started = Instant::now();
        let stream = raw::server_streaming(channel.clone(), plain::SEND, plain::sizes(sizes)).await;
        let mut stream = stream.expect("it streams");
        let mut received = 0;
        while let Some(message) = stream.message().await.expect("it streams") {
            received += message.len();
        }
        assert_eq!(received, bytes, "as much as Tollgate sent");
        theirs.push(started.elapsed().as_secs_f64() * 1e3);
    }
    bench.table.push(Line {
        row: 6,
        measure: format!("ms for a snapshot of {} keys, {:.0} MiB", number(large.count() as f64), bytes as f64 / MIB),
        tollgate: ours,
        beside: Some(("plain tonic", theirs)),
        goal: Goal::Within(1.5),
    });
}
