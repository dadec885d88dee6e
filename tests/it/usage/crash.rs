//! The server is killed at random moments while nodes report, and is started again on the same file: what it acknowledged
//! is counted, once, and so is what nodes send again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollgate::proto::v1::LimitKind;
use tollgate::seeded::{Bug, VARIABLE};
use tonic::transport::Channel;

use super::history::currents;
use super::*;
use crate::crash::Server;
use crate::engine::Database;
use crate::watch::rig::soon;

/// How often the server is killed, where the environment does not say otherwise.
const KILLS: u64 = 8;
/// How often at most, for a bug to be found.
const KILLS_WITH_BUG: u64 = 30;
const NODES: usize = 4;
const KEYS: usize = 6;
/// Batches that a node has on their way at most.
const AHEAD: usize = 8;

/// Where the server is.
type Place = watch::Sender<Channel>;

/// How far all nodes are.
#[derive(Clone, Default)]
struct Progress {
    acked: u64,
    /// What a node was answered that cannot be.
    wrong: Option<String>,
}

/// Requests, tokens and nano-dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Amounts {
    requests: i64,
    tokens: i64,
    cost: i64,
}

impl Amounts {
    fn add(&mut self, entry: &v1::UsageEntry) {
        self.requests += entry.requests;
        self.tokens += entry.input_tokens + entry.output_tokens;
        self.cost += entry.cost_nano_usd;
    }
}

/// A node and its ledger: what it consumed by key, and the batches that were not acknowledged yet.
struct Reporter {
    node_id: String,
    keys: Arc<[String]>,
    rng: StdRng,
    incarnation: i64,
    sequence: i64,
    waiting: VecDeque<v1::ReportUsageRequest>,
    consumed: BTreeMap<String, Amounts>,
    batches: u64,
}

impl Reporter {
    /// Reports until `done` and everything is acknowledged, whatever becomes of the server.
    async fn run(
        mut self,
        place: Arc<Place>,
        mut done: watch::Receiver<bool>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let mut place = place.subscribe();
        loop {
            let channel = place.borrow_and_update().clone();
            if self.session(channel, &mut done, &progress).await {
                return self;
            }
            // The server is gone, or is about to be.
            soon(place.changed()).await.unwrap();
        }
    }

    /// One stream. Whether all is reported and acknowledged.
    async fn session(
        &mut self,
        channel: Channel,
        done: &mut watch::Receiver<bool>,
        progress: &watch::Sender<Progress>,
    ) -> bool {
        let mut client = UsageServiceClient::new(channel);
        // A node that lost its record numbers anew; what it still has of before, it delivers as it was.
        if self.incarnation == 0 || self.rng.random_bool(0.3) {
            let request = v1::RegisterNodeRequest { node_id: self.node_id.clone(), ..Default::default() };
            let Ok(answer) = client.register_node(request).await else { return false };
            (self.incarnation, self.sequence) = (answer.into_inner().incarnation, 0);
        }
        let (send, sent) = tokio::sync::mpsc::channel(AHEAD);
        let mut on_their_way = VecDeque::new();
        let stream = tokio_stream::wrappers::ReceiverStream::new(sent);
        let Ok(acks) = client.report_usage(stream).await else { return false };
        let mut acks = acks.into_inner();
        loop {
            while !*done.borrow() && self.waiting.len() < AHEAD {
                self.consume();
            }
            while let Some(batch) = self.waiting.get(on_their_way.len()).filter(|_| on_their_way.len() < AHEAD) {
                on_their_way.push_back(batch.sequence);
                if send.send(batch.clone()).await.is_err() {
                    return false;
                }
            }
            if on_their_way.is_empty() {
                return true;
            }
            let Ok(Some(ack)) = acks.message().await else { return false };
            assert_eq!(Some(ack.sequence), on_their_way.pop_front());
            let taken = [Applied, Duplicate].contains(&ack.status());
            if !taken || !ack.rejected_entries.is_empty() || ack.late_entries != 0 {
                progress.send_modify(|progress| progress.wrong = Some(format!("a batch is answered with {ack:?}")));
                return true;
            }
            self.waiting.pop_front();
            progress.send_modify(|progress| progress.acked += 1);
        }
    }

    /// Uses some of the keys, and notes it.
    fn consume(&mut self) {
        self.sequence += 1;
        self.batches += 1;
        let mut entries = Vec::new();
        for _ in 0..self.rng.random_range(1..20) {
            let key = self.keys[self.rng.random_range(0..self.keys.len())].clone();
            let mut entry = entry(&key, self.rng.random_range(0..1_000));
            entry.requests = self.rng.random_range(0..3);
            self.consumed.entry(key).or_default().add(&entry);
            entries.push(entry);
        }
        let Self { node_id, incarnation, sequence, .. } = self;
        let batch = v1::ReportUsageRequest {
            node_id: node_id.clone(),
            incarnation: *incarnation,
            sequence: *sequence,
            entries,
        };
        self.waiting.push_back(batch);
    }
}

/// A team and its keys, each with limits whose windows are long.
async fn prepare(api: &Api) -> (v1::Team, Vec<v1::VirtualKey>) {
    let rate_limit = || {
        Some(v1::RateLimit {
            token_max_limit: Some(1_000_000),
            token_reset_duration: Some("10Y".to_owned()),
            request_max_limit: Some(1_000),
            request_reset_duration: Some("9Y".to_owned()),
            ..Default::default()
        })
    };
    let budgets = || vec![budget("10Y")];
    let team = v1::Team { name: "team".to_owned(), budgets: budgets(), rate_limit: rate_limit(), ..Default::default() };
    let team = api.create_team(team).await.unwrap();
    let mut keys = Vec::new();
    for name in 0..KEYS {
        let key = v1::VirtualKey {
            name: name.to_string(),
            team_id: team.id.clone(),
            budgets: budgets(),
            rate_limit: rate_limit(),
            ..Default::default()
        };
        keys.push(api.create_virtual_key(key).await.unwrap());
    }
    (team, keys)
}

/// Kills the server so often while nodes report. What is counted must be what they noted, now and after every restart of
/// the server. The error says what is not.
async fn run(kills: u64, seed: u64, bug: Bug) -> Result<String, String> {
    let database = Database::new();
    let mut rng = StdRng::seed_from_u64(seed);
    let planted = format!("{bug:?}");
    let environment = [(VARIABLE, planted.as_str())];
    let (mut server, channel) = Server::start_with(&database, &environment).await;
    let (team, keys) = prepare(&Api(channel.clone())).await;
    let place = Arc::new(Place::new(channel));
    let progress = watch::Sender::new(Progress::default());
    let done = watch::Sender::new(false);

    let ids: Arc<[String]> = keys.iter().map(|key| key.id.clone()).collect();
    let mut nodes = JoinSet::new();
    for number in 0..NODES {
        let node = Reporter {
            node_id: format!("node {number}"),
            keys: Arc::clone(&ids),
            rng: StdRng::seed_from_u64(rng.random()),
            incarnation: 0,
            sequence: 0,
            waiting: VecDeque::new(),
            consumed: BTreeMap::new(),
            batches: 0,
        };
        nodes.spawn(node.run(Arc::clone(&place), done.subscribe(), progress.clone()));
    }
    for kill in 0..kills {
        // Counted in acknowledgements, then a moment that falls anywhere between two of them.
        let until = progress.borrow().acked + rng.random_range(20..120);
        let mut progress = progress.subscribe();
        let far = soon(progress.wait_for(|now| now.acked >= until || now.wrong.is_some())).await.unwrap().clone();
        if let Some(wrong) = far.wrong {
            return Err(wrong);
        }
        if kill % 2 == 1 {
            // A write that shares the ledger with the batches.
            let budgets = vec![v1::Budget { max_limit: 1.0 + kill as f64, ..team.budgets[0].clone() }];
            let raised = v1::Team { budgets, revision: 0, ..team.clone() };
            Api(place.borrow().clone()).update_team(raised, &["budgets"]).await.unwrap();
        }
        for _ in 0..rng.random_range(0..20_000) {
            std::hint::spin_loop();
        }
        server.kill();
        let channel;
        (server, channel) = Server::start_with(&database, &environment).await;
        place.send_replace(channel);
    }
    done.send_replace(true);
    let nodes = soon(nodes.join_all()).await;
    if let Some(wrong) = progress.borrow().wrong.clone() {
        return Err(wrong);
    }

    let mut expected: BTreeMap<&str, Amounts> = BTreeMap::new();
    for (key, consumed) in nodes.iter().flat_map(|node| &node.consumed) {
        let team = expected.entry(&team.id).or_default();
        team.requests += consumed.requests;
        team.tokens += consumed.tokens;
        team.cost += consumed.cost;
        let key = expected.entry(key).or_default();
        key.requests += consumed.requests;
        key.tokens += consumed.tokens;
        key.cost += consumed.cost;
    }
    let team = (&team.id, &team.budgets[0].id, &team.rate_limit.as_ref().unwrap().id);
    let keys = keys.iter().map(|key| (&key.id, &key.budgets[0].id, &key.rate_limit.as_ref().unwrap().id));
    let limits: Vec<_> = keys.chain([team]).collect();
    for what in ["before", "after"] {
        let counted = currents(&Api(place.borrow().clone()), false).await;
        let used = |id: &String, kind| counted[&(id.clone(), kind)].used;
        let told = limits.iter().map(|(owner, budget, rate)| {
            let requests = used(rate, LimitKind::Requests);
            let (tokens, cost) = (used(rate, LimitKind::Tokens), used(budget, LimitKind::Budget));
            (owner.as_str(), Amounts { requests, tokens, cost })
        });
        let told: BTreeMap<_, _> = told.collect();
        if told != expected {
            return Err(format!("{what} the last restart, {told:?} are counted instead of {expected:?}"));
        }
        server.kill();
        let channel;
        (server, channel) = Server::start_with(&database, &environment).await;
        place.send_replace(channel);
    }
    server.kill();
    Ok(format!("{kills} kills, {} batches", nodes.iter().map(|node| node.batches).sum::<u64>()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_consumed_is_counted_once_however_often_the_server_is_killed() {
    let kills = std::env::var("TOLLGATE_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    println!("{}", run(kills, kills, Bug::None).await.unwrap());
}

/// The test above finds it.
async fn found(bug: Bug) {
    let error = run(KILLS_WITH_BUG, 1, bug).await.expect_err("it is not found");
    println!("{bug:?}: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_finds_acknowledgements_that_come_before_the_commit() {
    found(Bug::AckBeforeCommit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_finds_a_watermark_in_a_transaction_of_its_own() {
    found(Bug::WatermarkApart).await;
}
