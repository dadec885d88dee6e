//! A node that reports what it consumed, and its ledger.

use std::collections::{BTreeMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::watch;
use tollgate::proto::v1::LimitKind;
use tonic::transport::Channel;

use super::history::currents;
use super::spend::{listed, timestamp};
use super::*;

/// Batches that a node has on their way at most.
const AHEAD: usize = 8;

/// How far all nodes are.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    pub(crate) acked: u64,
    /// What a node was answered that cannot be.
    pub(crate) wrong: Option<String>,
}

/// Requests, tokens and nano-dollars.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Amounts {
    pub(crate) requests: i64,
    pub(crate) tokens: i64,
    pub(crate) cost: i64,
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.tokens += other.tokens;
        self.cost += other.cost;
    }
}

/// A batch in the ledger of its node.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Reported {
    pub(crate) incarnation: i64,
    pub(crate) sequence: i64,
    /// What it says was consumed, by key.
    pub(crate) consumed: BTreeMap<String, Amounts>,
    /// How often it was acknowledged as counted now, and as counted before.
    pub(crate) applied: u32,
    pub(crate) duplicates: u32,
}

/// A node and its ledger: every batch that it made. Those that were not acknowledged yet, it still has.
pub(crate) struct Reporter {
    node_id: String,
    keys: Arc<[String]>,
    rng: StdRng,
    incarnation: i64,
    sequence: i64,
    waiting: VecDeque<v1::ReportUsageRequest>,
    /// Between two batches.
    pace: Duration,
    pub(crate) ledger: Vec<Reported>,
}

impl Reporter {
    /// A node that reports as fast as it can.
    pub(crate) fn new(node_id: String, keys: Arc<[String]>, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let (waiting, ledger) = (VecDeque::new(), Vec::new());
        Self { node_id, keys, rng, incarnation: 0, sequence: 0, waiting, pace: Duration::ZERO, ledger }
    }

    pub(crate) fn at_pace(self, pace: Duration) -> Self {
        Self { pace, ..self }
    }

    /// One stream. Whether all is reported and acknowledged; it may also be dropped at any time.
    pub(crate) async fn session(
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
            if let Some(batch) = self.waiting.pop_front() {
                self.note(&batch, ack.status() == Applied);
            }
            progress.send_modify(|progress| progress.acked += 1);
            if !self.pace.is_zero() {
                tokio::time::sleep(self.pace).await;
            }
        }
    }

    /// Notes that a batch was acknowledged.
    fn note(&mut self, batch: &v1::ReportUsageRequest, applied: bool) {
        let of = (batch.incarnation, batch.sequence);
        let noted = self.ledger.iter_mut().rev().find(|noted| (noted.incarnation, noted.sequence) == of).unwrap();
        match applied {
            true => noted.applied += 1,
            false => noted.duplicates += 1,
        }
    }

    /// Uses some of the keys, and notes it.
    fn consume(&mut self) {
        self.sequence += 1;
        let Self { incarnation, sequence, .. } = *self;
        let (mut entries, mut consumed) = (Vec::new(), BTreeMap::<String, Amounts>::new());
        for _ in 0..self.rng.random_range(1..20) {
            let key = self.keys[self.rng.random_range(0..self.keys.len())].clone();
            let mut entry = entry(&key, self.rng.random_range(0..1_000));
            entry.requests = self.rng.random_range(0..3);
            let v1::UsageEntry { requests, cost_nano_usd: cost, .. } = entry;
            let tokens = entry.input_tokens + entry.output_tokens;
            *consumed.entry(key).or_default() += Amounts { requests, tokens, cost };
            entries.push(entry);
        }
        self.ledger.push(Reported { incarnation, sequence, consumed, ..Reported::default() });
        let node_id = self.node_id.clone();
        self.waiting.push_back(v1::ReportUsageRequest {
            node_id,
            incarnation,
            sequence,
            entries,
            ..Default::default()
        });
    }
}

/// A team and so many keys of it, each with limits whose windows are long.
pub(crate) async fn prepare(api: &Api, keys: usize) -> Limited {
    let rate_limit = || {
        vec![v1::RateLimit {
            token_max_limit: Some(1_000_000),
            token_reset_duration: Some("10Y".to_owned()),
            request_max_limit: Some(1_000),
            request_reset_duration: Some("9Y".to_owned()),
            ..Default::default()
        }]
    };
    let budgets = || vec![budget("10Y")];
    let team =
        v1::Team { name: "team".to_owned(), budgets: budgets(), rate_limits: rate_limit(), ..Default::default() };
    let team = api.create_team(team).await.unwrap();
    let mut all = Vec::new();
    for name in 0..keys {
        let key = v1::VirtualKey {
            name: name.to_string(),
            team_id: team.id.clone(),
            budgets: budgets(),
            rate_limits: rate_limit(),
            ..Default::default()
        };
        all.push(api.create_virtual_key(key).await.unwrap());
    }
    Limited { team, keys: all }
}

/// What usage is counted for.
pub(crate) struct Limited {
    pub(crate) team: v1::Team,
    pub(crate) keys: Vec<v1::VirtualKey>,
}

impl Limited {
    /// The team of each key.
    pub(crate) fn teams(&self) -> BTreeMap<String, String> {
        self.keys.iter().map(|key| (key.id.clone(), self.team.id.clone())).collect()
    }

    pub(crate) fn key_ids(&self) -> Arc<[String]> {
        self.keys.iter().map(|key| key.id.clone()).collect()
    }

    /// What is counted for the team and each key, by id.
    pub(crate) async fn counted(&self, api: &Api, from_memory: bool) -> BTreeMap<String, Amounts> {
        let team = (&self.team.id, &self.team.budgets[0].id, &self.team.rate_limits[0].id);
        let keys = self.keys.iter().map(|key| (&key.id, &key.budgets[0].id, &key.rate_limits[0].id));
        let counted = currents(api, from_memory).await;
        let used = |id: &String, kind| counted[&(id.clone(), kind)].used;
        let told = keys.chain([team]).map(|(owner, budget, rate)| {
            let requests = used(rate, LimitKind::Requests);
            let (tokens, cost) = (used(rate, LimitKind::Tokens), used(budget, LimitKind::Budget));
            (owner.clone(), Amounts { requests, tokens, cost })
        });
        told.collect()
    }
}

impl Limited {
    /// What is spent by the team and each key, by id.
    pub(crate) async fn spent(&self, api: &Api) -> BTreeMap<String, Amounts> {
        let mut spent = self.keys.iter().map(|key| (key.id.clone(), Amounts::default())).collect::<BTreeMap<_, _>>();
        let now = jiff::Timestamp::now().as_microsecond();
        let hour = 3_600_000_000;
        let request = v1::ListSpendRequest {
            from: timestamp((now / hour - 48) * hour),
            group_by: vec!["team".to_owned(), "virtual_key".to_owned()],
            page_size: 1_000,
            ..Default::default()
        };
        for row in listed(api, request).await.unwrap().0 {
            let v1::SpendAmounts { requests, input_tokens, output_tokens, cost_nano_usd: cost, .. } =
                row.amounts.unwrap();
            let amounts = Amounts { requests, tokens: input_tokens + output_tokens, cost };
            *spent.entry(row.virtual_key_id).or_default() += amounts;
            *spent.entry(row.team_id).or_default() += amounts;
        }
        spent
    }
}

/// What ledgers sum up to, for each key and for the team that `keys` names for it.
pub(crate) fn consumed<'a>(
    batches: impl IntoIterator<Item = &'a Reported>,
    keys: &BTreeMap<String, String>,
) -> BTreeMap<String, Amounts> {
    let mut sums = BTreeMap::<String, Amounts>::new();
    for (key, amounts) in batches.into_iter().flat_map(|batch| &batch.consumed) {
        for of in [Some(key), keys.get(key)].into_iter().flatten() {
            *sums.entry(of.clone()).or_default() += *amounts;
        }
    }
    sums
}
