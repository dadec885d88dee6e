//! One run: replicas, a database of their own, clients, and faults until the time is over. Then everything is mended, and
//! what the clients saw is checked against the log that is left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::domain::Timestamp;
use tollgate::ledger::verify;
use tollgate::proto::v1::WatchConfigRequest;
use tollgate::reducer::View;
use tollgate::seeded::Bug;

use super::checker::{Violation, check};
use super::clients::Clients;
use super::history::{History, Outcome, Seen, WriteRecord};
use super::plan::{Fault, faults};
use super::replica::Replica;
use super::restore::restore;
use super::world::World;
use crate::log::Log;
use crate::usage::reporter::{Amounts, Limited, Progress, Reporter, prepare};
use crate::watch::api::Api;
use crate::watch::rig::{Node, endpoint, failure, soon};

const WRITERS: u64 = 3;
const WATCHERS: u64 = 3;
const NODES: u64 = 2;
const KEYS: usize = 4;

/// What a run is to be.
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) lasts: Duration,
    pub(crate) faults: Vec<Fault>,
    pub(crate) bug: Bug,
    /// Whether nodes report usage.
    pub(crate) reports: bool,
    /// Whether an older backup is put back at the end.
    pub(crate) restores: bool,
}

/// What it came to.
#[derive(Default, Debug)]
pub(crate) struct Totals {
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) acknowledged: usize,
    pub(crate) given_up: usize,
    pub(crate) unanswered: u64,
    pub(crate) streams: usize,
    pub(crate) copies: usize,
    pub(crate) batches: usize,
    pub(crate) sent_again: usize,
    /// From the end of the faults to the end of everything.
    pub(crate) converged_in: Duration,
    pub(crate) violations: Vec<Violation>,
}

/// The results of tasks; those that panicked, as complaints.
async fn join<T: 'static>(mut tasks: JoinSet<T>, complaints: &mut Vec<String>) -> Vec<T> {
    let mut results = Vec::new();
    while let Some(ended) = soon(tasks.join_next()).await {
        match ended {
            Ok(result) => results.push(result),
            Err(error) => complaints.push(failure(error)),
        }
    }
    results
}

/// One run.
pub(crate) async fn run(plan: Plan) -> Totals {
    let Plan { seed, lasts, faults: kinds, bug, reports, restores } = plan;
    let mut rng = StdRng::seed_from_u64(seed);
    let world = Arc::new(World::start(bug).await);
    let (limited, prepared) = {
        let api = Api(soon(endpoint(world.gates()[0]).connect()).await.unwrap());
        (prepare(&api, KEYS).await, api.team("the last that is prepared").await.revision)
    };
    let limited = Arc::new(limited);
    let clients = Arc::new(Clients::new(world.gates(), prepared));
    let mut history = History { prepared, started: Some(Timestamp::now()), ..History::default() };

    let mut crowd = Crowd::default();
    crowd.write(&clients, 0..WRITERS, &mut rng);
    crowd.watch(&clients, (0..WATCHERS).map(|_| Node::new(&[])), &mut rng);
    let (mut nodes, progress) = (JoinSet::new(), watch::Sender::new(Progress::default()));
    if reports {
        history.keys = limited.teams();
        for number in 0..NODES {
            let node = Reporter::new(format!("node {number}"), limited.key_ids(), rng.random());
            let node = node.at_pace(Duration::from_millis(5));
            nodes.spawn(Arc::clone(&clients).report(node, own(&mut rng), progress.clone()));
        }
    }

    // The faults, each in its time; they may overlap.
    let mut injected = JoinSet::new();
    for planned in faults(seed, &kinds) {
        tokio::time::sleep(planned.after).await;
        if clients.started.elapsed() > lasts {
            break;
        }
        injected.spawn(Arc::clone(&world).inject(planned));
    }
    join(injected, &mut history.complaints).await;
    let over = Instant::now();
    clients.done.send_replace(true);
    history.batches = join(nodes, &mut history.complaints).await.into_iter().flat_map(|node| node.ledger).collect();
    history.complaints.extend(progress.borrow().wrong.clone());
    let (log, watched) = crowd.finish(&world, &clients, &mut history, &mut rng).await;
    if reports {
        let mut counting = JoinSet::new();
        for replica in &world.replicas {
            counting.spawn(counted(replica.name.clone(), replica.gate.address, Arc::clone(&limited)));
        }
        history.counted = join(counting, &mut history.complaints).await;
    }
    let converged_in = over.elapsed();
    let since_the_start = |at: Instant| at.saturating_duration_since(clients.started);
    let stops = world.replicas.iter().flat_map(Replica::stops);
    history.stops = stops.map(|stop| since_the_start(stop.start)..since_the_start(stop.end)).collect();

    let (mut violations, mut copies) = check(&history, &log);
    if restores {
        let (more, compared) = restore(&world, watched, log.head.revision, &mut rng).await;
        violations.extend(more);
        copies += compared;
    }
    let count = |outcome: fn(&Outcome) -> bool| history.writes.iter().filter(|it| outcome(&it.outcome)).count();
    let mut faults = world.injected();
    faults.insert(Fault::StopReading, clients.stopped_reading.load(Ordering::SeqCst));
    if !violations.is_empty() {
        println!("{}", world.logs());
    }
    Totals {
        faults,
        acknowledged: count(|outcome| matches!(outcome, Outcome::Acknowledged { .. })),
        given_up: count(|outcome| *outcome == Outcome::Unknown),
        unanswered: clients.unanswered.load(Ordering::SeqCst),
        streams: history.streams.iter().flatten().filter(|seen| matches!(seen, Seen::Begun { .. })).count(),
        copies,
        batches: history.batches.len(),
        sent_again: history.batches.iter().filter(|batch| batch.duplicates > 0).count(),
        converged_in,
        violations,
    }
}

fn own(rng: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(rng.random())
}

/// Those who write and those who watch.
#[derive(Default)]
pub(crate) struct Crowd {
    writers: JoinSet<Vec<WriteRecord>>,
    watchers: JoinSet<(Vec<Seen>, Node)>,
}

impl Crowd {
    pub(crate) fn write(&mut self, clients: &Arc<Clients>, lanes: Range<u64>, rng: &mut StdRng) {
        for lane in lanes {
            self.writers.spawn(Arc::clone(clients).write(lane, own(rng)));
        }
    }

    pub(crate) fn watch(&mut self, clients: &Arc<Clients>, nodes: impl Iterator<Item = Node>, rng: &mut StdRng) {
        for node in nodes {
            self.watchers.spawn(Arc::clone(clients).watch(node, own(rng)));
        }
    }

    /// Everybody comes to an end, and every replica shows that it can write and what it holds. Returns the log that is
    /// left, and those who watched.
    pub(crate) async fn finish(
        self,
        world: &World,
        clients: &Arc<Clients>,
        history: &mut History,
        rng: &mut StdRng,
    ) -> (Log, Vec<Node>) {
        clients.done.send_replace(true);
        let complaints = &mut history.complaints;
        history.writes = join(self.writers, complaints).await.concat();
        for replica in &world.replicas {
            let name = format!("by {} after {}", replica.name, history.prepared);
            history.writes.push(soon(clients.write_at(replica.gate.address, name, own(rng))).await);
        }
        let store = world.store().await;
        let log = Log::read(&store).await;
        complaints.extend(verify(&store).await.unwrap().faults);
        store.close().await;
        let head = log.head.revision;
        clients.end.send_replace(Some(head));
        let (mut nodes, mut replicas) = (Vec::new(), JoinSet::new());
        for (number, (seen, node)) in join(self.watchers, complaints).await.into_iter().enumerate() {
            history.streams.push(seen);
            history.last.push((format!("watcher {number}"), node.reducer.state()));
            nodes.push(node);
        }
        for replica in &world.replicas {
            replicas.spawn(held(replica.name.clone(), replica.gate.address, head));
        }
        history.last.extend(join(replicas, complaints).await);
        (log, nodes)
    }
}

/// What the replica at `gate` has in memory, at `head` or later.
async fn held(name: String, gate: SocketAddr, head: i64) -> (String, Arc<View>) {
    let api = Api(soon(endpoint(gate).connect()).await.unwrap());
    let mut node = Node::new(&[]);
    let request = WatchConfigRequest { min_revision: head, ..node.request("") };
    node.send(api.0, request).await.unwrap();
    node.until_proved(head).await;
    (name, node.reducer.state())
}

/// What the replica at `gate` has counted. What others counted comes by itself.
async fn counted(name: String, gate: SocketAddr, limited: Arc<Limited>) -> (String, BTreeMap<String, Amounts>) {
    let api = Api(soon(endpoint(gate).connect()).await.unwrap());
    let counted = limited.counted(&api, false).await;
    soon(async {
        while limited.counted(&api, true).await != counted {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    (name, counted)
}
