//! Nodes ask, spend, give back, report, connect anew and forget what they were told, at random, while servers are killed and
//! started again: no more is spent than there is, and whatever a node was told, the tables have.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;
use tollgate::credit::{Demand, Now, Purse, Reservation};
use tollgate::domain::Timestamp;
use tonic::transport::Channel;

use super::*;
use crate::engine::{Database, on_postgres};
use crate::process::Server;
use crate::watch::rig::endpoint;

const NODES: usize = 4;
const STEPS: usize = 1_500;
/// Between two kills.
const UNDISTURBED: usize = 250;
const MAX: i64 = 400;

/// A server, its client, and its directory.
struct Replica {
    server: Server,
    channel: Channel,
    directory: TempDir,
}

impl Replica {
    async fn start(url: &str, directory: TempDir) -> Self {
        let (server, address) = Server::launch(directory.path(), url, &[], &[]).await.unwrap();
        let channel = soon(endpoint(address).connect()).await.unwrap();
        Self { server, channel, directory }
    }
}

/// A node with a purse, as a real one has it.
struct Spender {
    node_id: String,
    incarnation: i64,
    purse: Purse,
    connections: u64,
    stream: Option<(mpsc::Sender<v1::ConnectRequest>, Streaming<v1::ConnectResponse>)>,
    open: Vec<Reservation>,
    /// Used, in all and in batches that were made.
    spent: i64,
    reported: i64,
    sequence: i64,
    /// The batch that was not acknowledged.
    batch: Option<v1::ReportUsageRequest>,
}

struct World {
    started: Instant,
    rng: StdRng,
    replicas: Vec<Replica>,
    nodes: Vec<Spender>,
    key: String,
    budget: CounterKey,
}

impl World {
    fn now(&self) -> Now {
        Now { at: Timestamp::now(), elapsed: self.started.elapsed() }
    }

    fn channel(&mut self) -> Channel {
        self.replicas.choose(&mut self.rng).unwrap().channel.clone()
    }

    /// Spent, and held by requests in flight, over all nodes.
    fn spent(&self) -> i64 {
        self.nodes.iter().map(|node| node.spent + node.purse.reserved(&self.budget)).sum()
    }

    async fn step(&mut self) {
        let (place, now) = (self.rng.random_range(0..NODES), self.now());
        let action = self.rng.random_range(0..100);
        let (channel, amount) = (self.channel(), self.rng.random_range(1..4));
        let budget = self.budget.clone();
        let node = &mut self.nodes[place];
        match action {
            0..40 => {
                let demand = [Demand { key: budget, amount, guessed: false }];
                match node.purse.admit(&demand, now) {
                    Ok(reservation) => node.open.push(reservation),
                    Err(_) => {
                        let want = node.purse.want(&demand, &[]);
                        node.send(want);
                    }
                }
            }
            40..65 if !node.open.is_empty() => {
                let reservation = node.open.remove(0);
                let held = reservation.amounts()[0].1;
                let used = self.rng.random_range(0..=held);
                node.spent += used;
                node.purse.settle(reservation, |_| used, now);
            }
            65..75 => node.report(channel, &self.key).await,
            75..80 => {
                let report = node.purse.give_all_back();
                node.send(report);
            }
            80..82 => node.stream = None,
            // A restart with what the outbox knows.
            82..84 if node.open.is_empty() => {
                let session = node.purse.session().unwrap_or_default();
                let used: Vec<_> = node.purse.used().map(|(key, used)| (key.clone(), used, 0)).collect();
                (node.purse, node.stream) = (Purse::restore(session, used), None);
            }
            _ => node.listen(channel, now).await,
        }
        assert!(self.spent() <= MAX, "{} was spent of {MAX}", self.spent());
    }
}

impl Spender {
    fn send(&mut self, report: Option<Report>) {
        let Some(report) = report.and_then(|report| wire::render_credit_report(report).report) else { return };
        if let Some((reports, _)) = &self.stream
            && reports.try_send(request([report])).is_err()
        {
            self.stream = None;
        }
    }

    /// Takes what came, or says hello.
    async fn listen(&mut self, channel: Channel, now: Now) {
        if self.stream.is_none() || self.purse.session().is_none() {
            self.connections += 1;
            let said = self.purse.hello(self.connections, now);
            let Some(v1::node_report::Report::Hello(said)) = wire::render_credit_report(said).report else { return };
            let said = v1::NodeHello { node_id: self.node_id.clone(), incarnation: self.incarnation, ..said };
            let (reports, sent) = mpsc::channel(256);
            reports.try_send(request([v1::node_report::Report::Hello(said)])).unwrap();
            let connected = NodeServiceClient::new(channel).connect(ReceiverStream::new(sent)).await;
            self.stream = connected.ok().map(|answers| (reports, answers.into_inner()));
        }
        loop {
            let Some((_, answers)) = &mut self.stream else { return };
            // No more than a pause: what does not come now is taken later.
            let answer = match tokio::time::timeout(Duration::from_millis(3), answers.message()).await {
                Err(_) => return,
                Ok(Ok(Some(answer))) => answer,
                Ok(_) => {
                    self.stream = None;
                    return;
                }
            };
            for directive in answer.directives.into_iter().filter_map(|it| it.directive) {
                let Ok(Some(directive)) = wire::parse_credit_directive(directive) else { continue };
                if let Directive::Welcome { connection, credits, .. } = &directive
                    && *connection == self.connections
                {
                    self.compare(credits);
                }
                let answer = self.purse.take(directive, now);
                self.send(answer);
            }
        }
    }

    /// The tables have whatever the node was told.
    fn compare(&self, credits: &[tollgate::credit::Credit]) {
        for (key, _) in self.purse.used() {
            let told = self.purse.account(key).granted;
            let kept = credits.iter().find(|credit| credit.key == *key).map_or(0, |credit| credit.account.granted);
            assert!(kept >= told, "{}: {told} was told, {kept} is in the tables", self.node_id);
        }
    }

    /// Reports what was spent, until it is acknowledged.
    async fn report(&mut self, channel: Channel, key: &str) {
        if self.batch.is_none() && self.spent > self.reported {
            self.sequence += 1;
            let entry = crate::usage::entry(key, self.spent - self.reported);
            self.reported = self.spent;
            let node_id = self.node_id.clone();
            let credit_used = wire::render_credit_used(self.purse.used());
            let batch = crate::usage::batch(self.incarnation, self.sequence, vec![entry]);
            self.batch = Some(v1::ReportUsageRequest { node_id, credit_used, ..batch });
        }
        let Some(batch) = self.batch.clone() else { return };
        let used = batch.credit_used.clone();
        let answered = UsageServiceClient::new(channel).report_usage(tokio_stream::iter([batch])).await;
        let Ok(answers) = answered else { return };
        if let Ok(Some(ack)) = soon(answers.into_inner().message()).await {
            let status = ack.status();
            assert!([v1::UsageAckStatus::Applied, v1::UsageAckStatus::Duplicate].contains(&status), "{ack:?}");
            self.batch = None;
            let path = tollgate::domain::Path::root("credit_used");
            let used = wire::parse_credit_used(used, &path, &mut tollgate::domain::Violations::new()).unwrap();
            used.iter().for_each(|used| self.purse.acknowledge(&used.key, used.used));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_is_spent_than_there_is_whatever_is_killed() {
    let seed = std::env::var("TOLLGATE_TEST_SEED").ok().map_or_else(rand::random, |seed| seed.parse().unwrap());
    println!("TOLLGATE_TEST_SEED={seed}");
    let database = Database::new();
    let url = database.settings.url.clone();
    let mut replicas = Vec::new();
    for _ in 0..if on_postgres() { 2 } else { 1 } {
        replicas.push(Replica::start(&url, TempDir::new().unwrap()).await);
    }
    let api = Api(replicas[0].channel.clone());
    let (key, budget) = limited(&api, MAX).await;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let node_id = format!("node {number}");
        let incarnation = register(&api, &node_id).await;
        nodes.push(Spender {
            node_id,
            incarnation,
            purse: Purse::default(),
            connections: 0,
            stream: None,
            open: Vec::new(),
            spent: 0,
            reported: 0,
            sequence: 0,
            batch: None,
        });
    }
    let mut world =
        World { started: Instant::now(), rng: StdRng::seed_from_u64(seed), replicas, nodes, key: key.id, budget };
    for step in 1..=STEPS {
        world.step().await;
        if step % UNDISTURBED == 0 {
            let place = world.rng.random_range(0..world.replicas.len());
            let Replica { server, directory, .. } = world.replicas.remove(place);
            server.kill();
            world.replicas.push(Replica::start(&url, directory).await);
            let limits = credit(&Api(world.channel())).await;
            assert!(limits.iter().all(|limit| limit.left >= 0), "{limits:?}");
        }
    }
    // All that is left is spent, and reported.
    let spent = soon(async {
        loop {
            world.step().await;
            let spent: i64 = world.nodes.iter().map(|node| node.spent).sum();
            if spent >= MAX - 4 && world.nodes.iter().all(|node| node.batch.is_none() && node.spent == node.reported) {
                return spent;
            }
        }
    })
    .await;
    let limits = credit(&Api(world.channel())).await;
    assert_eq!(limits.len(), 1);
    assert!(limits[0].left >= 0 && limits[0].overshoot == 0, "{limits:?}");
    assert_eq!(limits[0].counted, spent);
    for replica in world.replicas {
        replica.server.kill();
    }
    let (agrees, said) = crate::process::verify(&database, &[]);
    assert!(agrees, "{said}");
}
