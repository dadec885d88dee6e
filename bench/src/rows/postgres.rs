//! Row 2: durable writes on PostgreSQL, and how long another replica takes to deliver them.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::{Cluster, binaries};
use crate::load::{Times, open};
use crate::process::Place;
use crate::table::{Goal, Line, Runs};
use crate::target::Target;
use crate::{Bench, raw};

/// Clients, and the ratio to reach.
const CLIENTS: [(usize, Option<f64>); 4] = [(1, None), (16, Some(2.0)), (64, Some(2.0)), (256, None)];
/// Accounts, in units of 100,000.
const SCALE: &str = "10";
const INTERVAL: Duration = Duration::from_millis(10);

pub(crate) async fn postgres(bench: &mut Bench) {
    let Some(pgbench) = binaries().map(|dir| dir.join("pgbench")).filter(|file| file.exists()) else {
        bench.table.push(Line {
            row: 2,
            measure: "durable writes/s on PostgreSQL".to_owned(),
            tollgate: Runs::default(),
            beside: Some(("pgbench -N", Runs::default())),
            goal: Goal::Times(2.0),
        });
        return;
    };
    // The defaults of PostgreSQL, fsync among them.
    let cluster = Cluster::start(&[]);
    let accounts = cluster.create();
    let initialised = Command::new(&pgbench).args(["-i", "-q", "-s", SCALE, &accounts]).output();
    assert!(initialised.is_ok_and(|output| output.status.success()), "pgbench -i");
    let database = cluster.create();
    let target = Arc::new(Target::tollgate_at(Place::at(&bench.server, &database), 256).await);
    for (clients, goal) in CLIENTS {
        let (mut ours, mut theirs) = (Runs::default(), Runs::default());
        for _ in 0..bench.rounds {
            ours.push(super::writes::load(&target, clients, bench).await.0);
            theirs.push(transactions(&pgbench, clients, &accounts, bench));
        }
        bench.table.push(Line {
            row: 2,
            measure: format!("durable writes/s on PostgreSQL, clients: {clients}"),
            tollgate: ours,
            beside: Some(("pgbench -N", theirs)),
            goal: goal.map_or(Goal::None, Goal::Times),
        });
    }
    let replica = Place::at(&bench.server, &database);
    let replica_process = replica.start().await;
    let mut times: [Runs; 4] = Default::default();
    for _ in 0..bench.rounds {
        let found = delivery(&target, &replica_process.address, bench).await;
        times.iter_mut().zip(found).for_each(|(runs, time)| runs.push(time));
    }
    let measures = [
        "ms from the answer to delivery by another replica, p50",
        "ms from the answer to delivery by another replica, p99",
        "ms from sending to delivery by another replica, p50",
        "ms from sending to delivery by another replica, p99",
    ];
    for (measure, tollgate) in measures.into_iter().zip(times) {
        bench.table.push(Line { row: 2, measure: measure.to_owned(), tollgate, beside: None, goal: Goal::None });
    }
}

/// Transactions a second.
fn transactions(pgbench: &std::path::Path, clients: usize, database: &str, bench: &Bench) -> f64 {
    // It counts from when all its connections are there, but stops by when it began.
    let seconds = (bench.span.measured.as_secs() + 1 + clients as u64 / 64).to_string();
    let clients = clients.to_string();
    let output = Command::new(pgbench).args(["-N", "-n", "-j", "2", "-c", &clients, "-T", &seconds, database]).output();
    let output = output.expect("pgbench runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench: {said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Milliseconds from the answer of a write at one replica to its delivery at another (less than none if the watcher was
/// first), median and 99th percentile; then those from when it was meant to be sent.
async fn delivery(target: &Arc<Target>, other: &str, bench: &Bench) -> [f64; 4] {
    let watching = raw::connect(other, 1).await.remove(0);
    let mut stream = target.watch(watching).await;
    let channels = target.channels().await;
    let count = (bench.span.measured.as_millis() / INTERVAL.as_millis()) as usize;
    let watcher = Arc::clone(target);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // In the order of commits, which is that of sending at this pace but for a few.
        let mut delivered = Vec::with_capacity(count);
        while delivered.len() < count {
            let message = stream.message().await.expect("it streams").expect("it goes on");
            let now = Instant::now();
            watcher.delivered(message, |time| delivered.push((now - time, time)));
        }
        delivered
    });
    let answered = Arc::new(Mutex::new(Vec::with_capacity(count)));
    let write = |number: u32, intended: Instant| {
        let channel = channels[number as usize % channels.len()].clone();
        let (written, answered) = (target.write(channel, number as usize, intended), Arc::clone(&answered));
        async move {
            written.await;
            answered.lock().unwrap_or_else(PoisonError::into_inner).push((intended, Instant::now()));
        }
    };
    open(count as u32, INTERVAL, write).await;
    let mut delivered = tasks.join_next().await.expect("one").expect("the watcher lasts");
    let mut answered = std::mem::take(&mut *answered.lock().unwrap_or_else(PoisonError::into_inner));
    // Both by when they were meant to be sent.
    delivered.sort_unstable();
    answered.sort_unstable();
    let (mut whole, mut after) = (Times::default(), Vec::with_capacity(count));
    for ((sent, time), (_, answer)) in delivered.into_iter().zip(answered) {
        whole.push(time);
        let arrival = sent + time;
        let late = arrival.saturating_duration_since(answer).as_secs_f64();
        after.push((late - answer.saturating_duration_since(arrival).as_secs_f64()) * 1e3);
    }
    after.sort_by(f64::total_cmp);
    let after = |share: f64| after[((after.len() as f64 * share) as usize).min(after.len() - 1)];
    [after(0.5), after(0.99), whole.within(0.5), whole.within(0.99)]
}
