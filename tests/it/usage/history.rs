//! Random histories of usage: nodes that report, repeat, leave gaps and come back, a server that restarts, limits and
//! owners that change meanwhile, and a clock that goes on over turns of windows. After every step, what the server tells
//! is what the model has; and so is what a stream of usage folds to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinSet;
use tollgate::proto::v1;
use tollgate::proto::v1::LimitKind;
use tollgate::proto::v1::budget_service_client::BudgetServiceClient;
use tollgate::proto::v1::rate_limit_service_client::RateLimitServiceClient;
use tollgate::proto::v1::usage_service_client::UsageServiceClient;

use super::model::window::Micros;
use super::model::{Current, Currents, Model};
use crate::watch::api::Api;
use crate::watch::rig::{self, Node, Rig};
use calls::micros;
use reports::Incarnation;

mod adjust;
mod calls;
mod config;
mod desired;
mod parents;
mod reports;
mod spend;
mod turns;

/// Histories, and the first seed, where the environment does not say otherwise.
const HISTORIES: u64 = 24;
const FIRST: u64 = 0;
const STEPS: usize = 60;
/// Histories at once.
const LANES: u64 = 8;
/// Until when a stream must have told all usage: it says something every second.
const TOLD: Duration = Duration::from_secs(20);

const PROVIDERS: [&str; 4] = ["openai", "anthropic", "unheard-of", ""];
/// What model configs are for.
const PATTERNS: [&str; 4] = ["gpt-4o", "gpt-*", "*", "o3"];
const MODELS: [&str; 6] = ["gpt-4o", "openai/gpt-4o", "*", "o3", "openai/o3", "openai/*"];

/// What a history did.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Done {
    steps: usize,
    writes: usize,
    batches: usize,
    entries: usize,
    events: usize,
}

impl Done {
    fn add(&mut self, other: Self) {
        let Self { steps, writes, batches, entries, events } = other;
        self.steps += steps;
        self.writes += writes;
        self.batches += batches;
        self.entries += entries;
        self.events += events;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_has_counted_what_the_model_says_in_every_window() {
    let of = |name: &str, otherwise| std::env::var(name).map_or(otherwise, |value| value.parse().unwrap());
    let first = of("TOLLGATE_TEST_USAGE_SEED", FIRST);
    let histories = of("TOLLGATE_TEST_USAGE_HISTORIES", HISTORIES);
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            let mut all = Done::default();
            for seed in (first + lane..first + histories).step_by(LANES as usize) {
                let done = run(seed).await.unwrap_or_else(|error| {
                    panic!("TOLLGATE_TEST_USAGE_SEED={seed} TOLLGATE_TEST_USAGE_HISTORIES=1 fails: {error}")
                });
                all.add(done);
            }
            all
        });
    }
    let mut all = Done::default();
    while let Some(lane) = lanes.join_next().await {
        all.add(lane.unwrap());
    }
    println!("{histories} histories: {all:?}");
}

/// One history. The error says what is counted otherwise than it should be.
pub(crate) async fn run(seed: u64) -> Result<Done, String> {
    let history = tokio::spawn(async move { History::start(seed).await.go().await });
    history.await.map_err(|error| match error.try_into_panic() {
        Ok(panic) => match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => panic.downcast_ref::<&str>().map(|it| (*it).to_owned()).unwrap_or_default(),
        },
        Err(error) => error.to_string(),
    })
}

struct History {
    rig: Rig,
    api: Api,
    rng: StdRng,
    clock: Arc<AtomicI64>,
    model: Model,
    incarnations: Vec<Incarnation>,
    watcher: Node,
    /// Whether entries may be so large that counters overflow; then what is refused depends on the order.
    huge: bool,
    /// The time zone of the days of spend.
    zone: &'static str,
    /// When the history began.
    began: Micros,
    names: u32,
    revision: i64,
    writes: usize,
    batches: usize,
    entries: usize,
}

impl History {
    async fn start(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let now = turns::beginning(&mut rng);
        let clock = Arc::new(AtomicI64::new(now));
        let mut rig = Rig::new();
        rig.clock = rig::clock(&clock);
        rig.settings.watch.heartbeat_interval = Duration::from_secs(1);
        // Events and spend are compared to the end, whatever time passes.
        rig.settings.retention.audit_retention = Duration::from_secs(100 * 365 * 86_400);
        rig.settings.spend.day_retention = Duration::from_secs(100 * 365 * 86_400);
        let zone = spend::zone(&mut rng);
        rig.settings.spend.time_zone = Some(zone.to_owned());
        rig.start().await;
        let api = rig.api().await;
        let mut history = Self {
            rig,
            api,
            rng,
            clock,
            model: Model { now, ..Model::default() },
            incarnations: Vec::new(),
            watcher: Node::new(&[]),
            huge: seed % 8 == 7,
            zone,
            began: now,
            names: 0,
            revision: 0,
            writes: 0,
            batches: 0,
            entries: 0,
        };
        for _ in 0..2 {
            history.register().await;
        }
        for _ in 0..12 {
            history.tick(1_000);
            history.configure().await;
        }
        history.tick(1_000);
        history.follow().await;
        history
    }

    async fn go(mut self) -> Done {
        for step in 0..STEPS {
            self.tick(1_000);
            let what = self.step().await;
            if let Err(difference) = self.compare().await {
                panic!("step {step}, {what}: {difference}");
            }
            if step % 20 == 19 {
                self.compare_told().await;
            }
            if step % 5 == 4
                && let Err(difference) = self.compare_spend().await
            {
                panic!("step {step}, {what}: {difference}");
            }
        }
        if let Err(difference) = self.compare_events().await {
            panic!("{difference}");
        }
        self.restart().await;
        if let Err(difference) = self.compare().await {
            panic!("after a restart: {difference}");
        }
        for _ in 0..3 {
            if let Err(difference) = self.compare_spend().await {
                panic!("after a restart: {difference}");
            }
        }
        self.compare_told().await;
        let Self { mut rig, api, watcher, writes, batches, entries, model, .. } = self;
        drop((api, watcher));
        rig.stop().await;
        Done { steps: STEPS, writes, batches, entries, events: model.events.len() }
    }

    async fn step(&mut self) -> &'static str {
        match self.rng.random_range(0..100) {
            0..38 => self.report().await,
            38..48 if self.huge => self.report().await,
            38..48 => self.burst().await,
            48..53 => self.adjust().await,
            53..75 => {
                let done = self.configure().await;
                self.tick(1_000);
                if done { "a write" } else { "a refused write" }
            }
            75..92 => {
                self.pass();
                "time"
            }
            92..96 => {
                self.register().await;
                "a node without a record"
            }
            96..98 => {
                self.restart().await;
                "a restart"
            }
            _ => {
                self.follow().await;
                "another stream"
            }
        }
    }

    fn tick(&mut self, micros: Micros) {
        self.model.now += micros;
        self.clock.store(self.model.now, Ordering::SeqCst);
    }

    async fn restart(&mut self) {
        self.api = self.rig.restart().await;
        self.follow().await;
    }

    /// Begins a stream of usage.
    async fn follow(&mut self) {
        let request = v1::WatchConfigRequest { include_usage: true, ..self.watcher.resume() };
        self.watcher.send(self.api.0.clone(), request).await.unwrap();
    }

    /// What memory and tables tell.
    async fn compare(&mut self) -> Result<(), String> {
        let expected = self.model.currents();
        // The limits from the tables now and then; usage comes from them at every restart.
        let from_tables = self.rng.random_bool(0.2).then_some(false);
        for from_memory in std::iter::once(true).chain(from_tables) {
            let told = currents(&self.api, from_memory).await;
            if let Some(difference) = difference(&expected, &told) {
                return Err(format!("{difference} (from_memory: {from_memory})"));
            }
        }
        Ok(())
    }

    /// All thresholds that were ever reached.
    async fn compare_events(&self) -> Result<(), String> {
        let mut told = BTreeMap::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListThresholdEventsRequest { page_size: 1_000, page_token, ..Default::default() };
            let mut client = UsageServiceClient::new(self.api.0.clone());
            let page = client.list_threshold_events(request).await.unwrap().into_inner();
            for event in page.events {
                let start = event.window_start.map_or(0, micros);
                assert!(i128::from(event.used) * 100 >= i128::from(event.max) * i128::from(event.percent), "{event:?}");
                let key = (event.limit_id.clone(), event.kind(), start, event.percent);
                if told.insert(key, event.max).is_some() {
                    return Err(format!("an event is told twice: {event:?}"));
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        match difference(&self.model.events, &told) {
            Some(difference) => Err(format!("of the events, {difference}")),
            None => Ok(()),
        }
    }

    /// Reads the stream until it has told what the model has.
    async fn compare_told(&mut self) {
        let expected: BTreeMap<_, _> =
            self.model.currents().into_iter().map(|(key, it)| (key, (it.used, it.max, it.window.0))).collect();
        let mut still = String::new();
        let read = async {
            loop {
                // What was told of a limit that is gone, or of one with nothing in it, says nothing.
                let usage = self.watcher.reducer.usage().values();
                let told = usage.map(|told| {
                    let start = told.window_start.map_or(0, micros);
                    ((told.limit_id.clone(), told.kind()), (told.used, told.max, start))
                });
                let told: BTreeMap<_, _> =
                    told.filter(|(key, (used, ..))| *used != 0 && expected.contains_key(key)).collect();
                let used: BTreeMap<_, _> = expected.clone().into_iter().filter(|(_, (used, ..))| *used != 0).collect();
                let Some(differs) = difference(&used, &told) else { return };
                still = differs;
                self.watcher.expect().await;
            }
        };
        if tokio::time::timeout(TOLD, read).await.is_err() {
            panic!("a stream of usage does not tell it: {still}");
        }
    }
}

/// What the server tells of all limits.
pub(crate) async fn currents(api: &Api, from_memory: bool) -> Currents {
    let time = |at: Option<prost_types::Timestamp>| at.map_or(0, micros);
    let mut all = Currents::new();
    let request = v1::ListBudgetsRequest { page_size: 1_000, from_memory, ..Default::default() };
    let answer = BudgetServiceClient::new(api.0.clone()).list_budgets(request).await.unwrap().into_inner();
    assert!(answer.next_page_token.is_empty());
    for it in answer.budgets {
        // What never ends has no next window.
        let window = (time(it.last_reset), it.next_reset.map_or(Micros::MAX, micros));
        let current = Current { used: it.current_usage_nano_usd, max: it.effective_max_limit_nano_usd, window };
        all.insert((it.id, LimitKind::Budget), current);
    }
    let request = v1::ListRateLimitsRequest { page_size: 1_000, from_memory, ..Default::default() };
    let answer = RateLimitServiceClient::new(api.0.clone()).list_rate_limits(request).await.unwrap().into_inner();
    assert!(answer.next_page_token.is_empty());
    for it in answer.rate_limits {
        if let Some(max) = it.token_max_limit {
            let window = (time(it.token_last_reset), time(it.token_next_reset));
            all.insert((it.id.clone(), LimitKind::Tokens), Current { used: it.token_current_usage, max, window });
        }
        if let Some(max) = it.request_max_limit {
            let window = (time(it.request_last_reset), time(it.request_next_reset));
            all.insert((it.id, LimitKind::Requests), Current { used: it.request_current_usage, max, window });
        }
    }
    all
}

/// The first thing in which what is told differs from what is expected.
fn difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    expected: &BTreeMap<K, V>,
    told: &BTreeMap<K, V>,
) -> Option<String> {
    let all = expected.keys().chain(told.keys());
    let mut differing = all.filter(|key| expected.get(key) != told.get(key));
    let first = differing.next()?;
    let (expected, told) = (expected.get(first), told.get(first));
    Some(format!("{first:?} is {told:?} instead of {expected:?} ({} more differ)", differing.count()))
}
